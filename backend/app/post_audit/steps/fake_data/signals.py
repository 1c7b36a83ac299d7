"""What evidence is: a family, a signal, how much it weighs, and a sentence that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

__all__ = ["Evidence", "Family", "Weight"]


class Family(StrEnum):
    """Where a sign comes from. Signs of one family stand and fall together; two families do not."""

    IDENTITY = "identity"
    """The tax number: shape, parts, check digit, and whether it belongs to the supplier's state."""
    NAMING = "naming"
    """The name or key follows a generator's template."""
    CONTACT = "contact"
    """The contacts lead to nobody, or follow a generator's template."""
    PROVENANCE = "provenance"
    """The row stands in a file that a user registered as invented."""
    PLACE = "place"
    """The city lies in another state."""


class Weight(IntEnum):
    """How many families a sign counts for on the way to quarantine."""

    WEAK = 0
    """Counts for none: real rows have it too, through typing slips and spreadsheets."""
    ONE = 1
    TWO = 2
    """Two fields that are independent in a real business agree with one registered row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One sign. `detail` is a sentence with the value that was found."""

    family: Family
    signal: str
    detail: str
    weight: Weight = Weight.ONE
