"""The queue of one database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.database.steps.enhancements.audited import Queue

if TYPE_CHECKING:
    import psycopg

    from app.post_audit.ports import Database


@pytest.fixture
def queue(database: Database, connection: psycopg.Connection) -> Queue:
    return Queue(database, connection)
