"""The runner over a real database: isolates failures, resumes, follows, and never decides twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.errors import NotFound, RunLost
from app.post_audit.ports import Database
from app.post_audit.runner import Runner
from app.post_audit.step import Decision, Step
from tests.support import decisions

pytestmark = [pytest.mark.database, pytest.mark.both_transports]

LEASE = timedelta(seconds=30)


@dataclass(frozen=True)
class NoPolicy:
    """A step that needs no thresholds."""


def make_step(name: str, decide: Callable[[], Decision] = decisions.nothing) -> Step[None, NoPolicy]:
    """A step whose decision is made by a plain function."""

    def gather(_database: Database, _policy: NoPolicy, _as_of: datetime) -> None:
        return None

    def decided(_facts: None, _policy: NoPolicy) -> Decision:
        return decide()

    return Step(name=name, title=name.title(), question="?", policy=NoPolicy(), gather=gather, decide=decided)


def broken() -> Decision:
    raise ZeroDivisionError("planted")


def contents(connection: psycopg.Connection) -> dict[str, list[Any]]:
    """Every row of every table of the database, as text."""
    tables = connection.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname IN ('public', 'post_audit') ORDER BY 1"
    ).fetchall()
    return {
        name: connection.execute(
            sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(sql.SQL(name))
        ).fetchall()
        for (name,) in tables
    }


def test_runs_the_steps_in_order_and_reports_each(database: Database) -> None:
    steps = [make_step("conversions"), make_step("infrastructure")]
    report = Runner(database, steps, lease=LEASE).run()
    assert (report.state, report.origin, [step.step for step in report.steps]) == (
        "completed",
        "started",
        ["conversions", "infrastructure"],
    )
    assert all(
        step.decision is not None and step.decision["headline"] == "Nothing changed." for step in report.steps
    )


def test_a_failing_step_leaves_the_others_alone_and_says_why(database: Database) -> None:
    def database_error() -> Decision:
        database.call("post_audit_read_nothing")
        return decisions.nothing()

    steps = [make_step("conversions", broken), make_step("infrastructure", database_error), make_step("bugs")]
    report = Runner(database, steps, lease=LEASE).run()
    assert report.failed
    assert report.state == "failed"
    assert [(step.state, (step.error or {}).get("code")) for step in report.steps] == [
        ("failed", "ZeroDivisionError"),
        ("failed", "FunctionMissing"),
        ("decided", None),
    ]
    assert report.steps[1].error is not None
    assert "post-audit migrate" in report.steps[1].error["cure"]


def test_a_paused_step_rests(database: Database) -> None:
    decisions.arm(database, "bugs", "paused")
    report = Runner(database, [make_step("bugs", broken)], lease=LEASE).run()
    assert (report.steps[0].state, report.failed) == ("paused", False)


def test_a_dry_run_changes_no_byte(database: Database, connection: psycopg.Connection) -> None:
    decisions.arm(database)
    before = contents(connection)
    steps = [
        make_step("infrastructure", lambda: decisions.raise_quota(20_000, 30_000)),
        make_step("bugs", broken),
    ]
    report = Runner(database, steps, lease=LEASE).preview()
    assert contents(connection) == before
    assert report.steps[0].decision is not None
    assert report.steps[0].decision["changes"][0]["after"]["daily_quota"] == 30_000
    assert report.failed


def test_an_unknown_step_is_named_with_those_there_are(database: Database) -> None:
    with pytest.raises(NotFound, match="no step named nonsense") as refused:
        Runner(database, [make_step("bugs")], lease=LEASE).run(names=["nonsense"])
    assert "bugs" in refused.value.cure


def test_looks_again_once_when_the_state_moved(database: Database, connection: psycopg.Connection) -> None:
    decisions.arm(database)
    looks: list[int] = []

    def decide() -> Decision:
        row = connection.execute(
            "SELECT daily_quota FROM post_audit.capacity WHERE channel = 'sms'"
        ).fetchone()
        assert row is not None
        looks.append(row[0])
        if len(looks) == 1:  # somebody is quicker, once
            connection.execute(
                "UPDATE public.infrastructure_config SET daily_quota = 25000 WHERE channel = 'sms'"
            )
        return decisions.raise_quota(looks[-1], 40_000)

    report = Runner(database, [make_step("infrastructure", decide)], lease=LEASE).run()
    assert (looks, report.state) == ([20_000, 25_000], "completed")


def test_goes_on_with_a_run_whose_lease_expired_and_keeps_what_was_decided(
    database: Database, connection: psycopg.Connection
) -> None:
    run_id, token = decisions.begin(database, tick="interrupted", owner="gone")
    kept: Any = database.call(
        "post_audit_apply_decision",
        run_id=run_id,
        token=token,
        step="conversions",
        decision=decisions.nothing(),
    )
    connection.execute("UPDATE post_audit.runs SET lease_expires_at = now()")
    report = Runner(database, [make_step("conversions", broken), make_step("bugs")], lease=LEASE).run()
    assert (report.origin, report.run_id, report.state) == ("resumed", run_id, "completed")
    assert report.steps[0].decision is not None
    assert report.steps[0].decision["id"] == kept["decision"]["id"]


def test_takes_over_at_once_from_a_process_that_is_dead(conninfo: str, database: Database) -> None:
    """The owner is killed without warning; nobody waits for its lease of 30 s."""
    program = (
        "import sys, os, signal\n"
        "from datetime import timedelta\n"
        "from app.post_audit.db.psycopg_database import PsycopgDatabase\n"
        "from app.post_audit.runner import owner\n"
        "database = PsycopgDatabase(sys.argv[1])\n"
        "database.call('post_audit_apply_begin_run', tick='killed', owner=owner.mine(), lease_seconds=30)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run(
        [sys.executable, "-c", program, conninfo], env=environment, check=False, timeout=60
    )
    assert killed.returncode == -9
    report = Runner(database, [make_step("bugs")], lease=LEASE).run()
    assert (report.origin, report.state, report.tick) == ("resumed", "completed", "killed")


def test_two_at_once_make_one_run(conninfo: str) -> None:
    inside, go_on = threading.Event(), threading.Event()
    decided: list[str] = []

    def slow() -> Decision:
        decided.append("bugs")
        inside.set()
        assert go_on.wait(30)
        return decisions.nothing()

    reports: dict[str, Any] = {}

    class Watch:
        def waiting(self, owner: str) -> None:
            assert owner.startswith("process ")
            go_on.set()

        def step_started(self, step: object) -> None: ...
        def step_ended(self, report: object) -> None: ...
        def preparing(self, notice: str) -> None: ...
        def batch_done(self, remaining: int) -> None: ...

    def work(name: str, progress: Watch | None = None) -> None:
        database = PsycopgDatabase(conninfo)
        reports[name] = Runner(database, [make_step("bugs", slow)], lease=LEASE).run(progress=progress)
        database.close()

    first = threading.Thread(target=work, args=("first",))
    first.start()
    assert inside.wait(30)
    second = threading.Thread(target=work, args=("second", Watch()))
    second.start()
    for thread in (first, second):
        thread.join(60)
    assert decided == ["bugs"]
    assert reports["first"].run_id == reports["second"].run_id
    assert reports["second"].origin == "followed"


def test_who_lost_the_run_stops(database: Database, connection: psycopg.Connection) -> None:
    def taken_over() -> Decision:
        connection.execute("UPDATE post_audit.runs SET token = token + 1, owner = 'another'")
        return decisions.nothing()

    with pytest.raises(RunLost):
        Runner(database, [make_step("bugs", taken_over)], lease=LEASE).run()
    assert connection.execute("SELECT count(*) FROM post_audit.decisions").fetchone() == (0,)


def test_a_stop_hands_the_run_back_between_steps(database: Database) -> None:
    def stop() -> Decision:
        runner.stop()
        return decisions.nothing()

    runner = Runner(database, [make_step("conversions", stop), make_step("bugs")], lease=LEASE)
    report = runner.run()
    assert (report.state, [step.step for step in report.steps]) == ("running", ["conversions"])
    resumed = Runner(database, [make_step("conversions", broken), make_step("bugs")], lease=LEASE).run()
    assert (resumed.origin, resumed.state, len(resumed.steps)) == ("resumed", "completed", 2)


def test_a_tick_is_run_once_and_a_single_step_alone(database: Database) -> None:
    runner = Runner(database, [make_step("conversions"), make_step("bugs")], lease=LEASE)
    first = runner.run(tick="schedule:1", kind="schedule")
    again = runner.run(tick="schedule:1", kind="schedule")
    alone = runner.run(kind="step", names=["bugs"])
    assert (again.run_id, again.origin) == (first.run_id, "finished")
    assert [step.step for step in alone.steps] == ["bugs"]


def test_a_decision_in_batches_is_carried_out_to_the_end(
    database: Database, connection: psycopg.Connection
) -> None:
    decisions.arm(database)
    single = decisions.raise_quota(20_000, 20_001)
    ladder = replace(
        single,
        changes=tuple(
            replace(single.changes[0], before=decisions.capacity(rung), after=decisions.capacity(rung + 1))
            for rung in range(20_000, 20_025)
        ),
        messages=(),
        undo_messages=(),
    )
    step = replace(make_step("infrastructure", lambda: ladder), batch_size=10)
    report = Runner(database, [step], lease=LEASE).run()
    assert report.steps[0].decision is not None
    assert report.steps[0].decision["state"] == "applied"
    row = connection.execute("SELECT daily_quota FROM post_audit.capacity WHERE channel = 'sms'").fetchone()
    assert row == (20_025,)


def test_finishes_what_another_worker_left_half_carried_out(
    database: Database, connection: psycopg.Connection
) -> None:
    decision = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
    # as it stands after an approval whose process died before its last batch
    connection.execute("UPDATE post_audit.decisions SET state = 'applying' WHERE id = %s", (decision["id"],))
    connection.execute(
        "UPDATE post_audit.changes SET state = 'pending' WHERE decision_id = %s", (decision["id"],)
    )
    Runner(database, [make_step("bugs")], lease=LEASE).run()
    finished: Any = database.call("post_audit_read_decision", decision_id=decision["id"])
    assert finished["state"] == "applied"
