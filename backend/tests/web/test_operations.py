"""`/ready` tells how the machinery stands, and warns of what somebody should look at."""

from __future__ import annotations

import psycopg
import pytest
from fastapi.testclient import TestClient

from app.post_audit.ports import Database
from app.post_audit.runner import owner
from tests.support import decisions

pytestmark = [pytest.mark.database, pytest.mark.both_transports]

ELSEWHERE = "another machine|1|1|elsewhere|0"


def test_a_new_marketplace_has_nothing_to_warn_of(client: TestClient) -> None:
    ready = client.get("/ready").json()
    assert ready["warnings"] == []
    assert ready["operations"]["run"] is None
    assert ready["operations"]["messages"] == {"waiting": 0, "due": 0, "claimed": 0, "oldest_seconds": 0}


def test_what_is_left_alone_is_told_and_work_goes_on(
    client: TestClient, database: Database, connection: psycopg.Connection
) -> None:
    for name, kind in ((owner.mine(), "schedule"), (ELSEWHERE, "worker")):
        database.call(
            "post_audit_apply_worker_seen", name=name, kind=kind, next_tick="2099-01-01T00:00:00+00:00"
        )
    connection.execute(
        "UPDATE post_audit.workers SET seen_at = now() - interval '2 minutes' WHERE name = %s", (ELSEWHERE,)
    )
    decisions.arm(database)
    decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
    connection.execute("UPDATE post_audit.outbox SET created_at = now() - interval '1 hour'")
    answer = client.get("/ready")
    assert answer.status_code == 200
    ready = answer.json()
    assert ready["operations"]["next_tick"].startswith("2099-01-01")
    assert [worker["alive"] for worker in ready["operations"]["workers"]] == [True, False]
    assert ready["warnings"] == [
        "Messages that wait: 1, the oldest for 60 minutes.",
        "Not seen for a minute: worker.",
    ]


def test_a_run_without_a_sign_of_life_is_told(
    client: TestClient, database: Database, connection: psycopg.Connection
) -> None:
    run_id, _ = decisions.begin(database, tick="left", owner=ELSEWHERE)
    connection.execute("UPDATE post_audit.runs SET lease_expires_at = now() - interval '1 second'")
    ready = client.get("/ready").json()
    assert ready["warnings"] == [f"Run {run_id} waits for a worker: its owner gives no sign of life."]
    assert {step["state"] for step in ready["operations"]["run"]["steps"]} == {"waiting"}
