"""Small marketplaces for tests: just enough rows that a step has something to decide; and the large demonstration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from app.post_audit.demonstration import load_demonstration

__all__ = [
    "arm_all",
    "bind",
    "contents",
    "copy_of",
    "demonstration_template",
    "nearly_full",
    "one",
    "outcome",
    "rewrite",
    "untouched",
]

_DEMONSTRATION: Final = "post_audit_demonstration"
# What differs between two runs that do the same: clocks, and numbers that are given out.
_CHANCE: Final = (
    "id",
    "sequence",
    "decision_id",
    "quarantine_id",
    "task_id",
    "audit_id",
    "import",
    "created_at",
    "updated_at",
    "carried_out_at",
    "quarantined_at",
    "shown_at",
    "next_attempt_at",
    "settled_at",
    "payload",  # names its decision
    "place",
    "place_table",
)
_numbers = itertools.count(1)


def nearly_full(connection: psycopg.Connection, *, channel: str = "sms", used: int = 17_000) -> None:
    """Record so many sends within the last minutes of today's IST day that the quota is nearly used up."""
    connection.execute(
        """
        INSERT INTO public.invites_sent (channel, status, segments, queued_at, sent_at)
        SELECT %s, 'sent', %s / 100, m.moment, m.moment
        FROM generate_series(1, 100),
          -- within today in India, also in its first minutes
          LATERAL (SELECT greatest(now() - interval '1 minute',
            date_trunc('day', now() AT TIME ZONE 'Asia/Kolkata') AT TIME ZONE 'Asia/Kolkata') AS moment) AS m
        """,
        (channel, used),
    )


def arm_all(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE post_audit.step_modes SET mode = 'act'")


def bind(connection: psycopg.Connection, role: str, relation: str, columns: dict[str, Any]) -> None:
    """Point a role at a relation as the owner of the database: over REST nobody may, whichever way a test runs."""
    connection.execute(
        "SELECT public.post_audit_apply_binding(%s, %s, %s, 'a test')", (role, relation, Jsonb(columns))
    )


def one(connection: psycopg.Connection, query: str, *values: object) -> Any:  # noqa: ANN401 - whatever is asked for
    """The one value that a query gives."""
    row = connection.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return row[0]


def rewrite(connection: psycopg.Connection, function: str, statement: str) -> None:
    """Give a function of the migration another body of one PL/pgSQL statement; what it is called with stays."""
    definition = one(
        connection, "SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p WHERE p.proname = %s", function
    )
    head = definition.partition(" LANGUAGE ")[0]
    body = f"LANGUAGE plpgsql STABLE SET search_path = '' AS $rewritten$ BEGIN {statement}; END $rewritten$"
    connection.execute(f"{head} {body}".encode())


@contextmanager
def copy_of(server: str, template: str) -> Iterator[str]:
    """The conninfo of a database that is a copy of another, for as long as it is wanted."""
    name = f"copy_{next(_numbers)}_of_{template}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        try:
            yield make_conninfo(server, dbname=name)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def demonstration_template(server: str, template: str) -> str:
    """The name of a database with the demonstration in it and every step armed; made when it is not there yet."""
    name = sql.Identifier(_DEMONSTRATION)
    conninfo = make_conninfo(server, dbname=_DEMONSTRATION)
    with psycopg.connect(server, autocommit=True) as admin:
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_DEMONSTRATION,)).fetchone():
            return _DEMONSTRATION
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template)))
    load_demonstration(conninfo)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        arm_all(connection)
    return _DEMONSTRATION


def _relations(connection: psycopg.Connection) -> list[sql.Identifier]:
    rows = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'post_audit') ORDER BY 1, 2"
    ).fetchall()
    return [sql.Identifier(schema, name) for schema, name in rows]


def _each(connection: psycopg.Connection, row: sql.Composable) -> dict[str, tuple[int, str]]:
    found = {}
    for relation in _relations(connection):
        if "post_audit.conversion_" in relation.as_string(None).replace('"', ""):
            continue  # derived from the others; whoever looks, a dry run too, may bring it up to date
        counted = connection.execute(
            sql.SQL("SELECT count(*), coalesce(sum(hashtextextended({}, 0)), 0)::text FROM {} AS t").format(
                row, relation
            )
        ).fetchone()
        assert counted is not None
        found[relation.as_string(None).replace('"', "")] = counted
    return found


def contents(connection: psycopg.Connection) -> dict[str, tuple[int, str]]:
    """For each table the number of its rows and a sum over all of their bytes."""
    return _each(connection, sql.SQL("(t.*)::text"))


def untouched(connection: psycopg.Connection) -> dict[str, tuple[int, str]]:
    """As `contents`, and where each row lies and who wrote it: a row that is written anew as it was differs too."""
    found = _each(connection, sql.SQL("t.ctid::text || ' ' || t.xmin::text || ' ' || (t.*)::text"))
    numbers = connection.execute(
        "SELECT schemaname || '.' || sequencename, coalesce(last_value, 0) FROM pg_sequences ORDER BY 1"
    ).fetchall()
    return found | {name: (number, "") for name, number in numbers}


def outcome(connection: psycopg.Connection) -> dict[str, tuple[int, str]]:
    """What has come of a marketplace: the same for two runs that did the same, in however many attempts."""
    dropped = sql.SQL(", ").join(sql.Literal(column) for column in _CHANCE)
    found = _each(connection, sql.SQL("(to_jsonb(t.*) - ARRAY[{}])::text").format(dropped))
    history = {
        "post_audit.runs",
        "post_audit.step_runs",
        "post_audit.decisions",
        "post_audit.live_evidence",
    }
    return {relation: rows for relation, rows in found.items() if relation not in history}
