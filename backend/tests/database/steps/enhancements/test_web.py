"""`POST /api/admin/audits` and `GET /api/admin/tasks/pending`, as their users call them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from app.post_audit.web.server import create_app
from tests.database.steps.enhancements.audited import Queue, finding
from tests.support.web import HERE, signed_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.post_audit.ports import Database

pytestmark = pytest.mark.database

REPORT = json.dumps(
    {"findings": [{"title": "Open port", "severity": "High"}, {"title": "Old library", "severity": "Low"}]}
).encode()


class Client:
    """Calls the application in this process, without a port; remembers the runs that were started."""

    def __init__(self, database: Database) -> None:
        self.runs: list[tuple[str, str]] = []
        self.app = create_app(database, lambda kind, tick: self.runs.append((kind, tick)))
        self.headers = {"Authorization": f"Bearer {signed_token(database, 'asha', 'operator')}"}

    def call(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        async def call() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app)
            async with httpx2.AsyncClient(transport=transport, base_url=HERE, headers=self.headers) as client:
                return await client.request(method, path, **options)

        return asyncio.run(call())


@pytest.fixture
def client(database: Database) -> Client:
    return Client(database)


def test_an_audit_arrives_once_and_starts_a_run(client: Client) -> None:
    first = client.call("POST", "/api/admin/audits?name=report.json&target=shop", content=REPORT)
    assert first.status_code == 201
    told = first.json()
    assert (told["format"], told["findings"], told["target"], told["state"]) == (
        "generic_json",
        2,
        "shop",
        "received",
    )
    assert told["mapping"] == {"title": "title", "severity": "severity"}
    second = client.call("POST", "/api/admin/audits?name=other.json&target=shop", content=REPORT)
    assert (second.status_code, second.json()["known"], second.json()["id"]) == (200, True, told["id"])
    assert set(client.runs) == {("audit", f"audit:{told['id']}")}


@pytest.mark.parametrize(
    ("options", "status", "what"),
    [
        ({"content": b""}, 422, "is empty"),
        ({"content": REPORT[:40]}, 422, "cut off"),
        ({"content": b"x", "headers": {"content-length": "200000000"}}, 413, "more than 64 MB"),
        ({"files": {"file": ("r.json", REPORT)}}, 415, "as a form"),
    ],
    ids=["empty", "cut off", "too large", "a form"],
)
def test_what_cannot_be_read_is_refused_with_a_cure(
    client: Client, queue: Queue, options: dict[str, Any], status: int, what: str
) -> None:
    answer = client.call("POST", "/api/admin/audits?name=r.json", **options)
    assert answer.status_code == status
    assert what in answer.json()["error"]["message"]
    assert answer.json()["error"]["cure"]
    assert queue.rows("SELECT count(*)::int FROM post_audit.audits") == [(0,)]
    assert client.runs == []


def test_a_body_without_a_length_is_stopped_at_the_limit(client: Client) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 10_000_000

    answer = client.call("POST", "/api/admin/audits?name=r.json", content=endless())
    assert answer.status_code == 413


def test_pending_tasks_come_most_urgent_first(client: Client, queue: Queue) -> None:
    queue.bring(
        [finding(1, severity="low"), finding(2, severity="critical"), finding(3), finding(4, severity="high")]
    )
    queue.person("status = 'in_progress'", "rule-4")
    answer = client.call("GET", "/api/admin/tasks/pending").json()
    assert [task["priority"] for task in answer["tasks"]] == ["critical", "medium", "low"]
    assert answer["count"] == 3
    known = {"id", "title", "description", "priority", "category", "status", "estimated_hours"}
    assert known <= answer["tasks"][0].keys()
    assert answer["tasks"][0]["estimated_hours"] is None, "the source states none"


def test_pages_follow_one_another(client: Client, queue: Queue) -> None:
    queue.bring([finding(number, severity=["low", "high"][number % 2]) for number in range(25)])
    seen: list[int] = []
    after: str | None = None
    while True:
        parameters = {"limit": "10"} | ({"after": after} if after else {})
        page = client.call("GET", "/api/admin/tasks/pending", params=parameters).json()
        seen += [task["id"] for task in page["tasks"]]
        after = page["next"]
        assert page["count"] == 25
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 25


@pytest.mark.parametrize("after", ["x", "[]", '{"rank":1}'], ids=["no json", "a list", "half of it"])
def test_a_place_that_is_none_is_refused(client: Client, after: str) -> None:
    answer = client.call("GET", "/api/admin/tasks/pending", params={"after": after})
    assert answer.status_code == 422
    assert "unchanged" in answer.json()["error"]["cure"]


# ---- the queue ----


@pytest.fixture
def filled(queue: Queue) -> Queue:
    queue.bring(
        [finding(n, severity=severity) for n, severity in enumerate(["critical", "high", "medium", "low"])]
    )
    return queue


def first_id(client: Client) -> int:
    task_id: int = client.call("GET", "/api/admin/tasks/pending").json()["tasks"][0]["id"]
    return task_id


def test_a_task_says_why_it_stands_where_it_stands(client: Client, filled: Queue) -> None:
    task = client.call("GET", "/api/admin/tasks/pending").json()["tasks"][0]
    assert (task["score"], task["late"], task["disposition"]) == (100.0, False, None)
    assert task["reasons"] == ["100: critical (100) x quality (1)."]
    assert filled.rows("SELECT count(*)::int FROM public.enhancement_tasks") == [(4,)]


def test_a_task_is_taken_done_and_opened_again(client: Client, filled: Queue) -> None:
    claimed = client.call("POST", "/api/admin/tasks/claim", json={}).json()["tasks"]
    task_id = claimed[0]["id"]
    path = f"/api/admin/tasks/{task_id}"
    done = client.call("POST", f"{path}/done", json={"note": "fixed", "seen": claimed[0]["version"]})
    assert (done.status_code, done.json()["status"], done.json()["note"]) == (200, "completed", "fixed")
    stale = client.call("POST", f"{path}/reopen", json={"seen": claimed[0]["version"]})
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "StateMoved")
    assert client.call("POST", f"{path}/reopen", json={}).json()["disposition"] == "reopened"
    kinds = [event["kind"] for event in client.call("GET", path).json()["events"]]
    assert kinds == ["reopened", "completed", "claimed", "new"]
    assert filled.states()["rule-0"] == ("pending", "reopened")


def test_a_risk_is_accepted_until_the_end_of_a_day_in_india(client: Client, filled: Queue) -> None:
    day = (filled.now() + timedelta(days=30)).date()
    path = f"/api/admin/tasks/{first_id(client)}/accept"
    answer = client.call("POST", path, json={"note": "behind a firewall", "until": str(day)})
    assert answer.json()["accepted_until"] == f"{day}T18:30:00Z"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/admin/tasks/999/done", {}, 404),
        ("/api/admin/tasks/abc/done", {}, 422),
        ("/api/admin/tasks/1/explode", {}, 422),
        # who does it is who is signed in
        ("/api/admin/tasks/1/done", {"actor": "somebody else"}, 422),
        ("/api/admin/tasks/1/accept", {"note": "x"}, 422),
        ("/api/admin/tasks/1/accept", {"note": "x", "until": "2999-01-01"}, 422),
        ("/api/admin/tasks/claim", {"limit": 1000}, 422),
        ("/api/admin/tasks/bulk", {"action": "done", "ids": []}, 422),
    ],
)
def test_a_wrong_request_changes_nothing(
    client: Client, filled: Queue, path: str, body: dict[str, Any], status: int
) -> None:
    before = filled.rows()
    answer = client.call("POST", path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert filled.rows() == before


def test_several_are_done_each_by_itself(client: Client, filled: Queue) -> None:
    body = {"action": "cancel", "ids": [1, "2", 77], "note": "out of scope"}
    answer = client.call("POST", "/api/admin/tasks/bulk", json=body).json()
    assert [task["status"] for task in answer["tasks"]] == ["cancelled", "cancelled"]
    assert [refused["id"] for refused in answer["refused"]] == ["77"]
    assert client.call("GET", "/api/admin/tasks", params={"status": "cancelled"}).json()["count"] == 2
    assert client.call("GET", "/api/admin/tasks", params={"priority": ["low", "medium"]}).json()["count"] == 2
    assert filled.states()["rule-3"] == ("pending", None)


def test_tasks_are_exported(client: Client, filled: Queue) -> None:
    filled.connection.execute("UPDATE public.enhancement_tasks SET title = '=1+1' WHERE rule = 'rule-0'")
    answer = client.call("GET", "/api/admin/tasks/export", params={"status": "pending"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [row["title"] for row in rows] == ["'=1+1", *(f"Rule {n} is broken" for n in (1, 2, 3))]
    issues = client.call("GET", "/api/admin/tasks/export", params={"format": "github"}).text.splitlines()
    assert [set(json.loads(issue)) for issue in issues] == [{"title", "body", "labels"}] * 4


def test_statistics_and_the_last_audits(client: Client, filled: Queue) -> None:
    told = client.call("GET", "/api/admin/tasks/statistics", params={"days": 3}).json()
    assert [row["open"] for row in told["open"]] == [1, 1, 1, 1]
    assert [day["open_at_end"] for day in told["daily"]] == [0, 0, 4]
    (audit,) = client.call("GET", "/api/admin/audits").json()["audits"]
    assert (audit["state"], audit["report"]["new"], audit["source"]) == ("migrated", 4, "Scanner")
    assert filled.rows("SELECT count(*)::int FROM post_audit.audits") == [(1,)]


def test_a_preview_tells_what_would_happen_and_stores_nothing(client: Client, queue: Queue) -> None:
    answer = client.call("POST", "/api/admin/audits/preview?name=report.json", content=REPORT).json()
    assert (answer["effect"]["new"], answer["effect"]["new_high"], answer["needs_confirmation"]) == (
        2,
        1,
        False,
    )
    assert answer["mapping"] == {"title": "title", "severity": "severity"}
    assert queue.rows("SELECT count(*)::int FROM post_audit.audits") == [(0,)]
