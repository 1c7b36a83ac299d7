"""The public endpoints: proved numbers or none, no ids, nothing stored on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.post_audit.web.live import router

if TYPE_CHECKING:
    from tests.database.steps.live_fomo.conftest import Market

pytestmark = pytest.mark.database


@pytest.fixture
def client(market: Market) -> TestClient:
    application = FastAPI()
    application.state.database = market.database
    application.include_router(router)
    return TestClient(application)


def test_the_leaderboard_has_names_and_no_ids(market: Market, client: TestClient) -> None:
    market.execute("""
        UPDATE public.earnings_leaderboard SET display_name = '<script>alert("1")</script>' WHERE user_id = 'user_10'
    """)
    response = client.get("/api/live/leaderboard", params={"limit": 1})
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"state", "as_of", "version", "last_verified_at", "rows"}
    assert body["rows"] == [{"rank": 1, "name": '<script>alert("1")</script>', "total_paise": 300000}]
    assert "user_10" not in response.text


def test_the_airdrop_shows_no_value_that_is_not_proved(market: Market, client: TestClient) -> None:
    first = client.get("/api/live/airdrop").json()["counters"]
    assert [(entry["counter"], entry["state"], entry["value"]) for entry in first] == [
        ("airdrop_claims", "verified", 8),
        ("airdrop_paise", "verified", 4000000) if market.has_amounts else ("airdrop_paise", "hidden", None),
    ]
    market.execute(
        "UPDATE public.leaderboard_tickertape_views SET shown_value = 500 WHERE counter = 'airdrop_claims'"
    )
    assert client.get("/api/live/airdrop").json()["counters"][0]["value"] is None


@pytest.mark.parametrize("limit", [0, 101, "many"])
def test_a_limit_that_cannot_be_is_refused(client: TestClient, limit: int | str) -> None:
    assert client.get("/api/live/leaderboard", params={"limit": limit}).status_code == 422
