"""The direct connection: what is called, how values travel, and what every failure is called."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.db.rest_database import LONG_CALLS
from app.post_audit.errors import (
    BindingNeeded,
    ConnectionLost,
    Contention,
    CredentialsRefused,
    DatabaseError,
    DatabaseUnreachable,
    FunctionMissing,
    InvalidArgument,
    InvalidSetting,
    NotFound,
    NotMigrated,
    PermissionRefused,
    PostAuditError,
    RunLost,
    StateMoved,
    TookTooLong,
)

pytestmark = [pytest.mark.database, pytest.mark.direct_only("it is the direct transport itself")]

SCRATCH: Final = """
CREATE FUNCTION public.post_audit_apply_raise(code text, message text, cure text DEFAULT '') RETURNS jsonb
LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION '%', message USING ERRCODE = code, HINT = cure; END$$;
CREATE FUNCTION public.post_audit_read_echo(
  value jsonb DEFAULT NULL, text text DEFAULT 'default', flag boolean DEFAULT NULL, number integer DEFAULT NULL,
  big bigint DEFAULT NULL, exact numeric DEFAULT NULL, moment timestamptz DEFAULT NULL, day date DEFAULT NULL
) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('value', value, 'text', text, 'flag', flag, 'number', number, 'big', big, 'exact', exact,
    'moment', moment AT TIME ZONE 'UTC', 'day', day)$$;
CREATE FUNCTION public.post_audit_read_null() RETURNS jsonb LANGUAGE sql STABLE AS 'SELECT NULL::jsonb';
CREATE FUNCTION public.post_audit_read_settings() RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('read_only', current_setting('transaction_read_only'),
    'lock', current_setting('lock_timeout'), 'statement', current_setting('statement_timeout'),
    'name', current_setting('application_name'))$$;
CREATE FUNCTION public.post_audit_apply_settings() RETURNS jsonb LANGUAGE sql VOLATILE AS
  'SELECT public.post_audit_read_settings()';
CREATE TABLE public.written (number integer);
CREATE FUNCTION public.write() RETURNS integer LANGUAGE sql VOLATILE AS
  'INSERT INTO public.written VALUES (1) RETURNING 1';
CREATE FUNCTION public.post_audit_read_and_write() RETURNS jsonb LANGUAGE sql STABLE AS
  'SELECT to_jsonb(public.write())';
CREATE FUNCTION public.post_audit_apply_write(fail boolean) RETURNS jsonb LANGUAGE sql VOLATILE AS
  'SELECT to_jsonb(public.write() / CASE WHEN fail THEN 0 ELSE 1 END)';
CREATE FUNCTION public.post_audit_apply_end_connection() RETURNS jsonb LANGUAGE sql VOLATILE AS
  'SELECT to_jsonb(pg_terminate_backend(pg_backend_pid()))';
