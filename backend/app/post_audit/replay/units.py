"""Units of an A/B test as a CSV file has them: who got which variant, in which order, and whether they converted."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.post_audit.errors import InputError

__all__ = ["LEAST_VARIANTS", "MOST_VARIANTS", "Units", "read_units"]

_YES: Final = frozenset({"1", "true", "t", "yes", "y"})
_NO: Final = frozenset({"0", "false", "f", "no", "n", ""})
_Ints = NDArray[np.int64]

MOST_VARIANTS: Final = 10

LEAST_VARIANTS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Units in the order they arrived: the place of their variant in `variants`, and whether they converted."""

    variants: tuple[str, ...]
    variant: _Ints
    converted: NDArray[np.bool_]
    exposed_to_several: int = 0


def _outcome(text: str, line: int) -> bool:
    """Read one outcome; raises `InputError` naming the line."""
    lowered = text.strip().lower()
    if lowered in _YES or lowered in _NO:
        return lowered in _YES
    raise InputError(
        f"Line {line}: the outcome {text!r} is neither yes nor no.", cure="Write 1 and 0, or true and false."
    )


def _columns(path: Path, wanted: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a CSV file that has these columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            missing = [name for name in wanted if name not in names]
            if missing:
                raise InputError(
                    f"{path.name} has no column named {missing[0]}.", cure=f"It has: {', '.join(names)}."
                )
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read: {error}.", cure="Give a CSV file in UTF-8.") from error


def _moment(text: str, line: int) -> float:
    """Read a moment: a number, or a date as ISO 8601 writes it (UTC unless it says otherwise)."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"Line {line}: {text!r} is no time.", cure="Write a number or 2025-11-09T14:30:00+05:30."
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_units(  # noqa: PLR0913 - one for each column and way of ordering
    path: Path,
    *,
    unit: str,
    variant: str,
    outcome: str,
    time: str | None = None,
    order_seed: int | None = None,
) -> Units:
    """Read units from a CSV file, in the order of `time`, else shuffled by `order_seed`, else of the lines.

    The first row of a unit gives its variant; it converted if any of its rows of that variant did. `unit` may
    be `row` where there is no such column: then each line is a unit. Raises `InputError`.
    """
    needed = [variant, outcome, *([time] if time else []), *([unit] if unit != "row" else [])]
    rows = _columns(path, needed)
    order = list(range(len(rows)))
    if time is not None:
        moments = [_moment(row[time] or "", line) for line, row in enumerate(rows, start=2)]
        order.sort(key=lambda place: moments[place])
    elif order_seed is not None:
        order = [int(place) for place in np.random.default_rng(order_seed).permutation(len(rows))]
    of_row = unit == "row" and (not rows or "row" not in rows[0])
    first: dict[str, str] = {}
    converted: dict[str, bool] = {}
    several: set[str] = set()
    for place in order:
        row = rows[place]
        key, name = (str(place) if of_row else row[unit] or ""), (row[variant] or "").strip()
        yes = _outcome(row[outcome] or "", place + 2)
        if not name:
            raise InputError(f"Line {place + 2} names no variant.")
        if first.setdefault(key, name) == name:
            converted[key] = converted.get(key, False) or yes
        else:
            several.add(key)
    names = tuple(sorted(set(first.values())))
    if not LEAST_VARIANTS <= len(names) <= MOST_VARIANTS:
        raise InputError(
            f"{path.name} has {len(names)} variants in the column {variant}.",
            cure=f"A comparison takes {LEAST_VARIANTS} to {MOST_VARIANTS}.",
        )
    places = {name: place for place, name in enumerate(names)}
    return Units(
        variants=names,
        variant=np.array([places[name] for name in first.values()], dtype=np.int64),
        converted=np.array([converted[key] for key in first], dtype=np.bool_),
        exposed_to_several=len(several),
    )
