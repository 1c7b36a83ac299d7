"""Take the demonstration out of its database again.

It empties the tables that a marketplace fills, in one transaction, so it is refused wherever the marketplace is not a
demonstration. It needs a direct connection of the role that applied the migration; no SQL function of the product can
empty tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from app.post_audit.demonstration.ground import (
    continue_identity,
    filled_tables,
    identifier,
    kind_of_marketplace,
    lock,
    opened,
    translated,
)
from app.post_audit.errors import InputError

__all__ = ["Removed", "remove", "remove_demonstration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """Rows that were there, by relation; relations without any are left out."""

    rows: dict[str, int]


def remove_demonstration(conninfo: str) -> Removed:
    """Take the demonstration out of the database at `conninfo`; refused on a live marketplace."""
    with opened(conninfo) as connection:
        return remove(connection)


def remove(connection: psycopg.Connection) -> Removed:
    """Empty every table of the demonstration and all history that came of it; put the settings back.

    Whatever else came into this database since, an imported audit for one, belongs to the demonstration and
    goes too. Modes of the steps stay.
    """
    with translated(), connection.transaction():
        lock(connection)
        if kind_of_marketplace(connection) != "demonstration":
            raise InputError(
                "This marketplace is live; there is no demonstration in it, and nothing was removed.",
                cure="See which database it is: post-audit status.",
            )
        running = connection.execute(
            "SELECT r.id FROM post_audit.runs AS r WHERE r.state = 'running' AND r.lease_expires_at > clock_timestamp()"
        ).fetchone()
        if running is not None:
            raise InputError(
                f"Run {running[0]} is going on in the demonstration; nothing was removed.",
                cure="Wait until it has ended (post-audit status), then remove the demonstration.",
            )
        tables = filled_tables(connection)
        counted = {relation: _count(connection, relation) for relation, _ in tables}
        former = connection.execute(
            "SELECT f.relation, f.rows FROM post_audit.demonstration_former_rows AS f ORDER BY f.relation"
        ).fetchall()
        # Logs that are only added to refuse this by triggers, which their owner may switch off.
        guarded = [relation for relation, is_guarded in tables if is_guarded]
        for relation in guarded:
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(identifier(relation)))
        connection.execute(
            sql.SQL("TRUNCATE {} RESTART IDENTITY").format(
                sql.SQL(", ").join(identifier(relation) for relation, _ in tables)
            )
        )
        for relation in guarded:
            connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(identifier(relation)))
        for relation, rows in former:
            connection.execute(
                sql.SQL("INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, %s)").format(
                    identifier(relation)
                ),
                (Jsonb(rows),),
            )
            if rows and "id" in rows[0]:
                continue_identity(connection, relation)
        connection.execute("UPDATE post_audit.marketplace SET kind = 'live', as_of = NULL WHERE id = 1")
    return Removed(rows={relation: number for relation, number in counted.items() if number})


def _count(connection: psycopg.Connection, relation: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {} AS t").format(identifier(relation))).fetchone()
    return int(row[0]) if row is not None else 0
