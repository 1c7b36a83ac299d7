"""Load the demonstration marketplace into an empty database, in one transaction.

Refused, with nothing changed, wherever `ground.obstacle` finds something. It needs a direct connection of the role that
applied the migration.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Final

import psycopg
from psycopg import sql

from app.post_audit.codec import encode
from app.post_audit.demonstration.ground import (
    SETTINGS,
    continue_identity,
    identifier,
    lock,
    obstacle,
    opened,
    translated,
)
from app.post_audit.demonstration.market import DEFAULT_SEED, SEED_LIST_NAME, Market, generate
from app.post_audit.demonstration.tables import Label, Table, table
from app.post_audit.errors import InputError

__all__ = ["Loaded", "load", "load_demonstration"]

_ACTOR: Final = "demonstration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was loaded: rows by relation, the number of labels, the marketplace's clock, and how long it took."""

    seed: int
    as_of: str
    rows: dict[str, int]
    labels: int
    seconds: float


def load_demonstration(conninfo: str, *, seed: int = DEFAULT_SEED, into: str | None = None) -> Loaded:
    """Make the marketplace of a seed and load it into the database at `conninfo`.

    With `into`, that has to be the name of the database: whoever loads into a server that is not the embedded
    one says by it which one is meant. Raises `InputError` or `ConfigurationError` when it is refused.
    """
    with opened(conninfo) as connection:
        if into is not None:
            _require_name(connection, into)
        # Before anything is made, so that a refusal comes at once.
        reason = obstacle(connection)
        if reason is not None:
            raise reason
        return load(connection, generate(seed))


def load(connection: psycopg.Connection, market: Market) -> Loaded:
    """Load a marketplace in one transaction; refuse what `obstacle` names."""
    began = monotonic()
    with translated(), connection.transaction():
        lock(connection)
        reason = obstacle(connection)
        if reason is not None:
            raise reason
        for relation in SETTINGS:
            connection.execute(
                sql.SQL(
                    "INSERT INTO post_audit.demonstration_former_rows (relation, rows)"
                    " SELECT %s, coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM {} AS t"
                ).format(identifier(relation)),
                (relation,),
            )
        for one in market.tables:
            if one.relation in SETTINGS:
                connection.execute(sql.SQL("DELETE FROM {} WHERE true").format(identifier(one.relation)))
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
            connection.execute(sql.SQL("ANALYZE {}").format(identifier(one.relation)))
    return Loaded(
        seed=market.seed,
        as_of=market.as_of.isoformat(),
        rows={one.relation: len(one.rows) for one in market.tables},
        labels=len(market.labels),
        seconds=round(monotonic() - began, 3),
    )


def _require_name(connection: psycopg.Connection, into: str) -> None:
    row = connection.execute("SELECT current_database()").fetchone()
    name = row[0] if row is not None else None
    if name != into:
        raise InputError(
            f"This is the database {name}, not {into}; nothing was loaded.",
            cure="Name the database that DATABASE_URL leads to, if the demonstration is to go there.",
        )


def _copy(connection: psycopg.Connection, one: Table) -> None:
    """Write all rows of a table, and let its identity go on behind them."""
    names = sql.SQL(", ").join(sql.Identifier(column) for column in one.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(identifier(one.relation), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in one.rows:
            copy.write_row(row)
    if "id" in one.columns:
        continue_identity(connection, one.relation)


def _labels(labels: tuple[Label, ...]) -> Table:
    columns = ("kind", "subject", "truth", "detail")
    return table(
        "post_audit.demonstration_labels",
        {column: [getattr(label, column) for label in labels] for column in columns},
    )
