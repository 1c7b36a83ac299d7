"""`POST /api/bugs`, as a form or a workflow calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import psycopg
import pytest

from app.post_audit.ports import Database
from app.post_audit.web.server import create_app
from tests.support.web import HERE, signed_token

pytestmark = pytest.mark.database

BODY = {"title": "Wallet shows ₹0", "page": "/wallet", "reporter": "u1", "tier": "paying"}


class Client:
    """Calls the application in this process, without a port."""

    def __init__(self, database: Database, address: str = "127.0.0.1") -> None:
        self.address = address
        self.app = create_app(database)

    def post(
        self, path: str, *, json: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        async def call() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app, client=(self.address, 50_000))
            async with httpx2.AsyncClient(transport=transport, base_url=HERE) as client:
                return await client.post(path, json=json, headers=headers)

        return asyncio.run(call())


@pytest.fixture
def client(database: Database) -> Client:
    return Client(database)


def test_the_first_report_is_created_and_the_next_is_known(client: Client) -> None:
    first = client.post("/api/bugs", json=BODY)
    assert first.status_code == 201
    assert first.json() == {
        "id": 1,
        "report": 1,
        "already_known": False,
        "reports": 1,
        "reopened": False,
        "repeated": False,
        "message": "Thank you. You are the first to report this.",
    }
    second = client.post("/api/bugs", json=BODY | {"reporter": "u2", "description": "Mine too"})
    assert (second.status_code, second.json()["already_known"], second.json()["reports"]) == (200, True, 2)
    assert second.json()["message"] == "Thank you. This was already known: 2 reports with yours."


def test_a_report_that_is_sent_again_is_stored_once(client: Client) -> None:
    header = {"Idempotency-Key": "key-12345678"}
    client.post("/api/bugs", json=BODY, headers=header)
    again = client.post("/api/bugs", json=BODY | {"idempotency_key": "key-12345678"})
    assert (again.status_code, again.json()["repeated"], again.json()["reports"]) == (200, True, 1)
    assert again.json()["message"] == "Thank you. We have this report already."
    assert client.post("/api/bugs", json=BODY | {"title": "Other"}, headers=header).status_code == 422


def test_a_report_after_a_fix_says_so(client: Client, connection: Any) -> None:  # noqa: ANN401 - a fixture
    client.post("/api/bugs", json=BODY)
    connection.execute("UPDATE public.bugs SET status = 'fixed'")
    answer = client.post("/api/bugs", json=BODY)
    assert (answer.status_code, answer.json()["reopened"]) == (200, True)
    assert "opened it again" in answer.json()["message"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": " \u202e "}, "title"),
        ({"description": "x" * 10_001}, "description"),
        ({"page": "x" * 501}, "page"),
        ({"tier": "gold"}, "tier"),
        ({"idempotency_key": "short"}, "idempotency_key"),
        ({"severity": "critical"}, "severity"),
    ],
)
def test_what_cannot_be_used_is_refused_whole(client: Client, change: dict[str, str], place: str) -> None:
    answer = client.post("/api/bugs", json=BODY | change)
    assert answer.status_code == 422
    assert place in answer.json()["error"]["message"]
    assert client.post("/api/bugs", json=BODY).json()["reports"] == 1


def test_two_keys_for_one_report_are_refused(client: Client) -> None:
    answer = client.post(
        "/api/bugs",
        json=BODY | {"idempotency_key": "key-12345678"},
        headers={"Idempotency-Key": "key-87654321"},
    )
    assert (answer.status_code, "two keys" in answer.json()["error"]["message"]) == (422, True)


def test_one_address_has_to_wait_after_sixty_reports_whichever_process_it_asks(
    client: Client, database: Database, connection: psycopg.Connection
) -> None:
    assert client.post("/api/bugs", json=BODY).status_code == 201
    connection.execute("UPDATE post_audit.report_turns SET number = 59 WHERE who = 'address:127.0.0.1'")
    other_process = Client(database)
    assert other_process.post("/api/bugs", json=BODY).status_code == 200
    for process in (client, other_process):
        refused = process.post("/api/bugs", json=BODY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TooManyReports")
        assert 590 <= int(refused.headers["Retry-After"]) <= 600
    # others are not held up, a program that passes on reports is known by its token, and the window ends
    assert Client(database, "10.1.2.3").post("/api/bugs", json=BODY).status_code == 200
    token = {"Authorization": f"Bearer {signed_token(database, 'form', 'operator')}"}
    assert client.post("/api/bugs", json=BODY, headers=token).status_code == 200
    connection.execute("UPDATE post_audit.report_turns SET since = since - interval '10 minutes' WHERE true")
    assert client.post("/api/bugs", json=BODY).status_code == 200
    turns = connection.execute("SELECT who, number FROM post_audit.report_turns").fetchall()
    assert turns == [("address:127.0.0.1", 1)]


def test_many_reports_at_once_cannot_slip_through(database: Database) -> None:
    def ask(_number: int) -> bool:
        answer: Any = database.call(
            "post_audit_apply_report_turn", who="address:10.9.9.9", most=10, window_seconds=600
        )
        return bool(answer["allowed"])

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(40))) == 10
