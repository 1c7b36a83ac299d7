"""Where a demonstration may stand: what is in its way, and which tables it fills and empties.

Refused wherever it could mix with somebody's data: one role that is bound to a table of their own, or one row in any
table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from app.post_audit.db.psycopg_database import connect, translate
from app.post_audit.errors import ConfigurationError, InputError, NotMigrated

__all__ = [
    "SETTINGS",
    "continue_identity",
    "filled_tables",
    "identifier",
    "kind_of_marketplace",
    "lock",
    "obstacle",
    "opened",
    "translated",
]

SETTINGS: Final = (
    "public.ab_test_config",
    "public.infrastructure_config",
    "public.leaderboard_tickertape_views",
    "post_audit.live_counters",
)
"""Tables in which the migration has put rows: these are kept while the demonstration is there."""

_HISTORY: Final = (
    "post_audit.changes",
    "post_audit.conversion_blocks",
    "post_audit.conversion_notes",
    "post_audit.conversion_outcomes",
    "post_audit.conversion_rollups",
    "post_audit.conversion_units",
    "post_audit.decisions",
    "post_audit.holds",
    "post_audit.live_evidence",
    "post_audit.outbox",
    "post_audit.receivers",
    "post_audit.report_turns",
    "post_audit.runs",
    "post_audit.step_runs",
    "post_audit.subjects",
)
"""What runs over an empty marketplace leave behind; that alone does not make a marketplace."""

_KEPT: Final = (
    "post_audit.api_tokens",
    "post_audit.audit_log",
    "post_audit.bindings",
    "post_audit.installed_functions",
    "post_audit.login_attempts",
    "post_audit.marketplace",
    "post_audit.role_columns",
    "post_audit.schema_version",
    "post_audit.sessions",
    "post_audit.step_modes",
    "post_audit.upkeep",
    "post_audit.users",
    "post_audit.workers",
)
"""Tables of the protocol that belong to no marketplace."""

# Every other table of ours: what is there belongs to the marketplace or is history of it. By the mark that ours
# carry and not by bindings: a role may have been bound to somebody's table since.
_TABLES: Final[LiteralString] = """
SELECT n.nspname || '.' || c.relname, EXISTS (
    SELECT 1 FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname || '.' || c.relname <> ALL (%s)
  AND (n.nspname = 'post_audit' OR (n.nspname = 'public' AND post_audit.is_ours('public.' || quote_ident(c.relname))))
ORDER BY 1
"""

_FOREIGN_ROLES: Final[LiteralString] = """
SELECT contract.role, b.relation
FROM (SELECT DISTINCT c.role FROM post_audit.role_columns AS c) AS contract
LEFT JOIN post_audit.bindings AS b ON b.role = contract.role
WHERE b.is_reference IS NOT TRUE OR pg_catalog.to_regclass('post_audit.' || contract.role) IS NULL
ORDER BY contract.role LIMIT 1
"""

_EMPTY_DATABASE: Final = "Load the demonstration into an empty database, or into the embedded one."


def obstacle(connection: psycopg.Connection) -> ConfigurationError | InputError | None:
    """Say why the demonstration cannot be loaded here; None when it can.

    Raises `NotMigrated` in a database without the protocol.
    """
    _require_migrated(connection)
    if kind_of_marketplace(connection) == "demonstration":
        return InputError(
            "The demonstration is already loaded.", cure="Take it out first: post-audit demo --remove."
        )
    foreign = connection.execute(_FOREIGN_ROLES).fetchone()
    if foreign is not None:
        role, relation = foreign
        place = f"is bound to {relation}" if relation else "has no table"
        return ConfigurationError(
            f"The role {role} {place}, which is not a table of the demonstration's.", cure=_EMPTY_DATABASE
        )
    used = [relation for relation, _ in filled_tables(connection) if _has_rows(connection, relation)]
    used = [relation for relation in used if relation not in {*SETTINGS, *_HISTORY}]
    if used:
        others = f" and {len(used) - 1} more" if len(used) > 1 else ""
        return InputError(
            f"The database is not empty: there are rows in {used[0]}{others}.", cure=_EMPTY_DATABASE
        )
    return None


@contextmanager
def opened(conninfo: str) -> Iterator[psycopg.Connection]:
    """Connect as long as it is needed; errors of PostgreSQL become ours."""
    connection = connect(conninfo)
    try:
        with translated():
            yield connection
    finally:
        connection.close()


@contextmanager
def translated() -> Iterator[None]:
    """Let errors of PostgreSQL become ours."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error


def _require_migrated(connection: psycopg.Connection) -> None:
    row = connection.execute("SELECT to_regclass('post_audit.demonstration_labels') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        raise NotMigrated(
            "The database does not have the tables of the demonstration.",
            cure="Apply the migration: post-audit migrate.",
        )


def kind_of_marketplace(connection: psycopg.Connection) -> str:
    """Say whether the marketplace is live or a demonstration."""
    found = connection.execute("SELECT m.kind FROM post_audit.marketplace AS m").fetchone()
    return str(found[0]) if found is not None else "live"


def lock(connection: psycopg.Connection) -> None:
    """Let nobody begin a run or load meanwhile, and wait for nobody longer than a person would."""
    _require_migrated(connection)
    connection.execute("SET LOCAL lock_timeout = '4s'")
    connection.execute("SET LOCAL statement_timeout = '60s'")
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('post_audit.begin_run', 0))")
    connection.execute("SELECT 1 FROM post_audit.marketplace FOR UPDATE")


def filled_tables(connection: psycopg.Connection) -> list[tuple[str, bool]]:
    """List the tables that a marketplace fills, and whether each has triggers of its own."""
    return [(relation, guarded) for relation, guarded in connection.execute(_TABLES, ([*_KEPT],)).fetchall()]


def _has_rows(connection: psycopg.Connection, relation: str) -> bool:
    row = connection.execute(
        sql.SQL("SELECT EXISTS (SELECT 1 FROM {} AS t)").format(identifier(relation))
    ).fetchone()
    return row is not None and bool(row[0])


def continue_identity(connection: psycopg.Connection, relation: str) -> None:
    """Let the numbers of a table go on behind the greatest that is there."""
    connection.execute(
        sql.SQL(
            "SELECT setval(s.name, (SELECT max(t.id) FROM {} AS t))"
            " FROM pg_get_serial_sequence(%s, 'id') AS s (name)"
            " WHERE s.name IS NOT NULL AND EXISTS (SELECT 1 FROM {} AS t)"
        ).format(identifier(relation), identifier(relation)),
        (relation,),
    )


def identifier(relation: str) -> sql.Identifier:
    """Name a relation, `schema.table`, in a statement."""
    return sql.Identifier(*relation.split("."))
