"""Supabase's REST interface as a transport: the same answers and errors as directly, and what only networks do."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import pytest

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.db.rest_database import REPEATABLE, RestDatabase
from app.post_audit.errors import (
    ConfigurationError,
    ConnectionLost,
    Contention,
    CredentialsRefused,
    DatabaseUnreachable,
    FunctionMissing,
    InvalidArgument,
    InvalidSetting,
    NotMigrated,
    PostAuditError,
    StateMoved,
    UnexpectedAnswer,
)
from app.post_audit.ports import Database
from tests.database.test_psycopg_database import FAMILIES, SCRATCH
from tests.support import decisions, marketplace
from tests.support.gateway import Fault, Gateway, token

pytestmark = pytest.mark.database

WRITES: Final = "post_audit_apply_write"
READS: Final = "post_audit_read_null"
DECIDES: Final = "post_audit_apply_decision"


@contextmanager
def opened(url: str, key: str, **options: float) -> Iterator[RestDatabase]:
    database = RestDatabase(url, key, **options)  # type: ignore[arg-type]
    try:
        yield database
    finally:
        database.close()


@pytest.fixture
def owner(supabase_conninfo: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(supabase_conninfo, autocommit=True) as connection:
        yield connection


@pytest.fixture
def rest(gateway: Gateway, owner: psycopg.Connection) -> Iterator[RestDatabase]:
    """The port to a project with functions that do what a test needs."""
    owner.execute(SCRATCH)
    owner.execute("GRANT ALL ON public.written TO service_role")
    with opened(gateway.url, gateway.service_key) as database:
        yield database


@pytest.fixture
def direct(supabase_conninfo: str) -> Iterator[PsycopgDatabase]:
    database = PsycopgDatabase(supabase_conninfo)
    yield database
    database.close()


def written(owner: psycopg.Connection) -> int:
    row = owner.execute("SELECT count(*) FROM public.written").fetchone()
    assert row is not None
    return int(row[0])


def _mapping(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    assert isinstance(answer, dict)
    return answer


def fails(database: Database, function: str, **arguments: object) -> PostAuditError:
    with pytest.raises(PostAuditError) as told:
        database.call(function, **arguments)
    return told.value


class TestAnswers:
    @pytest.mark.usefixtures("rest")
    def test_every_sqlstate_is_of_the_same_class_as_directly(
        self, gateway: Gateway, direct: PsycopgDatabase
    ) -> None:
        """Without patience: what was rolled back would be tried again."""
        with opened(gateway.url, gateway.service_key, patience_seconds=0) as impatient:
            for code, kind in FAMILIES:
                told = [
                    fails(
                        database, "post_audit_apply_raise", code=code, message="It failed.", cure="Do this."
                    )
                    for database in (impatient, direct)
                ]
                assert [type(error) for error in told] == [kind, kind], code
                assert [error.message for error in told] == ["It failed."] * 2, code
                assert [error.cure for error in told] == ["Do this."] * 2, code

    @pytest.mark.parametrize("name", ["service_key", "secret_key"])
    def test_both_kinds_of_key_are_the_service(self, gateway: Gateway, name: str) -> None:
        with opened(gateway.url + "/", getattr(gateway, name)) as database:
            answer: Any = database.call("post_audit_read_status")
            assert answer["schema_version"] == 1
            assert database.describe() == f"{gateway.url.removeprefix('http://')} (Supabase REST)"

    def test_values_come_back_as_directly(self, rest: RestDatabase, direct: PsycopgDatabase) -> None:
        arguments: dict[str, Any] = {
            "value": {"a": [1, 2.5, True, None, '₹ हिन्दी " \\ %']}, "text": "; DROP", "flag": False,
            "number": 7, "big": 9_007_199_254_740_993, "exact": 0.1,
        }  # fmt: skip
        answers = [database.call("post_audit_read_echo", **arguments) for database in (rest, direct)]
        assert answers[0] == answers[1]
        values: list[Any] = ["text", [], 0, 2**53, True, {"deep": {}}]
        for value in values:
            pair: list[Any] = [
                database.call("post_audit_read_echo", value=value) for database in (rest, direct)
            ]
            assert pair[0] == pair[1]
            assert pair[0]["value"] == value
        left_out: Any = rest.call("post_audit_read_echo")
        assert left_out["text"] == "default"
        assert rest.call(READS) is None

    def test_what_reads_cannot_write_and_what_fails_writes_nothing(
        self, rest: RestDatabase, owner: psycopg.Connection
    ) -> None:
        assert "read-only" in fails(rest, "post_audit_read_and_write").message
        assert isinstance(fails(rest, WRITES, fail=True), InvalidArgument)
        assert written(owner) == 0

    def test_an_unknown_function_or_argument_is_named(self, rest: RestDatabase) -> None:
        assert type(fails(rest, "post_audit_read_nonsense")) is FunctionMissing
        assert type(fails(rest, READS, colour=1)) is InvalidArgument

    def test_a_database_without_the_migration(self, gateway: Gateway, owner: psycopg.Connection) -> None:
        owner.execute("DROP FUNCTION public.post_audit_read_status")
        with opened(gateway.url, gateway.service_key) as database:
            error = fails(database, "post_audit_read_status")
        assert type(error) is NotMigrated
        assert "DATABASE_URL" in error.cure

    def test_a_function_that_supabase_has_not_seen_yet_is_asked_for_again(
        self, rest: RestDatabase, gateway: Gateway
    ) -> None:
        """A schema cache that is a moment behind."""
        unseen = '{"code": "PGRST202", "message": "Could not find it", "details": null, "hint": null}'
        gateway.fail(Fault(kind="status", status=404, content_type="application/json", body=unseen))
        assert rest.call(READS) is None


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "said"),
        [
            ("expired_key", "SUPABASE_SERVICE_ROLE_KEY has expired"),
            ("anon_key", "is the project's public one (anon)"),
            ("authenticated_key", "is the project's public one (authenticated)"),
            ("publishable_key", "is the project's public one (publishable)"),
        ],
    )
    def test_a_key_of_the_wrong_kind(self, gateway: Gateway, key: str, said: str) -> None:
        value = getattr(gateway, key)
        with pytest.raises(CredentialsRefused) as told, opened(gateway.url, value) as database:
            database.call("post_audit_read_status")
        assert said in told.value.message
        assert "API Keys" in told.value.cure
        assert value not in f"{told.value!s} {told.value!r}"

    @pytest.mark.parametrize("key", ["sb_secret_wrong", token("service_role", secret="another"), "nonsense"])
    def test_a_key_that_is_nobodys(self, gateway: Gateway, key: str) -> None:
        with opened(gateway.url, key) as database:
            error = fails(database, "post_audit_apply_mode", step="bugs", mode="act", actor="a test")
        assert type(error) is CredentialsRefused
        assert "SUPABASE_SERVICE_ROLE_KEY" in error.message
        assert key not in str(error)

    @pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
    def test_what_cannot_be_a_key(self, key: str) -> None:
        with pytest.raises(InvalidSetting, match="SUPABASE_SERVICE_ROLE_KEY is no key") as told:
            RestDatabase("https://x.supabase.co", key)
        assert key not in str(told.value)

    @pytest.mark.parametrize(
        "url", ["x.supabase.co", "https://", "ftp://x", "https://x:port", "https://a:b@x", "https://x?y"]
    )
    def test_what_cannot_be_an_address(self, url: str) -> None:
        with pytest.raises(InvalidSetting, match="SUPABASE_URL"):
            RestDatabase(url, "sb_secret_x")


BROKEN: Final = [
    *(
        Fault(kind="status", status=status, done=done)
        for status in (500, 502, 503, 504, 520)
        for done in (False, True)
    ),
    Fault(kind="cut", done=True),
    Fault(kind="drop"),
    Fault(kind="drop", done=True),
]


class TestNetworks:
    def test_what_may_have_been_done_is_not_done_again(
        self, rest: RestDatabase, gateway: Gateway, owner: psycopg.Connection
    ) -> None:
        """Nothing half done, and nothing twice: the rows are counted."""
        for fault in BROKEN:
            before, called = written(owner), len(gateway.calls)
            gateway.fail(fault)
            error = fails(rest, WRITES, fail=False)
            assert type(error) is ConnectionLost, fault
            assert "not decided twice" in error.cure
            assert len(gateway.calls) == called + 1, fault
            assert written(owner) - before == (1 if fault.done else 0), fault

    def test_reading_is_tried_again(self, rest: RestDatabase, gateway: Gateway) -> None:
        for fault in BROKEN:
            called = len(gateway.calls)
            gateway.fail(fault)
            assert rest.call(READS) is None
            assert len(gateway.calls) == called + 2, fault

    @pytest.mark.parametrize("kind", ["cut", "drop", "status"])
    def test_a_decision_whose_answer_was_lost_is_asked_for_again_and_decided_once(
        self,
        rest: RestDatabase,
        gateway: Gateway,
        owner: psycopg.Connection,
        kind: Any,  # noqa: ANN401 - of Fault
    ) -> None:
        decisions.arm(rest)
        gateway.fail(Fault(kind=kind, done=True, status=502, function="post_audit_apply_begin_run"))
        gateway.fail(Fault(kind=kind, done=True, status=502, function=DECIDES))
        decided = decisions.decide(rest, decisions.raise_quota(20_000, 30_000), tick="1")
        assert decided["state"] == "applied"
        counted = (
            "SELECT (SELECT count(*) FROM post_audit.runs), (SELECT count(*) FROM post_audit.decisions),"
            " (SELECT count(*) FROM post_audit.outbox)"
        )
        assert owner.execute(counted).fetchone() == (1, 1, 1)
        assert [call.function for call in gateway.calls].count(DECIDES) == 2

    def test_what_never_ran_is_tried_again(
        self, rest: RestDatabase, gateway: Gateway, owner: psycopg.Connection
    ) -> None:
        for number, code in enumerate(("PGRST000", "PGRST002", "PGRST003"), 1):
            body = f'{{"code": "{code}", "message": "not now", "details": null, "hint": null}}'
            gateway.fail(
                Fault(kind="status", status=503, content_type="application/json", body=body, times=2)
            )
            rest.call(WRITES, fail=False)
            assert written(owner) == number
            assert len(gateway.calls) == 3 * number

    def test_what_was_rolled_back_is_tried_again_and_then_told(
        self, rest: RestDatabase, gateway: Gateway
    ) -> None:
        assert type(fails(rest, "post_audit_apply_raise", code="40001", message="In the way.")) is Contention
        assert [call.status for call in gateway.calls] == [500] * 4

    def test_too_many_requests_are_tried_again_when_the_server_says(
        self, rest: RestDatabase, gateway: Gateway, owner: psycopg.Connection
    ) -> None:
        gateway.fail(Fault(kind="status", status=429, headers={"Retry-After": "1"}))
        began = time.monotonic()
        rest.call(WRITES, fail=False)
        assert time.monotonic() - began >= 1
        assert written(owner) == 1

    def test_nobody_waits_longer_than_is_of_use(self, rest: RestDatabase, gateway: Gateway) -> None:
        gateway.fail(Fault(kind="status", status=429, headers={"Retry-After": "600"}))
        began = time.monotonic()
        error = fails(rest, READS)
        assert time.monotonic() - began < 5
        assert type(error) is Contention
        assert "wait 600 s" in error.cure

    @pytest.mark.parametrize("done", [False, True])
    def test_silence_is_ended_by_us(
        self, gateway: Gateway, rest: RestDatabase, owner: psycopg.Connection, done: bool
    ) -> None:
        gateway.fail(Fault(kind="silence", done=done, function=WRITES))
        with opened(gateway.url, gateway.service_key, answer_seconds=0.5) as hasty:
            error = fails(hasty, WRITES, fail=False)
        assert type(error) is ConnectionLost
        assert "did not answer in time" in error.message
        assert written(owner) == (1 if done else 0)
        assert rest.call(READS) is None

    def test_an_answer_that_trickles_is_ended_by_us(
        self, gateway: Gateway, rest: RestDatabase, owner: psycopg.Connection
    ) -> None:
        """Each sign comes in time, and the whole never does."""
        gateway.fail(Fault(kind="trickle", done=True, function=WRITES))
        began = time.monotonic()
        with opened(gateway.url, gateway.service_key, answer_seconds=0.5) as hasty:
            error = fails(hasty, WRITES, fail=False)
        assert time.monotonic() - began < 5
        assert type(error) is ConnectionLost
        assert "did not answer in time" in error.message
        assert written(owner) == 1
        assert rest.call(READS) is None

    @pytest.mark.usefixtures("rest")
    def test_headers_that_drip_are_ended_by_us(self, gateway: Gateway, owner: psycopg.Connection) -> None:
        """A sign a second, before the answer has even begun; others are answered meanwhile."""
        gateway.fail(Fault(kind="drip", done=True, function=WRITES, seconds=1))
        began = time.monotonic()
        with opened(gateway.url, gateway.service_key, answer_seconds=1.5) as hasty:
            with ThreadPoolExecutor(1) as thread:
                dripping = thread.submit(fails, hasty, WRITES, fail=False)
                assert hasty.call(READS) is None
                error = dripping.result()
            assert time.monotonic() - began < 5
            assert hasty.call(READS) is None
        assert type(error) is ConnectionLost
        assert "did not answer in time" in error.message
        assert written(owner) == 1

    @pytest.mark.parametrize(
        ("fault", "kind", "said"),
        [
            (Fault(kind="status", status=200), DatabaseUnreachable, "SUPABASE_URL is not Supabase's"),
            (Fault(kind="status", status=404), DatabaseUnreachable, "SUPABASE_URL is not Supabase's"),
            (
                Fault(kind="status", status=302, headers={"Location": "https://x/"}),
                DatabaseUnreachable,
                "another address",
            ),
            (Fault(kind="status", status=413), InvalidArgument, "too large"),
            (
                Fault(
                    kind="status", status=406, content_type="application/json", body='{"code": "PGRST106"}'
                ),
                ConfigurationError,
                "does not expose the schema public",
            ),
            (
                Fault(
                    kind="status",
                    status=400,
                    content_type="application/json",
                    body='{"code": "PGRST999", "message": "m"}',
                ),
                UnexpectedAnswer,
                "PGRST999: m",
            ),
            (
                Fault(kind="status", status=401, body="Unauthorized", content_type="text/plain"),
                CredentialsRefused,
                "KEY",
            ),
        ],
        ids=["a page", "not found", "moved", "too large", "not exposed", "unknown", "unauthorized"],
    )
    def test_what_else_may_answer_is_named(
        self, rest: RestDatabase, gateway: Gateway, fault: Fault, kind: type[PostAuditError], said: str
    ) -> None:
        gateway.fail(fault)
        error = fails(rest, WRITES, fail=False)
        assert type(error) is kind
        assert said in error.message
        assert len(gateway.calls) == 1

    def test_nobody_is_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        began = time.monotonic()
        with opened(f"http://127.0.0.1:{port}", "sb_secret_hunter2") as database:
            error = fails(database, "post_audit_read_status")
        assert time.monotonic() - began < 5
        assert type(error) is DatabaseUnreachable
        assert f"Nobody answers at 127.0.0.1:{port}" in error.message
        assert "hunter2" not in str(error)

    def test_no_such_host(self) -> None:
        with opened("https://no-such-project.invalid", "sb_secret_hunter2") as database:
            error = fails(database, "post_audit_read_status")
        assert type(error) is DatabaseUnreachable
        assert "SUPABASE_URL" in error.cure


class TestRepeating:
    """Each function that may be called twice is called twice: one effect, and the same answer."""

    def test_all_of_them_exist(self, owner: psycopg.Connection) -> None:
        found = owner.execute(
            "SELECT array_agg(proname::text) FROM pg_proc WHERE proname = ANY (%s)", (list(REPEATABLE),)
        )
        row = found.fetchone()
        assert row is not None
        assert set(row[0]) == REPEATABLE

    def test_twice_is_once(self, rest: RestDatabase, owner: psycopg.Connection) -> None:
        decisions.arm(rest)

        def twice(function: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
            first, again = (dict(_mapping(rest.call(function, **arguments))) for _ in range(2))
            # the time that is left, and whether the answer was a stored one, may differ
            for answer in (first, again):
                answer.pop("lease_remaining_ms", None)
                answer.pop("repeated", None)
            assert first == again
            return first

        begun = twice("post_audit_apply_begin_run", tick="1", owner="a test", lease_seconds=30)
        key = {"run_id": begun["run"]["id"], "token": begun["run"]["token"]}
        decided = twice(DECIDES, **key, step="infrastructure", decision=decisions.raise_quota(20_000, 30_000))
        twice("post_audit_apply_batch", decision_id=decided["decision"]["id"], batch=10)
        twice("post_audit_apply_extend_lease", **key, lease_seconds=60)
        twice(
            "post_audit_apply_step_outcome",
            **key,
            step="bugs",
            state="failed",
            error={"code": "x"},
            duration_ms=1,
        )
        twice("post_audit_apply_release_run", **key)
        twice("post_audit_apply_finish_run", **key)
        messages: Any = rest.call("post_audit_apply_claim_messages", owner="a test")
        message = {"message_id": messages[0]["message_id"], "owner": "a test"}
        later = {"state": "pending", "detail": "503", "retry_seconds": 0}
        twice("post_audit_apply_settle_message", **message, **later)
        assert rest.call("post_audit_apply_claim_messages", owner="a test")
        twice("post_audit_apply_settle_message", **message, state="delivered", detail="ok")
        # but not as something else
        assert (
            type(fails(rest, "post_audit_apply_settle_message", **message, state="failed", detail="ok"))
            is StateMoved
        )
        tables = ("runs", "decisions", "outbox", "changes", "step_runs")
        stored = marketplace.contents(owner)
        assert [stored[f"post_audit.{table}"][0] for table in tables] == [1, 1, 1, 1, 2]
