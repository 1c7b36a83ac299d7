"""Runs that any worker goes on with: killed in each step, stopped, late, asked for twice, under a stuck transaction."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.engine import Queue, Wanted, install
from app.post_audit.ports import Database
from tests.support import marketplace
from tests.support.fleet import STEPS, Fleet, harm, is_blocked_in_apply, kill_owner, settle, told
from tests.support.outbox import Outbox
from tests.support.product import Product, until
from tests.support.receiver import SECRET, Receiver
from tests.support.web import signed_token

pytestmark = pytest.mark.faults

LEASE_SECONDS = 5
# Whom nobody on this machine can prove to be dead: only the lease tells.
ELSEWHERE = "another machine|1|1|elsewhere|0"


@pytest.fixture
def fleet(tmp_path: Path, conninfo: str, connection: psycopg.Connection) -> Iterator[Fleet]:
    marketplace.nearly_full(connection)
    marketplace.arm_all(connection)
    install(conninfo)
    settings = {"DATABASE_URL": conninfo, "POST_AUDIT_LEASE_SECONDS": str(LEASE_SECONDS)}
    with Fleet(tmp_path, settings, conninfo) as made:
        yield made


@contextmanager
def held(conninfo: str, step: str) -> Iterator[psycopg.Connection]:
    """Let whoever applies a decision of this step wait, as a stuck transaction does."""
    with psycopg.connect(conninfo) as stuck:
        stuck.execute("SELECT 1 FROM post_audit.step_modes WHERE step = %s FOR UPDATE", (step,))
        yield stuck


def hang_up(connection: psycopg.Connection) -> None:
    """End what the server still does for a client that was killed; by itself it ends when its lock timeout does."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    until(lambda: not is_blocked_in_apply(connection), "the server has given the client up")


