"""What a made-up marketplace is made of: tables, labels, and moments as text.

Moments are whole milliseconds since 1970 (UTC) while they are computed with, and ISO 8601 text in tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AS_OF",
    "DAY",
    "HOUR",
    "IST_OFFSET",
    "MINUTE",
    "NOW",
    "Cell",
    "Ints",
    "Label",
    "Table",
    "iso",
    "iso_all",
    "table",
]

Cell = str | int | None
Ints = NDArray[np.int64]

AS_OF: Final = datetime(2025, 11, 12, 12, 30, tzinfo=UTC)
"""Wednesday, 18:00 in India: in sending hours, with most of the day's messages sent."""

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
IST_OFFSET: Final = 5 * HOUR + 30 * MINUTE
NOW: Final = int(AS_OF.timestamp() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows for one relation; columns that are not named get their defaults."""

    relation: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def column(self, name: str) -> tuple[Cell, ...]:
        """Give one column in the order of the rows."""
        place = self.columns.index(name)
        return tuple(row[place] for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What was planted: what kind of thing, which one, what is true of it, and how it came about."""

    kind: str
    subject: str
    truth: str
    detail: str


def table(relation: str, columns: Mapping[str, Sequence[Cell]]) -> Table:
    """Put columns of one length side by side."""
    return Table(relation=relation, columns=tuple(columns), rows=tuple(zip(*columns.values(), strict=True)))


def iso_all(moments: Ints) -> list[str]:
    """Write moments as text."""
    texts = np.datetime_as_string(np.asarray(moments, dtype="datetime64[ms]"), timezone="UTC")
    return [str(text) for text in texts]


def iso(moment: int) -> str:
    """Write one moment as text."""
    return iso_all(np.array([moment], dtype=np.int64))[0]
