"""Databases that live as long as a test, made as cheaply as PostgreSQL can."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

__all__ = ["Databases", "hurry"]

_SETTINGS: Final = {
    # What a power cut would lose is a test's database.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # A worker that looks at a template makes its next copy wait; what the planner has to know, the code tells it.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
}


def hurry(conninfo: str) -> None:
    """Let a server that is thrown away work without care for its disk."""
    with psycopg.connect(conninfo, autocommit=True) as admin:
        for name, value in _SETTINGS.items():
            admin.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
        admin.execute("SELECT pg_reload_conf()")


class Databases:
    """Makes and drops the databases of one server over one connection."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        # Kept open: a new backend that copies touches shared memory page by page, 0.15 s of kernel time each.
        self._admin = psycopg.connect(conninfo, autocommit=True)
        self._numbers = itertools.count(1)

    def create(self, name: str, *, template: str = "template1", owner: str | None = None) -> None:
        """Make a database as a copy of `template`, owned by `owner` or by whom we connect as."""
        # Files are copied by the kernel; the default writes each page to the log and through shared memory.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy").format(
            sql.Identifier(name),
            sql.Identifier(template),
            sql.Identifier(owner) if owner is not None else sql.DEFAULT,
        )
        self._admin.execute(statement)

    @contextmanager
    def scratch(self, template: str = "template1", *, owner: str | None = None) -> Iterator[str]:
        """Make a copy for as long as the block lasts, and give its conninfo."""
        name = f"scratch_{next(self._numbers)}"
        self.create(name, template=template, owner=owner)
        try:
            yield make_conninfo(self._conninfo, dbname=name)
        finally:
            self._admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Give back the connection; the databases that are left go with their server."""
        self._admin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
