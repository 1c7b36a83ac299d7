"""Who is let in: nobody without a login, whoever is signed in as far as the role goes, and no page of another site."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from app.post_audit.ports import Database
from app.post_audit.web.server import create_app
from tests.support.web import GUARDED, HERE, add_user, browser, sign_in, signed_token

pytestmark = pytest.mark.database

READS = [
    "/api/admin/status",
    "/api/admin/me",
    "/api/admin/runs",
    "/api/admin/runs/1",
    "/api/admin/decisions",
    "/api/admin/settings",
    "/api/admin/audit-log",
    "/api/admin/ab-test/stats",
    "/api/admin/tasks/pending",
    "/openapi.json",
    "/docs",
]


def every_operation(app: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - an application
    found = [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]
    return [(method, path.replace("{step}", "bugs")) for method, path in found]


def ask(client: TestClient, method: str, path: str, **more: Any) -> int:  # noqa: ANN401 - passed on
    for name in ("decision_id", "run_id", "task_id", "experiment_id", "number"):
        path = path.replace(f"{{{name}}}", "1")
    return client.request(method, path, **more).status_code


@pytest.mark.parametrize("is_guarded", [False, True])
def test_without_a_login_every_admin_address_is_closed(database: Database, *, is_guarded: bool) -> None:
    app = create_app(database, policy=GUARDED if is_guarded else None)
    with browser(app, peer="203.0.113.9") as client:
        open_to_all = [
            (method, path)
            for method, path in every_operation(app)
            if ask(client, method, path) not in {401, 403}
        ]
        assert all(
            path.startswith(("/api/live", "/api/bugs", "/health", "/ready")) for _, path in open_to_all
        )
        for path in ("/docs", "/openapi.json"):
            assert client.get(path).status_code == 401
        for path in (
            "/",
            "/admin",
            "/admin/ab-test",
            "/admin/pending?x=1",
            "/later/page",
            "/login/x",
            "//login",
            "/health/",
        ):
            led = client.get(path)
            assert (led.status_code, led.headers["location"].partition("?")[0]) == (303, "/login")
        for path in ("/_nicegui/x.js", "/_nicegui_ws/socket.io/?transport=polling"):
            assert client.get(path).status_code == 401


def test_this_machines_own_programs_read_while_no_secret_is_set(database: Database) -> None:
    app = create_app(database)
    with TestClient(app, base_url=HERE, client=("127.0.0.1", 1), follow_redirects=False) as curl:
        assert curl.get("/api/admin/ab-test/stats").status_code == 200
        assert curl.get("/api/admin/tasks/pending", headers={"Host": "[::1]:8000"}).status_code == 200
        assert curl.get("/api/admin/me").json() == {"name": "local", "role": "viewer", "way": "loopback"}
        assert curl.get("/api/admin/audit-log").status_code == 403
        # pages show more than a program reads, and act
        assert curl.get("/admin").status_code == 303
        writes = [
            (method, path) for method, path in every_operation(app) if method != "GET" and "/admin/" in path
        ]
        assert {ask(curl, method, path) for method, path in writes} == {401}
        refused = [
            {"X-Forwarded-For": "203.0.113.9"},
            {"Forwarded": "for=203.0.113.9"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": "http://evil.example"},
        ]
        for headers in refused:
            assert curl.get("/api/admin/ab-test/stats", headers=headers).status_code == 401, headers
    with TestClient(app, base_url=HERE, client=("192.168.1.20", 1)) as neighbour:
        assert neighbour.get("/api/admin/ab-test/stats").status_code == 401


def test_a_secret_closes_this_machine_too(database: Database) -> None:
    with TestClient(create_app(database, policy=GUARDED), base_url=HERE, client=("127.0.0.1", 1)) as curl:
        assert {path: curl.get(path).status_code for path in READS} == dict.fromkeys(READS, 401)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8000", "", "192.168.1.5"])
def test_a_name_of_somebody_else_that_leads_here_is_not_answered(database: Database, host: str) -> None:
    with TestClient(create_app(database), base_url=HERE, client=("127.0.0.1", 1)) as rebound:
        answer = rebound.get("/api/admin/ab-test/stats", headers={"Host": host})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "WrongHost")


def test_a_viewer_reads_and_changes_nothing(database: Database, connection: psycopg.Connection) -> None:
    app = create_app(database, lambda _kind, _tick: pytest.fail("a viewer has started a run"), policy=GUARDED)
    with browser(app) as client:
        add_user(database, "vera", "viewer")
        assert sign_in(client, "vera") == 303
        reads = [path for path in READS if path not in {"/api/admin/audit-log", "/api/admin/runs/1"}]
        assert {path: client.get(path).status_code for path in reads} == dict.fromkeys(reads, 200)
        writes = [
            (method, path) for method, path in every_operation(app) if method != "GET" and "/admin/" in path
        ]
        assert len(writes) >= 6
        assert {ask(client, method, path, json={}) for method, path in writes} == {403}
        # the upload of a page
        assert client.post("/_nicegui/client/1/upload/2", content=b"x").status_code == 403
    assert connection.execute("SELECT count(*) FROM post_audit.runs").fetchone() == (0,)


def test_an_operator_acts_and_an_approver_approves(database: Database) -> None:
    started: list[str] = []
    app = create_app(database, lambda kind, _tick: started.append(kind), policy=GUARDED)
    with TestClient(app, base_url=HERE) as client:
        operator = {"Authorization": f"Bearer {signed_token(database, 'omar', 'operator')}"}
        approver = {"Authorization": f"Bearer {signed_token(database, 'asha', 'approver')}"}
        assert client.post("/api/admin/runs", headers=operator).status_code == 202
        assert started == ["manual"]
        paused = client.put("/api/admin/modes/bugs", headers=operator, json={"mode": "paused"})
        assert (paused.status_code, paused.json()["changed_by"]) == (200, "omar")
        armed = {"mode": "act"}
        assert client.put("/api/admin/modes/bugs", headers=operator, json=armed).status_code == 403
        assert client.put("/api/admin/modes/bugs", headers=approver, json=armed).status_code == 200
        assert client.post("/api/admin/decisions/1/approve", headers=operator).status_code == 403
        assert client.post("/api/admin/decisions/1/approve", headers=approver).status_code == 404
        log = client.get("/api/admin/audit-log", headers=approver).json()["entries"]
        done = [
            (entry["actor"], entry["action"], entry["subject"]) for entry in log if entry["way"] == "token"
        ]
        assert done[:2] == [
            ("asha", "mode.changed", "bugs to act"),
            ("omar", "mode.changed", "bugs to paused"),
        ]
        assert done[2][:2] == ("omar", "run.started")


def test_a_cookie_is_no_use_to_a_page_of_another_site(database: Database) -> None:
    app = create_app(database, lambda _kind, _tick: None, policy=GUARDED)
    with browser(app) as client:
        add_user(database, "asha", "approver")
        assert sign_in(client, "asha") == 303
        assert client.post("/api/admin/runs").status_code == 202
        for forged in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:9999"},
            {"Origin": HERE, "Sec-Fetch-Site": "cross-site"},
            {"Origin": HERE, "Sec-Fetch-Site": "same-site"},
        ):
            answer = client.post("/api/admin/runs", headers=forged)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "CrossSite"), forged
        del client.headers["Origin"]
        assert client.post("/api/admin/runs").status_code == 403
        assert client.post("/api/admin/runs", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 202
        assert client.post("/login", data={"name": "asha", "password": "x"}).status_code == 403
        assert client.post("/logout", headers={"Origin": "http://evil.example"}).status_code == 403


def test_a_role_that_was_taken_away_is_gone_at_once(database: Database) -> None:
    app = create_app(database, lambda _kind, _tick: None, policy=GUARDED)
    with browser(app) as client:
        add_user(database, "asha", "approver")
        assert sign_in(client, "asha") == 303
        assert client.post("/api/admin/runs").status_code == 202
        database.call("post_audit_apply_user_role", name="asha", role="viewer", actor="test")
        assert client.post("/api/admin/runs").status_code == 403
        database.call("post_audit_apply_user_removal", name="asha", actor="test")
        assert client.post("/api/admin/runs").status_code == 401


def test_tokens_are_refused_when_revoked_expired_or_invented(
    database: Database, connection: psycopg.Connection
) -> None:
    app = create_app(database, lambda _kind, _tick: None, policy=GUARDED)
    with TestClient(app, base_url=HERE) as client:
        token = signed_token(database, "omar", "operator")
        bearer = {"Authorization": f"Bearer {token}"}
        assert client.post("/api/admin/runs", headers=bearer).status_code == 202
        for invented in ("", token[:-1], f"{token}x", "x" * 5000, "é"):
            headers = {b"Authorization": f"Bearer {invented}".encode()}
            assert client.post("/api/admin/runs", headers=headers).status_code == 401
        database.call("post_audit_apply_token_revocation", token_id=1, actor="test")
        assert client.post("/api/admin/runs", headers=bearer).status_code == 401
        late = signed_token(database, "omar", "operator", is_new=False)
        connection.execute("UPDATE post_audit.api_tokens SET expires_at = now() - interval '1 second'")
        assert client.post("/api/admin/runs", headers={"Authorization": f"Bearer {late}"}).status_code == 401
        stored = connection.execute(
            "SELECT string_agg(t::text, '') FROM post_audit.api_tokens AS t"
        ).fetchone()
        assert stored is not None
        assert token not in stored[0]


def test_a_token_has_at_most_the_role_of_its_user(database: Database) -> None:
    app = create_app(database, lambda _kind, _tick: None, policy=GUARDED)
    with TestClient(app, base_url=HERE) as client:
        bearer = {"Authorization": f"Bearer {signed_token(database, 'asha', 'approver')}"}
        database.call("post_audit_apply_user_role", name="asha", role="viewer", actor="test")
        assert client.get("/api/admin/me", headers=bearer).json()["role"] == "viewer"
        assert client.post("/api/admin/runs", headers=bearer).status_code == 403