"""
CONNECTIONS: Final = """
CREATE VIEW public.connections AS SELECT pid, state FROM pg_stat_activity
WHERE application_name = 'post-audit' AND datname = current_database()
"""

FAMILIES: Final = [
    ("P0002", NotFound),
    ("PT409", StateMoved),
    ("PT423", RunLost),
    ("PT424", BindingNeeded),
    ("PT418", DatabaseError),
    ("42501", PermissionRefused),
    ("28000", PermissionRefused),
    ("0L000", PermissionRefused),
    ("0P000", PermissionRefused),
    ("42883", FunctionMissing),
    ("42P01", FunctionMissing),
    ("3F000", FunctionMissing),
    ("22023", InvalidArgument),
    ("22P02", InvalidArgument),
    ("23505", InvalidArgument),
    ("23514", InvalidArgument),
    ("42703", InvalidArgument),
    ("42804", InvalidArgument),
    ("P0001", InvalidArgument),
    ("40001", Contention),
    ("40P01", Contention),
    ("55P03", Contention),
    ("57014", TookTooLong),
    ("08006", ConnectionLost),
    ("53300", ConnectionLost),
    ("57P01", ConnectionLost),
    ("XX000", DatabaseError),
    ("25006", DatabaseError),
]

INDIA: Final = timezone(timedelta(hours=5, minutes=30))


@pytest.fixture
def scratch(database: PsycopgDatabase, connection: psycopg.Connection) -> PsycopgDatabase:
    """The port to a database with functions that do what a test needs."""
    connection.execute(SCRATCH)
    connection.execute(CONNECTIONS)
    return database


@contextmanager
def opened(conninfo: str) -> Iterator[PsycopgDatabase]:
    database = PsycopgDatabase(conninfo)
    try:
        yield database
    finally:
        database.close()


class TestErrors:
    def test_each_family_of_sqlstates_has_its_class(self, scratch: PsycopgDatabase) -> None:
        for code, kind in FAMILIES:
            with pytest.raises(PostAuditError, match=r"^Nothing was done\.") as told:
                scratch.call(
                    "post_audit_apply_raise", code=code, message="Nothing was done.", cure="Do this."
                )
            assert type(told.value) is kind, code
            assert told.value.cure == "Do this."
            if isinstance(told.value, DatabaseError):
                assert told.value.sqlstate == code

    def test_a_class_of_our_own_says_what_to_do_where_the_server_does_not(
        self, scratch: PsycopgDatabase
    ) -> None:
        with pytest.raises(Contention) as told:
            scratch.call("post_audit_apply_raise", code="40001", message="Collided.")
        assert told.value.cure == "Try again."

    def test_a_function_that_is_not_there(self, database: PsycopgDatabase) -> None:
        with pytest.raises(FunctionMissing, match="no function post_audit_read_nothing"):
            database.call("post_audit_read_nothing")

    def test_a_function_of_somebody_else_is_not_called(
        self, database: PsycopgDatabase, connection: psycopg.Connection
    ) -> None:
        connection.execute(
            "CREATE FUNCTION public.theirs() RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'"
        )
        for name in ("theirs", "pg_sleep", "public.post_audit_read_status", "post_audit_read_status()"):
            with pytest.raises(FunctionMissing):
                database.call(name)

    def test_an_argument_that_is_not_there(self, database: PsycopgDatabase) -> None:
        with pytest.raises(InvalidArgument, match="post_audit_read_run takes no argument named other, run"):
            database.call("post_audit_read_run", run=1, other=2)

    def test_an_argument_that_is_missing(self, database: PsycopgDatabase) -> None:
        with pytest.raises(FunctionMissing, match="post_audit_apply_mode"):
            database.call("post_audit_apply_mode", step="bugs")

    def test_a_value_of_another_type(self, scratch: PsycopgDatabase) -> None:
        with pytest.raises(InvalidArgument, match="invalid input syntax for type integer"):
            scratch.call("post_audit_read_echo", number="many")

    def test_a_failure_takes_everything_back(
        self, scratch: PsycopgDatabase, connection: psycopg.Connection
    ) -> None:
        with pytest.raises(InvalidArgument, match="division by zero"):
            scratch.call("post_audit_apply_write", fail=True)
        assert connection.execute("SELECT count(*) FROM public.written").fetchone() == (0,)
        scratch.call("post_audit_apply_write", fail=False)
        assert connection.execute("SELECT count(*) FROM public.written").fetchone() == (1,)


class TestTransactions:
    def test_what_reads_cannot_write(self, scratch: PsycopgDatabase, connection: psycopg.Connection) -> None:
        with pytest.raises(DatabaseError, match="read-only transaction") as told:
            scratch.call("post_audit_read_and_write")
        assert told.value.sqlstate == "25006"
        assert connection.execute("SELECT count(*) FROM public.written").fetchone() == (0,)

    def test_every_call_has_limits_and_a_name(self, scratch: PsycopgDatabase) -> None:
        limits = {"statement": "8s", "lock": "4s", "name": "post-audit"}
        assert scratch.call("post_audit_read_settings") == limits | {"read_only": "on"}
        assert scratch.call("post_audit_apply_settings") == limits | {"read_only": "off"}

    def test_nothing_stays_prepared_or_open(
        self, scratch: PsycopgDatabase, connection: psycopg.Connection
    ) -> None:
        for _ in range(10):
            scratch.call("post_audit_read_null")
        states = connection.execute("SELECT DISTINCT state FROM public.connections").fetchall()
        assert states == [("idle",)]

    def test_a_function_that_was_made_later_is_found(
        self, database: PsycopgDatabase, connection: psycopg.Connection
    ) -> None:
        database.call("post_audit_read_status")
        connection.execute(SCRATCH)
        assert database.call("post_audit_read_null") is None


class TestValues:
    @pytest.mark.parametrize(
        "value",
        [
            {"a": [1, 2.5, True, None, "x"], "nested": {"deep": []}},
            [],
            "text",
            'quotes " and \\ and % and ₹ and हिन्दी',
            0,
            2**53,
            -1.5,
            True,
            False,
        ],
    )
    def test_json_comes_back_as_it_went(self, scratch: PsycopgDatabase, value: object) -> None:
        answer: Any = scratch.call("post_audit_read_echo", value=value)
        assert answer["value"] == value
        assert type(answer["value"]) is type(value)

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("flag", True, True),
            ("flag", False, False),
            ("number", 7, 7),
            ("big", 9_007_199_254_740_993, 9_007_199_254_740_993),
            ("exact", Decimal("0.1"), 0.1),
            ("text", "; DROP TABLE public.suppliers; --", "; DROP TABLE public.suppliers; --"),
            ("text", "", ""),
            ("text", "%s %(x)s", "%s %(x)s"),
            ("moment", datetime(2025, 11, 9, 12, 30, 0, 125, tzinfo=UTC), "2025-11-09T12:30:00.000125"),
            ("moment", datetime(2025, 11, 9, 1, tzinfo=INDIA), "2025-11-08T19:30:00"),
            ("day", date(2025, 11, 9), "2025-11-09"),
            ("text", None, None),
            ("value", None, None),
            ("moment", None, None),
        ],
    )
    def test_other_values_too(
        self, scratch: PsycopgDatabase, name: str, value: object, expected: object
    ) -> None:
        answer: Any = scratch.call("post_audit_read_echo", **{name: value})
        assert answer[name] == expected

    def test_what_is_left_out_has_its_default(self, scratch: PsycopgDatabase) -> None:
        answer: Any = scratch.call("post_audit_read_echo")
        assert answer["text"] == "default"

    def test_nothing_is_none(self, scratch: PsycopgDatabase) -> None:
        assert scratch.call("post_audit_read_null") is None

    def test_a_moment_without_a_zone_is_refused(self, scratch: PsycopgDatabase) -> None:
        naive = datetime(2025, 11, 9, 12)  # noqa: DTZ001 - what a caller may get wrong
        for argument in ({"moment": naive}, {"value": {"at": naive}}):
            with pytest.raises(TypeError, match="without a time zone"):
                scratch.call("post_audit_read_echo", **argument)

    def test_what_json_cannot_hold_is_refused(self, scratch: PsycopgDatabase) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            scratch.call("post_audit_read_echo", value=float("nan"))
        with pytest.raises(InvalidArgument):
            scratch.call("post_audit_read_echo", value={"text": "\0"})


def with_password(conninfo: str, password: str) -> str:
    return make_conninfo(conninfo, password=password)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where the connection is taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


class TestPlace:
    SECRET: Final = "correct-horse"

    def fails(self, conninfo: str, kind: type[PostAuditError], said: str) -> None:
        began = time.monotonic()
        with pytest.raises(PostAuditError, match=said) as told, opened(conninfo) as database:
            database.call("post_audit_read_status")
        assert time.monotonic() - began < 5
        assert type(told.value) is kind
        assert told.value.exit_code == 2
        assert told.value.cure
        shown = f"{told.value!s}{told.value!r}"
        assert self.SECRET not in shown
        assert str(conninfo_to_dict(conninfo).get("password", self.SECRET)) not in shown

    def test_nobody_listens(self, closed: int) -> None:
        self.fails(
            f"postgresql://someone:{self.SECRET}@127.0.0.1:{closed}/bell24h",
            DatabaseUnreachable,
            f"Nobody answers at bell24h on 127.0.0.1:{closed}",
        )

    def test_nobody_answers(self, silent: int) -> None:
        self.fails(
            f"postgresql://someone:{self.SECRET}@127.0.0.1:{silent}/bell24h",
            DatabaseUnreachable,
            "Nobody answers",
        )

    def test_no_such_host(self) -> None:
        self.fails(
            f"postgresql://someone:{self.SECRET}@no-such-host.invalid/bell24h",
            DatabaseUnreachable,
            "Nobody answers",
        )

    @pytest.mark.parametrize("port", ["port", "99999"])
    def test_no_such_port(self, port: str) -> None:
        self.fails(
            f"postgresql://someone:{self.SECRET}@127.0.0.1:{port}/bell24h",
            DatabaseUnreachable,
            f"Nobody answers at bell24h on 127.0.0.1:{port}",
        )

    def test_a_wrong_password(self, server: str) -> None:
        self.fails(
            with_password(server, self.SECRET), CredentialsRefused, "does not accept this user or password"
        )

    def test_an_unknown_user(self, server: str) -> None:
        self.fails(make_conninfo(server, user="nobody_here"), CredentialsRefused, "does not accept")

    def test_no_such_database(self, server: str) -> None:
        self.fails(
            make_conninfo(server, dbname="no_such_database"),
            DatabaseUnreachable,
            "There is no database no_such_database",
        )

    def test_a_database_whose_name_sounds_like_a_role(self, server: str) -> None:
        self.fails(
            make_conninfo(server, dbname="role_play"), DatabaseUnreachable, "There is no database role_play"
        )

    def test_a_database_without_the_migration(self, empty_conninfo: str) -> None:
        self.fails(empty_conninfo, NotMigrated, "does not have the protocol's tables and functions")

    @pytest.mark.parametrize(
        "address",
        [
            "nonsense",
            "http://127.0.0.1:5432/bell24h",
            f"postgresql://someone:{SECRET}@127.0.0.1:5432/bell24h?no_such_option=1",
            f"postgresql://someone:{SECRET}@[::1/bell24h",
            f"host=127.0.0.1 password='{SECRET}",
        ],
    )
    def test_an_address_that_is_none(self, address: str) -> None:
        began = time.monotonic()
        with (
            pytest.raises(InvalidSetting, match="DATABASE_URL is not a PostgreSQL address") as told,
            opened(address) as database,
        ):
            database.call("post_audit_read_status")
        assert time.monotonic() - began < 5
        assert self.SECRET not in str(told.value)

    def test_a_place_is_told_without_its_password(self, conninfo: str) -> None:
        parts = conninfo_to_dict(conninfo)
        with opened(conninfo) as database:
            assert database.describe() == f"{parts['dbname']} on 127.0.0.1:{parts['port']}"
            assert str(parts["password"]) not in database.describe() + repr(database)


class TestLostConnections:
    @pytest.fixture
    def end_all(self, connection: psycopg.Connection) -> Callable[[], None]:
        """End every connection of the port, as a restarted server or an idle limit does."""

        def end() -> None:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM public.connections"
            ).fetchall()
            assert ended
            assert all(done for (done,) in ended)

        return end

    def test_one_that_was_ended_while_idle_is_replaced(
        self, scratch: PsycopgDatabase, end_all: Callable[[], None]
    ) -> None:
        scratch.call("post_audit_read_null")
        for function, arguments in (
            ("post_audit_read_null", {}),
            ("post_audit_apply_write", {"fail": False}),
        ):
            end_all()
            scratch.call(function, **arguments)

    def test_one_that_breaks_during_a_change_is_told(
        self, scratch: PsycopgDatabase, connection: psycopg.Connection
    ) -> None:
        with pytest.raises(ConnectionLost):
            scratch.call("post_audit_apply_end_connection")
        assert scratch.call("post_audit_read_null") is None
        assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_many_threads_share_the_port(self, scratch: PsycopgDatabase, end_all: Callable[[], None]) -> None:
        scratch.call("post_audit_read_null")
        end_all()
        answers: list[Any] = []
        threads = [
            threading.Thread(
                target=lambda number=number: answers.append(
                    scratch.call("post_audit_read_echo", number=number)["number"]  # type: ignore[call-overload,index]
                )
            )
            for number in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == list(range(20))


def test_a_limit_that_a_function_declares_holds_for_the_call(
    database: PsycopgDatabase, connection: psycopg.Connection
) -> None:
    connection.execute(
        "CREATE FUNCTION public.post_audit_apply_slow() RETURNS jsonb LANGUAGE sql VOLATILE"
        " SET statement_timeout = '50ms' AS 'SELECT to_jsonb(pg_sleep(30)::text)'"
    )
    with pytest.raises(TookTooLong):
        database.call("post_audit_apply_slow")


def test_what_may_take_longer_is_told_to_both_transports(connection: psycopg.Connection) -> None:
    found = connection.execute(
        "SELECT p.proname FROM pg_proc AS p CROSS JOIN unnest(p.proconfig) AS c (setting)"
        " WHERE p.proname LIKE 'post\\_audit\\_%' AND c.setting = 'statement_timeout=25s'"
    ).fetchall()
    assert {name for (name,) in found} == LONG_CALLS
