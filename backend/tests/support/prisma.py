"""A marketplace whose suppliers, claims and earnings are in tables as Prisma makes them.

Roles that such a schema has no table for (invites, counters, bugs, ...) use our reference tables. Claims there have no
amount, and earnings name no supplier.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

__all__ = ["ROWS", "TABLES", "reshape", "reshaped_template"]

_HERE: Final = Path(__file__).parent
TABLES: Final = (_HERE / "prisma.sql").read_bytes()
"""The tables, empty."""
ROWS: Final = (_HERE / "prisma_rows.sql").read_bytes()
"""Two suppliers, one of them claimed, and an earning."""
_RESHAPED: Final = (_HERE / "prisma_reshaped.sql").read_bytes()


def reshape(connection: psycopg.Connection) -> None:
    """Move what is in our reference tables into Prisma's and bind those, as the guess says.

    Under the names of the reference tables stand views from then on that write into Prisma's tables, so that a test
    that inserts a supplier does so in either shape.
    """
    with connection.transaction():
        connection.execute(TABLES)
        connection.execute(_RESHAPED)


def reshaped_template(server: str, template: str, name: str) -> str:
    """Make database `name` as a copy of `template` in the other shape, and return its name.

    Nobody may be connected to `template`; `server` is of who may make databases there.
    """
    with psycopg.connect(server, autocommit=True) as admin:
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
            with psycopg.connect(make_conninfo(server, dbname=name), autocommit=True) as connection:
                reshape(connection)
    return name
