"""`POST /api/admin/audits` and `GET /api/admin/tasks/pending`, as their users call them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastapi import FastAPI

from app.post_audit.web import audits, tasks
from app.post_audit.web.errors import add_error_handlers
from tests.database.steps.enhancements.audited import Queue, finding

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
        self.app = FastAPI()
        self.app.state.database = database
        self.runs: list[tuple[str, str]] = []
        self.app.state.start_run = lambda kind, tick: self.runs.append((kind, tick))
        self.app.include_router(audits.router)
        self.app.include_router(tasks.router)
        add_error_handlers(self.app)

    def call(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        async def call() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
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
        ({"content": b"x", "headers": {"content-length": "200000000"}}, 413, "more than 40 MB"),
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
