"""`POST /api/bugs`, as a form or a workflow calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from app.post_audit.ports import Database
from app.post_audit.web.bugs import router
from app.post_audit.web.errors import add_error_handlers

pytestmark = pytest.mark.database

BODY = {"title": "Wallet shows ₹0", "page": "/wallet", "reporter": "u1", "tier": "paying"}


class Client:
    """Calls the application in this process, without a port."""

    def __init__(self, database: Database) -> None:
        self.app = FastAPI()
        self.app.state.database = database
        self.app.include_router(router)
        add_error_handlers(self.app)

    def post(
        self, path: str, *, json: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        async def call() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
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
