"""What a stranger's first run finds: the demonstration marketplace, and a real audit report about this very project."""

from __future__ import annotations

from pathlib import Path

from app.post_audit.db.psycopg_database import connect
from app.post_audit.demonstration.ground import obstacle
from app.post_audit.demonstration.load import Loaded, load
from app.post_audit.demonstration.market import generate
from app.post_audit.errors import InputError
from app.post_audit.ports import Database
from app.post_audit.steps.enhancements.importing import store_audit
from app.post_audit.steps.enhancements.parsing import parse_files

__all__ = ["SAMPLE_TARGET", "hand_over", "is_untouched", "prepare"]

SAMPLE_TARGET = "post-audit-protocol"


def is_untouched(conninfo: str) -> bool:
    """Whether the database is empty and has never held a demonstration."""
    with connect(conninfo) as connection:
        row = connection.execute("SELECT was_demonstrated FROM post_audit.marketplace").fetchone()
        return row == (False,) and obstacle(connection) is None


def prepare(conninfo: str, database: Database, samples: Path) -> Loaded | None:
    """Load the demonstration and hand over the samples; None when another process was quicker."""
    try:
        with connect(conninfo) as connection:
            loaded = load(connection, generate())
    except InputError:
        return None
    hand_over(database, samples)
    return loaded


def hand_over(database: Database, samples: Path) -> None:
    """Store the reports that lie in `samples` and can be read; a run makes tasks of them."""
    for audit in parse_files(sorted(samples.glob("*.sarif"))):
        store_audit(database, audit, target=SAMPLE_TARGET)
