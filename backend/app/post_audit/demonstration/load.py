"""Load the demonstration marketplace into an empty database, and take it out again.

Refused, with nothing changed, wherever it could mix with somebody's data: one role that is bound to a table
of their own, or one row in any table. Taking it out empties the same tables, so it is refused wherever the
marketplace is not a demonstration. Both are one transaction each. They need a direct connection of the role
that applied the migration; no SQL function of the product can empty tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from app.post_audit.codec import encode
from app.post_audit.db.psycopg_database import connect, translate
from app.post_audit.demonstration.market import DEFAULT_SEED, SEED_LIST_NAME, Market, generate
from app.post_audit.demonstration.tables import Label, Table, table
from app.post_audit.errors import ConfigurationError, InputError, NotMigrated

__all__ = ["Loaded", "Removed", "load", "load_demonstration", "obstacle", "remove", "remove_demonstration"]

_ACTOR: Final = "demonstration"

_SETTINGS: Final = (
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was loaded: rows by relation, the number of labels, the marketplace's clock, and how long it took."""

    seed: int
    as_of: str
    rows: dict[str, int]
    labels: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """Rows that were there, by relation; relations without any are left out."""

    rows: dict[str, int]


def load_demonstration(conninfo: str, *, seed: int = DEFAULT_SEED, into: str | None = None) -> Loaded:
    """Make the marketplace of a seed and load it into the database at `conninfo`.

    With `into`, that has to be the name of the database: whoever loads into a server that is not the embedded
    one says by it which one is meant. Raises `InputError` or `ConfigurationError` when it is refused.
    """
    with _opened(conninfo) as connection:
        if into is not None:
            _require_name(connection, into)
        # Before anything is made, so that a refusal comes at once.
        reason = obstacle(connection)
        if reason is not None:
            raise reason
        return load(connection, generate(seed))


def remove_demonstration(conninfo: str) -> Removed:
    """Take the demonstration out of the database at `conninfo`; refused on a live marketplace."""
    with _opened(conninfo) as connection:
        return remove(connection)


def obstacle(connection: psycopg.Connection) -> ConfigurationError | InputError | None:
    """Say why the demonstration cannot be loaded here; None when it can.

    Raises `NotMigrated` in a database without the protocol.
    """
    _require_migrated(connection)
    if _kind(connection) == "demonstration":
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
    used = [relation for relation, _ in _tables(connection) if _has_rows(connection, relation)]
    used = [relation for relation in used if relation not in {*_SETTINGS, *_HISTORY}]
    if used:
        others = f" and {len(used) - 1} more" if len(used) > 1 else ""
        return InputError(
            f"The database is not empty: there are rows in {used[0]}{others}.", cure=_EMPTY_DATABASE
        )
    return None


def load(connection: psycopg.Connection, market: Market) -> Loaded:
    """Load a marketplace in one transaction; refuse what `obstacle` names."""
    began = monotonic()
    with _translated(), connection.transaction():
        _lock(connection)
        reason = obstacle(connection)
        if reason is not None:
            raise reason
        for relation in _SETTINGS:
            connection.execute(
                sql.SQL(
                    "INSERT INTO post_audit.demonstration_former_rows (relation, rows)"
                    " SELECT %s, coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM {} AS t"
                ).format(_identifier(relation)),
                (relation,),
            )
        for one in market.tables:
            if one.relation in _SETTINGS:
                connection.execute(sql.SQL("DELETE FROM {} WHERE true").format(_identifier(one.relation)))
        for one in (*market.tables, _labels(market.labels)):
            _copy(connection, one)
        connection.execute(
            "SELECT public.post_audit_apply_seed_rows(%s, %s::jsonb, %s)",
            (SEED_LIST_NAME, encode(list(market.seed_list)), _ACTOR),
        )
        connection.execute(
            "UPDATE post_audit.marketplace SET kind = 'demonstration', as_of = %s, was_demonstrated = true"
            " WHERE id = 1",
            (market.as_of,),
        )
        # Nothing has told the planner of these rows yet.
        for one in market.tables:
            connection.execute(sql.SQL("ANALYZE {}").format(_identifier(one.relation)))
    return Loaded(
        seed=market.seed,
        as_of=market.as_of.isoformat(),
        rows={one.relation: len(one.rows) for one in market.tables},
        labels=len(market.labels),
        seconds=round(monotonic() - began, 3),
    )


