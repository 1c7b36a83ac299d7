"""A run is owned by one worker at a time; who lost it can do nothing more."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.errors import RunLost
from app.post_audit.ports import Database
from tests.support import decisions

pytestmark = [pytest.mark.database, pytest.mark.both_transports]


def ask(database: Database, tick: str, owner: str, lease_seconds: int = 30) -> dict[str, Any]:
    answer: Any = database.call(
        "post_audit_apply_begin_run", tick=tick, owner=owner, lease_seconds=lease_seconds
    )
    return dict(answer)


def let_the_lease_expire(connection: psycopg.Connection) -> None:
    connection.execute(
        "UPDATE post_audit.runs SET lease_expires_at = now() - interval '1 second' WHERE state = 'running'"
    )


def test_a_second_worker_is_told_who_is_at_it(database: Database) -> None:
    assert ask(database, "1", "first")["state"] == "started"
    answer = ask(database, "2", "second")
    assert (answer["state"], answer["run"]["owner"]) == ("busy", "first")
    assert 0 < answer["lease_remaining_ms"] <= 30_000


def test_a_worker_that_did_not_hear_the_answer_may_ask_again(database: Database) -> None:
    first, again = ask(database, "1", "first"), ask(database, "1", "first")
    assert (again["state"], again["run"]["id"], again["run"]["token"]) == ("started", first["run"]["id"], 1)


def test_a_tick_that_was_run_is_not_run_again(database: Database) -> None:
    run_id, token = decisions.begin(database, tick="1")
    database.call("post_audit_apply_finish_run", run_id=run_id, token=token)
    answer = ask(database, "1", "later")
    assert (answer["state"], answer["run"]["id"]) == ("finished", run_id)


def test_an_expired_lease_passes_on_under_a_new_token(
    database: Database, connection: psycopg.Connection
) -> None:
    run_id, token = decisions.begin(database, tick="1", owner="first")
    let_the_lease_expire(connection)
    answer = ask(database, "2", "second")
    assert (answer["state"], answer["run"]["id"], answer["run"]["token"]) == ("resumed", run_id, token + 1)
    for function, arguments in (
        ("post_audit_apply_decision", {"step": "infrastructure", "decision": decisions.nothing()}),
        ("post_audit_apply_step_outcome", {"step": "infrastructure", "state": "failed"}),
        ("post_audit_apply_extend_lease", {"lease_seconds": 30}),
        ("post_audit_apply_release_run", {}),
        ("post_audit_apply_finish_run", {}),
    ):
        with pytest.raises(RunLost, match="belongs to another worker"):
            database.call(function, run_id=run_id, token=token, **arguments)
    assert connection.execute("SELECT count(*) FROM post_audit.decisions").fetchone() == (0,)


def test_a_heartbeat_keeps_the_lease(database: Database, connection: psycopg.Connection) -> None:
    run_id, token = decisions.begin(database, tick="1")
    let_the_lease_expire(connection)
    database.call("post_audit_apply_extend_lease", run_id=run_id, token=token, lease_seconds=30)
    assert ask(database, "2", "second")["state"] == "busy"


def test_many_workers_that_ask_at_once_get_one_run(conninfo: str) -> None:
    databases = [PsycopgDatabase(conninfo) for _ in range(6)]
    answers: list[str] = []
    gate = threading.Barrier(len(databases))

    def work(number: int, database: PsycopgDatabase) -> None:
        gate.wait()
        answers.append(ask(database, "same tick", f"worker {number}")["state"])

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(databases)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()
    assert sorted(answers) == ["busy"] * 5 + ["started"]


def test_decisions_that_were_left_half_carried_out_are_named(
    database: Database, connection: psycopg.Connection
) -> None:
    decision = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
    connection.execute("UPDATE post_audit.decisions SET state = 'applying' WHERE id = %s", (decision["id"],))
    assert ask(database, "2", "second")["unfinished"] == [decision["id"]]
