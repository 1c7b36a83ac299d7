"""A whole run over Supabase's REST interface while the network, the gateway or the key fails in the middle of it.

Whatever happens, the run afterwards leaves what one undisturbed run leaves: nothing is half done and nothing twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

import psycopg
import pytest

from app.post_audit.compose import steps
from app.post_audit.db.rest_database import RestDatabase
from app.post_audit.errors import ConnectionLost, Contention, CredentialsRefused, PostAuditError
from app.post_audit.outbox import ConsoleSender, dispatch
from app.post_audit.runner import Runner, RunReport
from tests.support import marketplace
from tests.support.gateway import Fault, Gateway

pytestmark = pytest.mark.database

CHANNELS: Final = ("n8n_ab_update", "n8n_scale", "telegram")
# As much as a run takes here, many times over; a real answer has ten seconds.
ANSWER_SECONDS: Final = 1.0
MARKET: Final = """
INSERT INTO public.suppliers (name, email, phone, city, state)
SELECT 'Sharma Steel Works ' || n, 'sales' || n || '@sharmasteel' || n || '.in', '+91 9820' || lpad(n::text, 6, '0'),
  'Pune', 'Maharashtra'
FROM generate_series(1, 200) AS n;
INSERT INTO public.suppliers (name, email)
SELECT 'Mock Supplier ' || n, 'mock' || n || '@example.com' FROM generate_series(1, 2) AS n;
INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, amount_paise, verified_at)
SELECT s.id, 'user ' || s.id, 'verified', 500000, now() - interval '1 day' FROM public.suppliers AS s WHERE s.id <= 20;
INSERT INTO public.bugs (title, error_code, page)
VALUES ('Search shows nothing', 'E42', '/search'), ('Pay button is grey', 'E7', '/pay');
"""


def postgrest(status: int, code: str, message: str, **headers: str) -> Fault:
    body = json.dumps({"code": code, "message": message, "details": None, "hint": None})
    return Fault(kind="status", status=status, content_type="application/json", body=body, headers=headers)


KONG: Final = Fault(
    kind="status", status=401, content_type="application/json", body='{"message": "Invalid API key"}'
)
EXPIRED: Final = postgrest(401, "PGRST303", "JWT expired")
ANONYMOUS: Final = postgrest(401, "42501", "permission denied for function post_audit_apply_decision")
ALWAYS: Final = 1000
# Calls: one begins the run, two or three are a step.
IN_THE_MIDDLE: Final = 8

PASSING: Final = {
    "500": Fault(kind="status", status=500),
    "503": postgrest(
        503, "PGRST002", "Could not query the database for the schema cache", **{"Retry-After": "0"}
    ),
    "429": Fault(kind="status", status=429, headers={"Retry-After": "0"}),
    "cut": Fault(kind="cut", done=True),
    "drop": Fault(kind="drop", done=True),
    "silence": Fault(kind="silence", done=True),
    "trickle": Fault(kind="trickle", done=True),
    "drip": Fault(kind="drip", done=True),
}
"""What is over after one call. Those that are done have been carried out, and only their answer is lost."""

LASTING: Final[dict[str, tuple[Fault, type[PostAuditError], str]]] = {
    "500": (Fault(kind="status", status=500), ConnectionLost, "answered 500 in place of the database"),
    "503": (postgrest(503, "PGRST000", "no connection"), ConnectionLost, "cannot reach its database"),
    "429": (
        Fault(kind="status", status=429, headers={"Retry-After": "600"}),
        Contention,
        "Supabase asks to wait 600 s",
    ),
    "cut": (Fault(kind="cut"), ConnectionLost, "connection to Supabase broke"),
    "silence": (Fault(kind="silence"), ConnectionLost, "did not answer in time"),
    "trickle": (Fault(kind="trickle"), ConnectionLost, "did not answer in time"),
    "drip": (Fault(kind="drip"), ConnectionLost, "did not answer in time"),
    "expired": (EXPIRED, CredentialsRefused, "SUPABASE_SERVICE_ROLE_KEY has expired"),
    "anonymous": (ANONYMOUS, CredentialsRefused, "takes it for an anonymous visitor"),
    "wrong": (KONG, CredentialsRefused, "does not accept the key in SUPABASE_SERVICE_ROLE_KEY"),
}
"""What stays as it is, from the middle of the run on: our error, and what it says."""

EVERY_CALL: Final = (
    "post_audit_apply_begin_run",
    "post_audit_read_fake_data",
    "post_audit_apply_decision",
    "post_audit_apply_finish_run",
    "post_audit_apply_settle_message",
)


@pytest.fixture
def owner(supabase_conninfo: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(supabase_conninfo, autocommit=True) as connection:
        connection.execute(MARKET.encode())
        marketplace.nearly_full(connection)
        marketplace.arm_all(connection)
        yield connection


@pytest.fixture
def run(gateway: Gateway, owner: psycopg.Connection) -> Iterator[Callable[[], RunReport]]:
    """Do what `post-audit run` does, over the gateway of that marketplace."""
    assert not owner.closed
    database = RestDatabase(
        gateway.url, gateway.service_key, answer_seconds=ANSWER_SECONDS, patience_seconds=4
    )
    runner = Runner(database, steps(), lease=timedelta(seconds=30))

    def once() -> RunReport:
        report = runner.run()
        dispatch(database, {channel: ConsoleSender() for channel in CHANNELS})
        return runner.reread(report)

    yield once
    database.close()


def counted(owner: psycopg.Connection) -> dict[str, int]:
    """The rows of every table."""
    return {relation: number for relation, (number, _) in marketplace.contents(owner).items()}


def undisturbed(owner: psycopg.Connection, report: RunReport) -> None:
    """Assert what one run leaves in this marketplace, whatever it went through."""
    assert report.state == "completed", report
    rows = counted(owner)
    assert {table: rows[f"post_audit.{table}"] for table in ("runs", "step_runs", "decisions")} == {
        "runs": 1,
        "step_runs": 6,
        "decisions": 6,
    }
    assert rows["post_audit.quarantined_suppliers"] == 2
    assert marketplace.one(owner, "SELECT count(*) FROM post_audit.suppliers") == 200
    assert (
        marketplace.one(owner, "SELECT daily_quota FROM public.infrastructure_config WHERE channel = 'sms'")
        > 20_000
    )
    states = "SELECT array_agg(DISTINCT {0}.state) FROM post_audit.{0} WHERE state <> 'superseded'"
    assert marketplace.one(owner, states.format("changes")) == ["applied"]
    assert marketplace.one(owner, states.format("outbox")) == ["shown"]
    assert marketplace.one(owner, "SELECT max(attempts) FROM post_audit.outbox") == 1


def test_a_run_without_a_fault(run: Callable[[], RunReport], owner: psycopg.Connection) -> None:
    undisturbed(owner, run())


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        pytest.param(
            function,
            fault,
            id=f"{fault}-{function.removeprefix('post_audit_')}",
            # one that reads and one that writes stand for the others
            marks=[]
            if (function, fault) in {(EVERY_CALL[1], "429"), (EVERY_CALL[2], "trickle")}
            else pytest.mark.slow,
        )
        for function in EVERY_CALL
        for fault in PASSING
    ],
)
def test_what_passes_is_not_noticed(
    run: Callable[[], RunReport], owner: psycopg.Connection, gateway: Gateway, function: str, fault: str
) -> None:
    gateway.fail(replace(PASSING[fault], function=function))
    undisturbed(owner, run())
    asked = [call.status for call in gateway.calls if call.function == function]
    assert min(asked) == 0 or max(asked) >= 400, "the fault was not met"


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, marks=[] if fault in {"429", "wrong"} else pytest.mark.slow) for fault in LASTING],
)
def test_what_lasts_is_told_and_the_next_run_goes_on_where_this_one_stopped(
    run: Callable[[], RunReport],
    owner: psycopg.Connection,
    gateway: Gateway,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    before = counted(owner)
    gateway.fail(replace(LASTING[fault][0], after=IN_THE_MIDDLE, times=ALWAYS))
    with caplog.at_level(logging.DEBUG), pytest.raises(PostAuditError) as told:
        run()
    _, kind, said = LASTING[fault]
    assert type(told.value) is kind
    assert said in str(told.value)
    assert told.value.cure
    for text in (caplog.text, str(told.value), repr(told.value)):
        assert gateway.service_key not in text
        assert gateway.service_key.rpartition(".")[2] not in text

    stopped = counted(owner)
    assert stopped["post_audit.runs"] == before["post_audit.runs"] + 1
    assert 0 < stopped["post_audit.decisions"] < 6
    # what was decided is whole, and nothing has left
    assert marketplace.one(owner, "SELECT count(*) FROM post_audit.changes WHERE state = 'pending'") == 0
    assert marketplace.one(owner, "SELECT count(*) FROM post_audit.outbox WHERE state <> 'pending'") == 0
    gateway.recover()
    # whose owner has gone is gone on with when its lease is over
    owner.execute("UPDATE post_audit.runs SET lease_expires_at = clock_timestamp() WHERE state = 'running'")
    undisturbed(owner, run())