def remove(connection: psycopg.Connection) -> Removed:
    """Empty every table of the demonstration and all history that came of it; put the settings back.

    Whatever else came into this database since, an imported audit for one, belongs to the demonstration and
    goes too. Modes of the steps stay.
    """
    with _translated(), connection.transaction():
        _lock(connection)
        if _kind(connection) != "demonstration":
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
        tables = _tables(connection)
        counted = {relation: _count(connection, relation) for relation, _ in tables}
        former = connection.execute(
            "SELECT f.relation, f.rows FROM post_audit.demonstration_former_rows AS f ORDER BY f.relation"
        ).fetchall()
        # Logs that are only added to refuse this by triggers, which their owner may switch off.
        guarded = [relation for relation, is_guarded in tables if is_guarded]
        for relation in guarded:
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(_identifier(relation)))
        connection.execute(
            sql.SQL("TRUNCATE {} RESTART IDENTITY").format(
                sql.SQL(", ").join(_identifier(relation) for relation, _ in tables)
            )
        )
        for relation in guarded:
            connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(_identifier(relation)))
        for relation, rows in former:
            connection.execute(
                sql.SQL("INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, %s)").format(
                    _identifier(relation)
                ),
                (Jsonb(rows),),
            )
            if rows and "id" in rows[0]:
                _continue_identity(connection, relation)
        connection.execute("UPDATE post_audit.marketplace SET kind = 'live', as_of = NULL WHERE id = 1")
    return Removed(rows={relation: number for relation, number in counted.items() if number})


@contextmanager
def _opened(conninfo: str) -> Iterator[psycopg.Connection]:
    connection = connect(conninfo)
    try:
        with _translated():
            yield connection
    finally:
        connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error


def _require_name(connection: psycopg.Connection, into: str) -> None:
    row = connection.execute("SELECT current_database()").fetchone()
    name = row[0] if row is not None else None
    if name != into:
        raise InputError(
            f"This is the database {name}, not {into}; nothing was loaded.",
            cure="Name the database that DATABASE_URL leads to, if the demonstration is to go there.",
        )


def _require_migrated(connection: psycopg.Connection) -> None:
    row = connection.execute("SELECT to_regclass('post_audit.demonstration_labels') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        raise NotMigrated(
            "The database does not have the tables of the demonstration.",
            cure="Apply the migration: post-audit migrate.",
        )


def _kind(connection: psycopg.Connection) -> str:
    """Say whether the marketplace is live or a demonstration."""
    found = connection.execute("SELECT m.kind FROM post_audit.marketplace AS m").fetchone()
    return str(found[0]) if found is not None else "live"


def _lock(connection: psycopg.Connection) -> None:
    """Let nobody begin a run or load meanwhile, and wait for nobody longer than a person would."""
    _require_migrated(connection)
    connection.execute("SET LOCAL lock_timeout = '4s'")
    connection.execute("SET LOCAL statement_timeout = '60s'")
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('post_audit.begin_run', 0))")
    connection.execute("SELECT 1 FROM post_audit.marketplace FOR UPDATE")


def _tables(connection: psycopg.Connection) -> list[tuple[str, bool]]:
    """List the tables that a marketplace fills, and whether each has triggers of its own."""
    return [(relation, guarded) for relation, guarded in connection.execute(_TABLES, ([*_KEPT],)).fetchall()]


def _has_rows(connection: psycopg.Connection, relation: str) -> bool:
    row = connection.execute(
        sql.SQL("SELECT EXISTS (SELECT 1 FROM {} AS t)").format(_identifier(relation))
    ).fetchone()
    return row is not None and bool(row[0])


def _count(connection: psycopg.Connection, relation: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {} AS t").format(_identifier(relation))).fetchone()
    return int(row[0]) if row is not None else 0


def _copy(connection: psycopg.Connection, one: Table) -> None:
    """Write all rows of a table, and let its identity go on behind them."""
    names = sql.SQL(", ").join(sql.Identifier(column) for column in one.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(_identifier(one.relation), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in one.rows:
            copy.write_row(row)
    if "id" in one.columns:
        _continue_identity(connection, one.relation)


def _continue_identity(connection: psycopg.Connection, relation: str) -> None:
    connection.execute(
        sql.SQL(
            "SELECT setval(s.name, (SELECT max(t.id) FROM {} AS t))"
            " FROM pg_get_serial_sequence(%s, 'id') AS s (name)"
            " WHERE s.name IS NOT NULL AND EXISTS (SELECT 1 FROM {} AS t)"
        ).format(_identifier(relation), _identifier(relation)),
        (relation,),
    )


def _labels(labels: tuple[Label, ...]) -> Table:
    columns = ("kind", "subject", "truth", "detail")
    return table(
        "post_audit.demonstration_labels",
        {column: [getattr(label, column) for label in labels] for column in columns},
    )


def _identifier(relation: str) -> sql.Identifier:
    return sql.Identifier(*relation.split("."))
