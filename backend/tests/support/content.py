"""Everything that stands in a database, to see whether something changed it."""

from __future__ import annotations

import hashlib

import psycopg
from psycopg import sql

__all__ = ["Content"]


class Content:
    """Everything in the schemas of the protocol and the marketplace: rows of tables, and sequences."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def tables(self) -> dict[str, tuple[int, str]]:
        """Number of rows and a hash of them all, by table."""
        names = self._connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'post_audit') ORDER BY 1, 2"
        ).fetchall()
        content = {}
        for schema, name in names:
            rows = self._connection.execute(
                sql.SQL("SELECT (t.*)::text FROM {} AS t ORDER BY 1").format(sql.Identifier(schema, name))
            ).fetchall()
            digest = hashlib.sha256("\n".join(text for (text,) in rows).encode()).hexdigest()
            content[f"{schema}.{name}"] = (len(rows), digest)
        return content

    def sequences(self) -> dict[str, int | None]:
        """The last number of each sequence, None where none was given yet."""
        return dict(
            self._connection.execute(
                "SELECT s.schemaname || '.' || s.sequencename, s.last_value FROM pg_sequences AS s"
            ).fetchall()
        )

    def triggers(self) -> list[tuple[str, str, str]]:
        """Every trigger and whether it is enabled."""
        return self._connection.execute(
            "SELECT t.tgrelid::regclass::text, t.tgname::text, t.tgenabled::text FROM pg_trigger AS t ORDER BY 1, 2"
        ).fetchall()
