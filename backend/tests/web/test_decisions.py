"""Decisions, runs and the state of the house over the API, in the name of who is signed in."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from app.post_audit.codec import to_json
from app.post_audit.compose import steps
from app.post_audit.ports import Database
from app.post_audit.web.server import create_app
from tests.support.decisions import capacity, decide, nothing, raise_quota
from tests.support.web import GUARDED, HERE, add_user, signed_token

pytestmark = pytest.mark.database

QUOTA = "SELECT daily_quota FROM public.infrastructure_config WHERE channel = 'sms'"


def test_a_proposal_is_approved_and_taken_back_in_a_persons_name(
    client: TestClient, database: Database, connection: psycopg.Connection
) -> None:
    number = decide(database, raise_quota(20_000, 30_000), tick="1")["id"]
    waiting = client.get("/api/admin/decisions", params={"waiting": True}).json()
    assert [decision["id"] for decision in waiting["decisions"]] == [number]
    assert waiting["next"] is None
    approved = client.post(f"/api/admin/decisions/{number}/approve").json()
    assert (approved["state"], approved["actor"]) == ("applied", "tester")
    assert approved["changes"][0]["detail"] == "approved by tester"
    assert connection.execute(QUOTA).fetchone() == (30_000,)
    again = client.post(f"/api/admin/decisions/{number}/approve", json={})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "StateMoved")
    undone = client.post(f"/api/admin/decisions/{number}/undo", json={"hold_days": 3}).json()
    assert (undone["kind"], undone["undoes"], undone["actor"]) == ("undo", number, "tester")
    assert connection.execute(QUOTA).fetchone() == (20_000,)
    assert client.get(f"/api/admin/decisions/{number}").json()["undone_by"] == undone["id"]


def test_a_proposal_is_declined(
    client: TestClient, database: Database, connection: psycopg.Connection
) -> None:
    number = decide(database, raise_quota(20_000, 30_000), tick="1")["id"]
    declined = client.post(f"/api/admin/decisions/{number}/reject", json={"hold_days": 2}).json()
    assert (declined["state"], declined["changes"][0]["detail"]) == ("rejected", "declined by tester")
    assert connection.execute(QUOTA).fetchone() == (20_000,)


def test_nobody_approves_what_they_proposed_by_hand(
    database: Database, connection: psycopg.Connection
) -> None:
    with TestClient(create_app(database, policy=GUARDED), base_url=HERE) as api:
        asha, ravi = (
            {"Authorization": f"Bearer {signed_token(database, name, 'approver')}"}
            for name in ("asha", "ravi")
        )
        proposed: Any = database.call(
            "post_audit_apply_proposal",
            step="infrastructure",
            decision=to_json(raise_quota(20_000, 30_000)),
            actor="asha",
        )
        number = proposed["decision"]["id"]
        assert (proposed["decision"]["state"], proposed["decision"]["proposed_by"]) == ("proposed", "asha")
        assert connection.execute(QUOTA).fetchone() == (20_000,)
        refused = api.post(f"/api/admin/decisions/{number}/approve", headers=asha)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "PermissionRefused")
        assert "somebody else" in refused.json()["error"]["message"]
        # nor under another token of the same person
        other = {"Authorization": f"Bearer {signed_token(database, 'asha', 'approver', is_new=False)}"}
        assert api.post(f"/api/admin/decisions/{number}/approve", headers=other).status_code == 403
        approved = api.post(f"/api/admin/decisions/{number}/approve", headers=ravi).json()
        assert (approved["state"], approved["proposed_by"], approved["actor"]) == ("applied", "asha", "ravi")
        assert connection.execute(QUOTA).fetchone() == (30_000,)


@pytest.mark.parametrize(("step", "changes"), [("nowhere", [{"subject": "capacity:sms"}]), ("bugs", [])])
def test_a_proposal_without_a_step_or_a_change_is_refused(
    database: Database, step: str, changes: list[dict[str, str]]
) -> None:
    with pytest.raises(Exception, match=r"no step named|changes something"):
        database.call("post_audit_apply_proposal", step=step, decision={"changes": changes}, actor="asha")


def test_lists_go_on_page_by_page(client: TestClient, database: Database) -> None:
    made = [decide(database, nothing(), tick=f"tick {n}")["id"] for n in range(5)]
    found: list[int] = []
    before = None
    while True:
        page = client.get(
            "/api/admin/decisions", params={"limit": 2, **({"before": before} if before else {})}
        ).json()
        found += [decision["id"] for decision in page["decisions"]]
        before = page["next"]
        if before is None:
            break
    assert found == made[::-1]
    runs = client.get("/api/admin/runs", params={"limit": 3}).json()
    assert (len(runs["runs"]), runs["next"]) == (3, runs["runs"][-1]["id"])
    assert runs["runs"][0]["steps"][0]["headline"] == "Nothing changed."
    assert client.get("/api/admin/runs", params={"tick": "tick 1"}).json()["runs"][0]["tick"] == "tick 1"


def test_a_run_is_shown_whole_and_while_it_goes_on(client: TestClient, database: Database) -> None:
    decide(database, raise_quota(20_000, 30_000), tick="1", finish=False)
    now = client.get("/api/admin/runs?limit=1").json()["runs"][0]
    assert (now["state"], now["of"], len(now["steps"])) == ("running", len(steps()), 1)
    whole = client.get(f"/api/admin/runs/{now['id']}").json()
    assert whole["steps"][0]["decision"]["changes"][0]["after"] == capacity(30_000)
    assert "token" not in whole  # it is what fences the run's owner
    assert "owner" not in whole


@pytest.mark.parametrize("path", ["/api/admin/decisions/999", "/api/admin/runs/999"])
def test_what_is_not_there_is_404_in_the_one_shape(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/admin/runs", 405),
        ("PATCH", "/health", 405),
        ("GET", "/api/nowhere", 404),
        ("POST", "/api/admin/runs/1/start", 404),
        ("GET", "/api/admin/decisions?limit=0", 422),
        ("GET", "/api/admin/decisions?before=99999999999999999999", 422),
        ("GET", "/api/admin/decisions/-1", 422),
        ("PUT", "/api/admin/modes/nothing", 422),
        ("POST", "/api/admin/runs", 503),
    ],
)
def test_refusals_have_one_shape(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"].keys() == {"code", "message", "cure"}
    if status == 405:
        assert answer.headers["allow"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: TestClient) -> None:
    for headers in ({}, {"Content-Length": "9" * 30}):
        answer = client.post(
            "/api/bugs", content=b"x" * 300_000, headers={"Content-Type": "application/json", **headers}
        )
        assert (answer.status_code, answer.json()["error"].keys()) == (413, {"code", "message", "cure"})

    def in_pieces() -> Any:  # noqa: ANN401 - a generator
        for _ in range(30):
            yield b"x" * 10_000

    answer = client.post("/api/bugs", content=in_pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_the_state_of_the_house(client: TestClient, database: Database) -> None:
    add_user(database, "vera", "viewer")
    status = client.get("/api/admin/status").json()
    assert (status["marketplace"], status["waiting"]) == ("live", 0)
    assert set(status["modes"]) == {step.name for step in steps()}
    assert client.get("/api/admin/me").json() == {"name": "tester", "role": "approver", "way": "token"}
    assert client.get("/api/admin/settings").json() == {"settings": []}  # none were read here


def test_the_names_of_steps_are_those_there_are(client: TestClient) -> None:
    parameters = client.get("/openapi.json").json()["paths"]["/api/admin/modes/{step}"]["put"]["parameters"]
    assert parameters[0]["schema"]["enum"] == [step.name for step in steps()]


def test_messages_are_listed_tried_again_and_dropped(client: TestClient, database: Database) -> None:
    number = decide(database, raise_quota(20_000, 30_000), tick="1")["id"]
    assert client.post(f"/api/admin/decisions/{number}/approve").status_code == 200
    (message,) = client.get("/api/admin/outbox", params={"state": "pending"}).json()["messages"]
    assert (message["decision_id"], message["channel"]) == (number, "n8n_scale")
    dropped = client.post(f"/api/admin/outbox/{message['number']}/drop").json()
    assert (dropped["number"], dropped["state"]) == (message["number"], "dropped")
    again = client.post(f"/api/admin/outbox/{message['number']}/retry")
    assert again.status_code in {200, 409}
    assert client.post("/api/admin/outbox/999/drop").status_code == 404


def test_an_operators_switch_waits_for_an_approver(
    database: Database, connection: psycopg.Connection
) -> None:
    with TestClient(create_app(database, policy=GUARDED), base_url=HERE) as api:
        omar, ravi = (
            {"Authorization": f"Bearer {signed_token(database, name, role)}"}
            for name, role in (("omar", "operator"), ("ravi", "approver"))
        )
        version = api.get("/api/admin/ab-test/experiments/1", headers=omar).json()["version"]
        wish = {"version": version, "variant": "variant_b"}
        asked = api.post("/api/admin/ab-test/experiments/1/switch", headers=omar, json=wish).json()[
            "decision"
        ]
        assert (asked["state"], asked["proposed_by"]) == ("proposed", "omar")
        active = "SELECT active_variant FROM public.ab_test_config"
        assert connection.execute(active).fetchone() == ("variant_a",)
        done = api.post(f"/api/admin/decisions/{asked['id']}/approve", headers=ravi).json()
        assert (done["state"], done["proposed_by"], done["actor"]) == ("applied", "omar", "ravi")
        assert connection.execute(active).fetchone() == ("variant_b",)
