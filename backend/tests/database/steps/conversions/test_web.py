"""The API of experiments: what the pages show, and what people decide there."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from app.post_audit.ports import Database
from app.post_audit.web.server import create_app
from tests.support.web import HERE, signed_token

pytestmark = pytest.mark.database

PREFIX = "/api/admin/ab-test"


@pytest.fixture
def client(database: Database, planted: psycopg.Connection) -> TestClient:  # noqa: ARG001
    token = signed_token(database, "asha", "approver")
    headers = {"Authorization": f"Bearer {token}"}
    return TestClient(create_app(database), base_url=HERE, headers=headers)


def row(connection: psycopg.Connection) -> dict[str, Any]:
    found = connection.execute("SELECT to_jsonb(e) FROM public.ab_test_config AS e").fetchone()
    assert found is not None
    return dict(found[0])


def test_the_known_answer_has_its_keys(client: TestClient) -> None:
    answer = client.get(f"{PREFIX}/stats", params={"hours": 240}).json()
    assert {"stats", "active_variant", "winner"} <= set(answer)
    first, second = answer["stats"]
    assert (first["total_sent"], first["total_converted"]) == (3000, 60 * 2)
    assert (second["total_sent"], second["total_converted"]) == (3000, 200)
    assert set(first["data_points"][0]) == {"time", "conversion_rate", "sent", "converted"}


def test_nobody_waits_for_a_count(client: TestClient, planted: psycopg.Connection, conninfo: str) -> None:
    # as after a load of 50,000 rows: all suppliers are to be counted again, in parts
    planted.execute("INSERT INTO post_audit.conversion_notes (experiment, supplier) VALUES (NULL, NULL)")
    planted.execute("SELECT public.post_audit_maintain_conversions(milliseconds => 0, batch => 500)")
    with psycopg.connect(conninfo) as counting:
        counting.execute(
            "SELECT pg_advisory_xact_lock(pg_catalog.hashtextextended('post_audit.conversions', 0))"
        )
        began = time.monotonic()
        told = client.get(f"{PREFIX}/stats").json()
        assert time.monotonic() - began < 1.5
    assert told["counting"]["counted"] == 500
    assert told["counting"]["invites"] > 500
    assert (told["status"], told["status_word"]) == ("counting", "unknown: still counting")
    assert "500 suppliers of about" in told["sentence"].replace("\u00a0", " ")
    assert (told["leader"], told["e_value"], len(told["stats"])) == (None, None, 2)
    # the rest follows with whoever looks next
    while (told := client.get(f"{PREFIX}/stats").json())["counting"] is not None:
        assert told["status"] == "counting"
    assert told["status"] == "ready"


def test_where_every_experiment_stands(client: TestClient) -> None:
    (told,) = client.get(f"{PREFIX}/experiments").json()["experiments"]
    assert (told["status"], told["status_word"], told["leader"]) == ("ready", "ready to switch", "variant_b")
    assert told["e_value"] > told["threshold"] == 20
    assert told["headline"] == "50 Inquiries Focus becomes the active message."
    assert [variant["immature"] for variant in told["variants"]] == [100, 100]


def test_everything_of_one_experiment(client: TestClient) -> None:
    told = client.get(f"{PREFIX}/experiments/1").json()
    assert told["bucket_hours"] == 1
    last = told["history"][-1]["variants"]["variant_b"]
    low, high = last["interval"]
    assert low < last["total_rate"] < high
    assert told["evidence"]["history"][-1]["e_value"] == pytest.approx(told["evidence"]["e_value"])
    assert told["evidence"]["history"][-1]["favours"] == "variant_b"
    (epoch,) = told["epochs"]
    assert (epoch["basis_points"], epoch["assigned"]) == (
        {"variant_a": 5000, "variant_b": 5000},
        {"variant_a": 3100, "variant_b": 3100},
    )
    assert (told["sharing"]["status"], told["sharing"]["suppliers"]) == ("kept", 6200)
    states = {guardrail["what"]: guardrail["status"] for guardrail in told["guardrails"]}
    assert states == {"opt_outs": "kept", "failed": "kept", "complaints": "not_measured"}
    assert told["switches"] == []
    assert client.get(f"{PREFIX}/experiments/77").status_code == 404


def test_a_person_switches_and_takes_it_back(
    client: TestClient, planted: psycopg.Connection, database: Database
) -> None:
    before = row(planted)
    wish = {"version": before["version"], "variant": "variant_b"}
    made = client.post(f"{PREFIX}/experiments/1/switch", json=wish).json()["decision"]
    assert (made["state"], made["actor"]) == ("applied", "asha")
    now = row(planted)
    assert (now["active_variant"], now["winner"], now["allocation_epoch"]) == ("variant_b", "variant_b", 2)
    # who still sees the former state is told so
    stale = client.post(f"{PREFIX}/experiments/1/switch", json=wish)
    assert stale.status_code == 409
    database.call("post_audit_apply_undo", decision_id=made["id"], actor="Asha")
    after = row(planted)
    changed = {"version", "updated_at", "allocation_epoch"}
    assert {key: value for key, value in after.items() if key not in changed} == {
        key: value for key, value in before.items() if key not in changed
    }
    switches = client.get(f"{PREFIX}/experiments/1").json()["switches"]
    assert [(one["kind"], one["state"]) for one in switches] == [("undo", "applied"), ("step", "undone")]


def test_a_switch_against_the_evidence_rests(client: TestClient, planted: psycopg.Connection) -> None:
    wish = {"version": row(planted)["version"], "variant": "variant_a"}
    made = client.post(f"{PREFIX}/experiments/1/switch", json=wish).json()["decision"]
    assert [reason["code"] for reason in made["reasons"]] == ["conversions.chosen", "conversions.rests"]
    assert client.get(f"{PREFIX}/experiments/1").json()["status"] == "held"


def test_a_person_stops_a_variant_and_then_everything(
    client: TestClient, planted: psycopg.Connection
) -> None:
    wish = {"version": row(planted)["version"], "variant": "variant_a"}
    assert client.post(f"{PREFIX}/experiments/1/stop", json=wish).status_code == 200
    now = row(planted)
    assert (now["active_variant"], now["allocation_basis_points"]) == (
        "variant_b",
        {"variant_a": 0, "variant_b": 10000},
    )
    last = {**wish, "version": now["version"], "variant": "variant_b"}
    assert client.post(f"{PREFIX}/experiments/1/stop", json=last).status_code == 422
    end = {"version": now["version"]}
    assert client.post(f"{PREFIX}/experiments/1/stop", json=end).status_code == 200
    assert (row(planted)["status"], client.get(f"{PREFIX}/experiments").json()["experiments"]) == (
        "stopped",
        [],
    )
