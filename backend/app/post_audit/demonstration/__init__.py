"""The demonstration: an invented marketplace in which something is wrong in every place that a step looks at.

It is made from one seed, the same to the byte every time, has a clock of its own, and sends nothing to
anybody. `generate` makes it, `load_demonstration` puts it into an empty database, `confusion` compares what
was planted with what the steps found, and `remove_demonstration` leaves the database as it was. It never
touches a marketplace that holds anything.
"""

from __future__ import annotations

from app.post_audit.demonstration import first_run
from app.post_audit.demonstration.ground import obstacle
from app.post_audit.demonstration.load import Loaded, load, load_demonstration
from app.post_audit.demonstration.market import DEFAULT_SEED, Market, generate
from app.post_audit.demonstration.remove import Removed, remove, remove_demonstration
from app.post_audit.demonstration.verdict import COLUMNS, Kind, Line, Verdict, confusion

__all__ = [
    "COLUMNS",
    "DEFAULT_SEED",
    "Kind",
    "Line",
    "Loaded",
    "Market",
    "Removed",
    "Verdict",
    "confusion",
    "first_run",
    "generate",
    "load",
    "load_demonstration",
    "obstacle",
    "remove",
    "remove_demonstration",
]
