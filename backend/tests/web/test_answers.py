"""What goes out with every answer: headers, marks of scripts, ETags; and texts of other people, which stay texts."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from app.post_audit.ports import Database
from app.post_audit.web.headers import SecurityHeaders
from app.post_audit.web.hot import HotReads
from app.post_audit.web.server import create_app
from tests.support.decisions import decide, raise_quota
from tests.support.web import GUARDED, browser

pytestmark = pytest.mark.database

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}\u2028\"'`]]>"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/login", 200),
        ("/docs", 200),
        ("/api/admin/status", 200),
        ("/api/nowhere", 404),
        ("/api/admin/decisions?limit=x", 422),
    ],
)
def test_every_answer_says_what_a_browser_may_do_with_it(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_refusals_of_the_gate_and_faults_of_ours_say_it_too(
    database: Database, connection: psycopg.Connection, client: TestClient
) -> None:
    with browser(create_app(database, policy=GUARDED)) as stranger:
        assert stranger.get("/api/admin/status").headers["x-content-type-options"] == "nosniff"
    connection.execute('UPDATE public.ab_test_config SET variants = \'{"not": "a list"}\'')
    fault = client.get("/api/admin/ab-test/stats")
    assert (fault.status_code, fault.headers["x-content-type-options"]) == (500, "nosniff")


def test_texts_of_other_people_stay_texts(
    client: TestClient, database: Database, connection: psycopg.Connection
) -> None:
    audit = [{"title": HOSTILE, "severity": "high", "file": HOSTILE, "description": HOSTILE}]
    sent = client.post("/api/admin/audits?name=review.json", content=json.dumps(audit))
    assert sent.status_code == 201
    assert client.post("/api/bugs", json={"title": HOSTILE, "description": HOSTILE}).status_code == 201
    connection.execute("UPDATE public.ab_test_config SET name = %s", (HOSTILE,))
    connection.execute(
        "INSERT INTO public.enhancement_tasks (title, description, priority, category, status) "
        "VALUES (%s, %s, 'high', %s, 'pending')",
        (HOSTILE,) * 3,
    )
    decide(database, raise_quota(20_000, 30_000), tick=HOSTILE)
    paths = ["decisions", "runs", "status", "audit-log", "tasks/pending", "ab-test/stats", "runs/1"]
    shown = 0
    for path in paths:
        answer = client.get(f"/api/admin/{path}")
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        shown += "<script>" in json.dumps(answer.json())
    assert shown >= 3
    # an address or a name that nobody has made comes back as JSON too
    for path in (f"/api/{HOSTILE}", f"/api/admin/decisions?step={HOSTILE}&limit=%3Cscript%3E"):
        assert client.get(path).headers["content-type"] == "application/json"


def test_the_description_can_be_read_without_another_machine(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "/api/admin/decisions/{decision_id}/approve" in page
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    assert "<script" not in page
    assert client.get("/openapi.json").json()["paths"]


def test_only_the_frameworks_own_scripts_are_marked() -> None:
    page = (
        '<html><script type="importmap">\n {"imports": {}}</script><script>\n addStyle = (c) => c;</script>'
        f"<p>{HOSTILE}</p><script>alert(3)</script>"
        '<script type="module">\n import * as Vue from "vue";</script>'
        '<script type="module">\n // Load DOMPurify for\n</script></html>'
    ).encode()
    sent: list[Message] = []

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(page)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page[:50], "more_body": True})
        await send({"type": "http.response.body", "body": page[50:]})

    async def nothing() -> Message:
        return {"type": "http.request"}

    async def keep(message: Message) -> None:
        sent.append(message)

    asyncio.run(SecurityHeaders(application)({"type": "http", "path": "/admin"}, nothing, keep))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    nonces = re.findall(rb'<script nonce="([\w-]+)"', sent[1]["body"])
    assert len(nonces) == 4
    assert len(set(nonces)) == 1
    assert f"'nonce-{nonces[0].decode()}'" in headers["content-security-policy"]
    assert b"<script>alert(1)" in sent[1]["body"]  # unmarked, so the browser leaves it alone
    assert b"<script>alert(3)" in sent[1]["body"]
    assert "'unsafe-inline'" not in headers["content-security-policy"].partition("style-src")[0]
    assert int(headers["content-length"]) == len(sent[1]["body"])


def test_the_fixed_addresses_are_known_again_by_their_etag(client: TestClient) -> None:
    first = client.get("/api/admin/tasks/pending")
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        again = client.get("/api/admin/tasks/pending", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert client.get("/api/admin/tasks/pending", headers={"If-None-Match": '"other"'}).status_code == 200


def test_what_was_changed_here_shows_at_once(client: TestClient, connection: psycopg.Connection) -> None:
    connection.execute(
        "INSERT INTO public.enhancement_tasks (title, description, priority, category, status) "
        "VALUES ('Weak lock', '', 'high', 'security', 'pending')"
    )
    assert client.get("/api/admin/tasks/pending").json()["count"] == 1
    claimed = client.post("/api/admin/tasks/claim", json={}).json()["tasks"]
    assert [task["owner"] for task in claimed] == ["tester"]
    assert client.get("/api/admin/tasks/pending").json()["count"] == 0
    refused = client.get("/api/admin/tasks/pending?limit=0")
    assert (refused.status_code, "etag" in refused.headers) == (422, False)


def test_many_who_ask_at_once_are_answered_by_one_look() -> None:
    looks = 0

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def ask(hot: HotReads, query: bytes, method: str = "GET") -> list[Message]:
        sent: list[Message] = []

        async def nothing() -> Message:
            return {"type": "http.request"}

        async def keep(message: Message) -> None:
            sent.append(message)

        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": "/api/admin/tasks/pending",
            "query_string": query,
            "headers": [],
        }
        await hot(scope, nothing, keep)
        return sent

    async def all_of_them() -> None:
        hot = HotReads(application)
        answers = await asyncio.gather(*(ask(hot, b"") for _ in range(50)))
        assert {answer[0]["status"] for answer in answers} == {200}
        assert looks == 1
        await ask(hot, b"limit=2")
        assert looks == 2
        await ask(hot, b"")
        assert looks == 2
        await ask(hot, b"", "POST")  # may have changed something
        await ask(hot, b"")
        assert looks == 4

    asyncio.run(all_of_them())


def test_a_long_answer_is_compressed(client: TestClient) -> None:
    answer = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"


def test_a_remembered_answer_says_the_same_compressed(
    client: TestClient, connection: psycopg.Connection
) -> None:
    connection.execute(
        "INSERT INTO public.enhancement_tasks (title, description, priority, category, status) "
        "SELECT 'Task ' || n, 'The same words again', 'high', 'security', 'pending' FROM generate_series(1, 40) AS n"
    )
    answers = [
        client.get("/api/admin/tasks/pending", headers={"Accept-Encoding": coding})
        for coding in ("gzip", "identity")
    ]
    assert [answer.headers.get("content-encoding") for answer in answers] == ["gzip", None]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["etag"] == answers[1].headers["etag"]
    assert int(answers[0].headers["content-length"]) < len(answers[1].content) / 5
