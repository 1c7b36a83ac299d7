"""The database port over a direct PostgreSQL connection."""

from __future__ import annotations

import re
import select
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from app.post_audit.codec import decode, encode, utf8
from app.post_audit.errors import (
    ConnectionLost,
    CredentialsRefused,
    DatabaseUnreachable,
    FunctionMissing,
    InvalidArgument,
    InvalidSetting,
    NotMigrated,
    PostAuditError,
    error_for_sqlstate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.post_audit.ports import JSON

__all__ = [
    "CONNECT_TIMEOUT_SECONDS",
    "LOCK_TIMEOUT_MILLISECONDS",
    "STATEMENT_TIMEOUT_MILLISECONDS",
    "PsycopgDatabase",
    "connect",
    "translate",
]

# A wrong address is to be known within 5 s.
CONNECT_TIMEOUT_SECONDS: Final = 4
# Supabase ends a call after 8 s; every function of ours is built for 2. The few that may import a whole audit declare
# a limit of their own (`SET statement_timeout`).
STATEMENT_TIMEOUT_MILLISECONDS: Final = 8_000
LOCK_TIMEOUT_MILLISECONDS: Final = 4_000
# A firewall that drops a connection in silence does so after minutes.
_TRUSTED_SECONDS: Final = 10.0

# Names of hosts and databases stand in the same text, so whole phrases are looked for.
_NO_DATABASE = re.compile(r'database "[^"]*" does not exist')
_NOT_ACCEPTED = re.compile(
    r'password authentication failed|role "[^"]*" (does not exist|is not permitted)|no password supplied|pg_hba\.conf'
    r"|authentication method|authentication failed"
)

# A limit that a function declares for itself counts from within it, too late for the statement that called it:
# PostgREST sets it before the call, and so do we.
_LIMITS = """
SELECT pg_catalog.set_config('statement_timeout', %s, true), pg_catalog.set_config('lock_timeout', %s, true),
  pg_catalog.set_config('transaction_read_only', %s, true)
"""

_SIGNATURES = """
SELECT p.proname, p.provolatile = 's',
  coalesce(array_agg(a.name ORDER BY a.position) FILTER (WHERE a.name IS NOT NULL), '{}'),
  coalesce(array_agg(pg_catalog.format_type(a.type, NULL) ORDER BY a.position) FILTER (WHERE a.name IS NOT NULL), '{}'),
  (SELECT split_part(c.setting, '=', 2) FROM unnest(p.proconfig) AS c (setting)
    WHERE c.setting LIKE 'statement\\_timeout=%')
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
LEFT JOIN LATERAL unnest(p.proargnames, p.proargtypes::oid[]) WITH ORDINALITY AS a (name, type, position) ON true
WHERE n.nspname = 'public' AND p.proname LIKE 'post\\_audit\\_%'
GROUP BY p.oid, p.proname, p.provolatile, p.proconfig
"""


def translate(error: psycopg.Error) -> PostAuditError:
    """Name a driver's error in our words; the connection string never gets into the text."""
    hint = error.diag.message_hint or ""
    message = error.diag.message_primary
    if error.sqlstate is not None and message is not None:
        return error_for_sqlstate(error.sqlstate, message, hint)
    return ConnectionLost(
        "The connection to the database broke.",
        cure="Run again: what was decided before is kept and not decided twice.",
        sqlstate=error.sqlstate,
    )


def _place(conninfo: str) -> str:
    """Where the database is, without who we are there."""
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise InvalidSetting(
            "DATABASE_URL is not a PostgreSQL address.",
            cure="Write it as postgresql://USER:PASSWORD@HOST:5432/DATABASE.",
        ) from error
    host, port = parts.get("host") or parts.get("hostaddr") or "localhost", parts.get("port") or 5432
    return f"{parts.get('dbname') or parts.get('user') or 'postgres'} on {host}:{port}"


def connect(conninfo: str, *, autocommit: bool = True) -> psycopg.Connection:
    """Open one connection, or say in our words why not.

    Raises `InvalidSetting`, `CredentialsRefused` or `DatabaseUnreachable` (all of them `ConfigurationError`).
    """
    place = _place(conninfo)
    try:
        return psycopg.connect(
            conninfo,
            autocommit=autocommit,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            # PgBouncer and Supavisor in transaction mode lose prepared statements between transactions.
            prepare_threshold=None,
            application_name="post-audit",
        )
    except psycopg.OperationalError as error:
        # libpq gives no SQLSTATE for a refused connection; its text is the only sign, in English or not at all.
        text = str(error).lower()
        if _NO_DATABASE.search(text):
            raise DatabaseUnreachable(
                f"There is no database {place}.", cure="Create it, or correct its name in DATABASE_URL."
            ) from None
        if _NOT_ACCEPTED.search(text):
            raise CredentialsRefused(
                f"The database {place} does not accept this user or password.",
                cure="Check the user and the password in DATABASE_URL.",
            ) from None
        raise DatabaseUnreachable(
            f"Nobody answers at {place}.",
            cure="Check host and port in DATABASE_URL, and that the server is running.",
        ) from None


@dataclass(frozen=True, slots=True)
class _Function:
    """One SQL function: its parameters' types, its own limit of time, and the statements that were built for it."""

    reads_only: bool
    types: dict[str, str]
    timeout: str
    statements: dict[tuple[str, ...], bytes] = field(default_factory=dict)


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that knows when it was used last."""

    used_at = float("-inf")


def _check(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Find a connection that the server has closed. Asking it each time took a fifth of a short call.

    One that was closed has its end waiting to be read; whatever waits there, the server is asked then.
    """
    if (
        isinstance(connection, _Connection)
        and time.monotonic() - connection.used_at < _TRUSTED_SECONDS
        and not select.select([connection], [], [], 0)[0]
    ):
        return
    ConnectionPool.check_connection(connection)


class PsycopgDatabase:
    """Calls the migration's functions over a pool of connections; safe to use from several threads."""

    def __init__(self, conninfo: str, *, label: str = "", connections: int = 6) -> None:
        """Prepare a pool of at most `connections`; nothing is opened before the first call."""
        self._conninfo = conninfo
        self._place = _place(conninfo) + (f" ({label})" if label else "")
        self._pool = ConnectionPool(
            conninfo,
            min_size=0,
            max_size=connections,
            open=False,
            timeout=CONNECT_TIMEOUT_SECONDS,
            # a connection that the server has closed is replaced before it is handed out
            check=_check,
            connection_class=_Connection,
            kwargs={
                "autocommit": True,
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                "prepare_threshold": None,
                "application_name": "post-audit",
            },
        )
        self._functions: dict[str, _Function] | None = None

    def describe(self) -> str:
        """Say where this database is, without its secrets."""
        return self._place

    def close(self) -> None:
        """Give back every connection."""
        self._pool.close()

    def call(self, function: str, **arguments: object) -> JSON:
        """Run one SQL function in one transaction of its own. See `ports.Database`."""
        known = self._function(function)
        names = tuple(arguments)
        if names not in known.statements:
            known.statements[names] = _statement(function, names, known.types)
        statement = known.statements[names]
        values = [_as_text(known.types[name], value) for name, value in arguments.items()]
        for value in values:
            utf8(value or "")
        try:
            return self._run(statement, values, known)
        except ConnectionLost:
            if not known.reads_only:
                raise
            # Reading again is safe, and the pool has thrown the broken connection away.
            return self._run(statement, values, known)

    def _run(self, statement: bytes, values: list[str | None], function: _Function) -> JSON:
        limits = (function.timeout, str(LOCK_TIMEOUT_MILLISECONDS), "on" if function.reads_only else "off")
        with self._connection() as connection:
            # Both go out at once and are one transaction, which ends with the pipeline: one way to the server and
            # back instead of four, and poolers in transaction mode see the same.
            with connection.pipeline():
                connection.execute(_LIMITS, limits)
                answered = connection.execute(statement, values)
            row = answered.fetchone()
            connection.used_at = time.monotonic()
        return None if row is None or row[0] is None else decode(row[0])

    @contextmanager
    def _connection(self) -> Iterator[_Connection]:
        try:
            if self._pool.closed:
                # The pool retries quietly and cannot say why it fails; one plain connection can.
                connect(self._conninfo).close()
                self._pool.open()
            with self._pool.connection() as connection:
                yield connection
        except PoolTimeout:
            connect(self._conninfo).close()
            raise ConnectionLost(
                "All database connections are busy.",
                cure="Run again; if it stays, look for a stuck transaction.",
            ) from None
        except psycopg.Error as error:
            raise translate(error) from error

    def _function(self, function: str) -> _Function:
        if self._functions is None or function not in self._functions:
            with self._connection() as connection:
                rows = connection.execute(_SIGNATURES).fetchall()
            self._functions = {
                name: _Function(
                    stable,
                    dict(zip(names, types, strict=True)),
                    timeout or str(STATEMENT_TIMEOUT_MILLISECONDS),
                )
                for name, stable, names, types, timeout in rows
            }
            if "post_audit_read_status" not in self._functions:
                raise NotMigrated(
                    f"The database {self._place} does not have the protocol's tables and functions.",
                    cure="Apply the migration: post-audit migrate.",
                )
        if function not in self._functions:
            raise FunctionMissing(
                f"The database has no function {function}.",
                cure="Apply the migration again: post-audit migrate.",
            )
        return self._functions[function]


def _statement(function: str, names: tuple[str, ...], types: dict[str, str]) -> bytes:
    """Build the call of a function. Raises `InvalidArgument` for a name that is none of its parameters."""
    unknown = set(names) - types.keys()
    if unknown:
        raise InvalidArgument(f"{function} takes no argument named {', '.join(sorted(unknown))}.")
    return (
        sql.SQL("SELECT public.{}({})::text")
        .format(
            sql.Identifier(function),
            sql.SQL(", ").join(
                sql.SQL("{} => %s::{}").format(sql.Identifier(name), sql.SQL(types[name])) for name in names
            ),
        )
        .as_bytes(None)
    )


def _as_text(type_name: str, value: object) -> str | None:
    """Write an argument as the text that PostgreSQL casts to the parameter's type."""
    if value is None:
        return None
    if type_name in {"jsonb", "json"}:
        return encode(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime) and value.tzinfo is None:
        message = f"a moment without a time zone cannot be sent: {value.isoformat()}"
        raise TypeError(message)
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
