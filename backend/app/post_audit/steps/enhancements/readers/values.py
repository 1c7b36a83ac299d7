"""JSON values of unknown shape, read as what they should be; anything else is as if it were not there."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["at", "items", "number", "text", "whole"]

_EXACT: Final = 2**53
"""Below it, every whole number is a float of the same value."""


def at(value: Any, *keys: str | int) -> Any:  # noqa: ANN401 - a JSON value
    """Follow keys and indices; None where the way ends."""
    for key in keys:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
            value = value[key]
        else:
            return None
    return value


def items(value: Any) -> list[Any]:  # noqa: ANN401 - a JSON value
    """Read a list; empty for anything else."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:  # noqa: ANN401 - a JSON value
    """Read a text or number as text, without white space around it; empty for anything else."""
    if type(value) is str:  # most values are, and a report has millions
        return value.strip()
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return ""
    return str(value).strip()


def number(value: Any) -> float | None:  # noqa: ANN401 - a JSON value
    """Read a number, or a text that is one; None for anything else."""
    if value is None:
        return None
    try:
        return float(said) if (said := text(value)) else None
    except (ValueError, OverflowError):
        return None


def whole(value: Any) -> int | None:  # noqa: ANN401 - a JSON value
    """Read a whole number, or a text that is one; None for anything else."""
    if value is None or (type(value) is int and -_EXACT < value < _EXACT):
        return value
    found = number(value)
    return int(found) if found is not None and found.is_integer() else None
