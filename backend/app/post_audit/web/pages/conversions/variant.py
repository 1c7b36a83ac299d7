"""One message of an experiment by its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["variant_of"]


def variant_of(one: Mapping[str, Any], identifier: str | None) -> dict[str, Any] | None:
    """Find a message of the experiment; None where no such one is."""
    return next((variant for variant in one["variants"] if variant["id"] == identifier), None)