def ask(conninfo: str, tick: str) -> None:
    with Queue(conninfo, lease=timedelta(seconds=LEASE_SECONDS)) as queue:
        queue.ask(Wanted(tick=tick, kind="schedule"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def quota(connection: psycopg.Connection) -> int:
    return int(
        marketplace.one(connection, "SELECT daily_quota FROM post_audit.capacity WHERE channel = 'sms'")
    )


@pytest.mark.parametrize(
    ("steps", "elsewhere"),
    [
        (STEPS[:1], True),
        pytest.param(STEPS, False, id="all-here"),
        pytest.param(STEPS, True, id="all-elsewhere", marks=pytest.mark.slow),
    ],
)
def test_a_worker_killed_in_a_step_is_replaced(
    fleet: Fleet, connection: psycopg.Connection, steps: tuple[str, ...], elsewhere: bool
) -> None:
    """By another one within the lease and 2 s; what was decided is not decided again."""
    fleet.workers(3)
    for number, step in enumerate(steps):
        with held(fleet.conninfo, step):
            ask(fleet.conninfo, f"tick {number}")
            until(lambda: is_blocked_in_apply(connection), f"a worker is in {step}")
            before = connection.execute("SELECT max(id) FROM post_audit.decisions").fetchone()
            killed = kill_owner(fleet, connection)
            assert killed is not None
            started = time.monotonic()
            if elsewhere:
                hang_up(connection)
                connection.execute(
                    "UPDATE post_audit.runs SET owner = %s WHERE state = 'running'", (ELSEWHERE,)
                )
                connection.execute(
                    "UPDATE absurd.r_post_audit SET claimed_by = %s WHERE state = 'running'", (ELSEWHERE,)
                )
        until(
            lambda: bool(
                marketplace.one(connection, "SELECT token > 1 FROM post_audit.runs ORDER BY id DESC LIMIT 1")
            ),
            "another worker has the run",
        )
        assert time.monotonic() - started < LEASE_SECONDS + 2
        assert before is not None
        settle(connection)
        fleet.start(killed, "worker")
    assert told(connection).completed == told(connection).runs == len(steps)
    assert harm(connection) == dict.fromkeys(harm(connection), 0)
    assert quota(connection) == 30_000
    sent = "SELECT count(*) FROM post_audit.outbox WHERE channel = 'n8n_scale'"
    assert marketplace.one(connection, sent) == 1


def test_a_tick_is_one_run_and_missed_ones_fall_together(
    fleet: Fleet, connection: psycopg.Connection
) -> None:
    fleet.workers(3)
    fleet.ticks(0.5)
    fleet.ticks(0.5, "another-schedule")
    until(lambda: told(connection).completed >= 4, "four ticks have been run")
    with held(fleet.conninfo, "bugs") as stuck:
        until(lambda: is_blocked_in_apply(connection), "a run is longer than its tick")
        asked = "SELECT count(*) FROM absurd.t_post_audit WHERE params ->> 'kind' = 'schedule'"
        before = int(marketplace.one(connection, asked))
        until(lambda: int(marketplace.one(connection, asked)) >= before + 3, "three ticks have passed")
        runs = told(connection).runs
        for schedule in ("schedule", "another-schedule"):
            assert fleet.stop(schedule) == 0
        stuck.rollback()
    settle(connection)
    # the long one, and one more for all that were missed
    assert told(connection).runs == runs + 1
    assert told(connection).completed == runs + 1
    ended = "SELECT count(*) FROM absurd.t_post_audit WHERE state = 'completed' AND completed_payload ->> 'state' = %s"
    coalesced = int(marketplace.one(connection, ended, "coalesced"))
    assert coalesced >= 2
    assert runs + 1 + coalesced == marketplace.one(connection, asked)
    assert harm(connection)["runs at the same time"] == 0


def test_a_stopped_worker_hands_the_run_back(fleet: Fleet, connection: psycopg.Connection) -> None:
    [first] = fleet.workers(1)
    with held(fleet.conninfo, "fake_data") as stuck:
        ask(fleet.conninfo, "tick")
        until(lambda: is_blocked_in_apply(connection), "the worker is in a step")
        fleet.processes[first].process.terminate()
        until(lambda: bool(fleet.events("protocol.stopping")), "the signal has arrived")
        stuck.rollback()
    assert fleet.processes.pop(first).ended().returncode == 0
    left = connection.execute(
        "SELECT state, token, lease_expires_at <= now() FROM post_audit.runs"
    ).fetchone()
    assert left == ("running", 1, True)
    assert marketplace.one(connection, "SELECT max(attempt) FROM absurd.r_post_audit") == 1
    fleet.start("second", "worker")
    settle(connection)
    done = connection.execute("SELECT state, token FROM post_audit.runs").fetchall()
    assert done == [("completed", 2)]
    assert marketplace.one(connection, "SELECT count(*) FROM post_audit.decisions") == len(STEPS)


def test_a_clock_that_was_set_back_keeps_nobody_waiting(fleet: Fleet, connection: psycopg.Connection) -> None:
    """Two hours back is the same as rows that were written two hours ahead."""
    [first] = fleet.workers(1)
    with held(fleet.conninfo, "bugs"):
        ask(fleet.conninfo, "before")
        until(lambda: is_blocked_in_apply(connection), "the worker is in a step")
        fleet.kill(first)
        hang_up(connection)
        connection.execute(
            "UPDATE post_audit.runs SET owner = %s, lease_expires_at = now() + interval '2 hours'"
            " WHERE state = 'running'",
            (ELSEWHERE,),
        )
        connection.execute(
            "UPDATE absurd.r_post_audit SET claimed_by = %s, claim_expires_at = now() + interval '2 hours'"
            " WHERE state = 'running'",
            (ELSEWHERE,),
        )
    fleet.start("second", "worker")
    ask(fleet.conninfo, "after")
    until(lambda: told(connection).completed == 2, "both ticks have been run")
    assert harm(connection) == dict.fromkeys(harm(connection), 0)


def test_a_run_by_hand_is_gone_on_with_by_a_worker(fleet: Fleet, connection: psycopg.Connection) -> None:
    with held(fleet.conninfo, "live_fomo"):
        running = fleet.start("person", "run")
        until(lambda: is_blocked_in_apply(connection), "the run is in a step")
        fleet.kill("person")
        assert running.has_ended
    fleet.workers(1)
    settle(connection)
    assert told(connection).completed == told(connection).runs == 1


def test_a_step_that_ends_every_worker_is_given_up(fleet: Fleet, connection: psycopg.Connection) -> None:
    [first] = fleet.workers(1)
    with held(fleet.conninfo, "bugs"):
        ask(fleet.conninfo, "deadly")
        until(lambda: is_blocked_in_apply(connection), "the worker is in the step")
        fleet.kill(first)
        hang_up(connection)
    # ten more have ended like this one
    connection.execute("UPDATE absurd.r_post_audit SET attempt = 10 WHERE state = 'running'")
    connection.execute("UPDATE absurd.t_post_audit SET attempts = 10")
    fleet.start("second", "worker")
    settle(connection)
    steps = connection.execute(
        "SELECT s.step, s.error ->> 'code' FROM post_audit.step_runs AS s WHERE s.state = 'failed'"
    ).fetchall()
    assert steps == [("bugs", "GivenUp")]
    assert told(connection).failed == 1


@pytest.mark.slow
def test_a_killed_embedded_server_is_back_within_ten_seconds(tmp_path: Path) -> None:
    """With a schedule as its only user, which starts it again; the next tick is run."""
    product = Product(tmp_path, preloaded=True)
    schedule = product.fork("schedule", "--interval-hours", str(1 / 3600))
    try:
        until(lambda: any(e["event"] == "run.ended" for e in product.events()), "the first tick has been run")
        identity = json.loads((product.data_directory / "server.json").read_text())
        pidfile = Path(identity["data_directory"]) / "postmaster.pid"
        os.kill(int(pidfile.read_text().split()[0]), signal.SIGKILL)
        killed = time.monotonic()
        before = len(product.events())
        until(
            lambda: any(e["event"] == "run.ended" for e in product.events()[before:]),
            "a tick has been run on the server that was started again",
        )
        assert time.monotonic() - killed < 10
        schedule.process.terminate()
        assert schedule.ended().returncode == 0
    finally:
        schedule.kill()
        EmbeddedServer(product.data_directory).destroy()


def test_a_worker_without_the_migration_says_so(tmp_path: Path, empty_conninfo: str) -> None:
    ended = Product(tmp_path, {"DATABASE_URL": empty_conninfo}, preloaded=True).run("worker")
    assert ended.returncode == 2
    assert "post-audit migrate" in ended.stderr
    with psycopg.connect(empty_conninfo) as looking:
        assert marketplace.one(looking, "SELECT to_regnamespace('absurd') IS NULL")


def test_status_tells_who_works_and_what_waits(fleet: Fleet, connection: psycopg.Connection) -> None:
    fleet.workers(2)
    fleet.ticks(3600)
    until(lambda: told(connection).completed == 1, "the tick has been run")
    coming = "SELECT max(next_tick) FROM post_audit.workers"
    until(lambda: marketplace.one(connection, coming) is not None, "the schedule has said when the next is")
    status = fleet.product("person").json("status")["operations"]
    assert sorted(worker["kind"] for worker in status["workers"] if worker["alive"]) == [
        "schedule",
        "worker",
        "worker",
    ]
    assert status["next_tick"] is not None
    assert (status["run"], status["runs"][0]["state"]) == (None, "completed")
    assert status["queue"] == {"waiting": 0, "running": 0, "failed": 0, "oldest_waiting_seconds": 0}
    shown = fleet.product("person").run("status").stdout
    assert "next tick" in shown
    assert fleet.stop("worker-1") == 0
    left = "SELECT count(*) FROM post_audit.workers WHERE kind = 'worker'"
    assert marketplace.one(connection, left) == 1


@pytest.mark.parametrize("successor", ["serve", "worker"])
def test_an_audit_that_a_killed_server_took_is_imported_by_its_successor(
    fleet: Fleet, connection: psycopg.Connection, successor: str
) -> None:
    """Killed with its answer just given, and the run for another audit in its hands."""
    database = PsycopgDatabase(fleet.conninfo)
    token = signed_token(database, "ci", "operator")
    database.close()

    def send(name: str, port: int) -> int:
        request = urllib.request.Request(
            f"http://localhost:{port}/api/admin/audits?name={name}.json&target={name}",
            data=json.dumps([{"title": f"Finding of {name}", "severity": "high", "file": "a.ts"}]).encode(),
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            return int(answer.status)

    port = free_port()
    fleet.start("server", "serve", "--port", str(port))
    until(lambda: answers(port), "the port answers")
    with held(fleet.conninfo, "bugs"):
        assert send("first", port) == 201
        until(lambda: is_blocked_in_apply(connection), "the run for the first audit goes on")
        assert send("second", port) == 201
        fleet.kill("server")
    asked = "SELECT count(*) FROM absurd.t_post_audit WHERE params ->> 'kind' = 'audit'"
    assert marketplace.one(connection, asked) == 2
    fleet.start("successor", successor, *(["--port", str(free_port())] if successor == "serve" else []))
    ended = "SELECT count(*) FROM absurd.t_post_audit WHERE state = 'completed'"
    until(lambda: marketplace.one(connection, ended) == 2, "both runs have been made")
    assert marketplace.one(connection, "SELECT count(*) FROM public.enhancement_tasks") == 2
    runs = "SELECT count(*) FROM post_audit.runs WHERE kind = 'audit' AND state = 'completed'"
    assert marketplace.one(connection, runs) == 2
    assert harm(connection) == dict.fromkeys(harm(connection), 0)


def test_a_message_in_the_hands_of_a_killed_worker_is_sent_by_the_next_one_at_once(
    tmp_path: Path, conninfo: str, connection: psycopg.Connection, database: Database
) -> None:
    """A claim lasts a minute; on the same machine the dead are known."""
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        go_on.wait(60)

    with Receiver() as n8n:
        settings = {
            "DATABASE_URL": conninfo,
            "N8N_WEBHOOK_SCALE": n8n.url,
            "POST_AUDIT_N8N_SIGNING_SECRET": SECRET,
        }
        outbox = Outbox(database, connection)
        outbox.set(5)
        n8n.pause = hold
        with Fleet(tmp_path, settings, conninfo) as fleet:
            fleet.start("first", "worker")
            assert inside.wait(60)
            fleet.kill("first")
            n8n.pause = lambda: None
            go_on.set()
            started = time.monotonic()
            fleet.start("second", "worker")
            until(lambda: outbox.states() == ["applied"], "the message has arrived")
            assert time.monotonic() - started < 30
