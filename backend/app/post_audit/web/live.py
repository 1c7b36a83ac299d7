"""What the public may see of the leaderboard and of the airdrop: proved numbers, or none.

A number is here only while a check has proved it, at most two intervals of the protocol ago; what is hidden or
unknown has no value, which is not zero. Names go out as JSON strings, and no id of any table does.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, TypeAdapter

from app.post_audit.steps.live_fomo import STEP
from app.post_audit.web.context import DatabaseOfRequest

__all__ = ["Airdrop", "Counter", "Leaderboard", "Place", "router"]

router = APIRouter(prefix="/api/live", tags=["live"])

_State = Literal["verified", "repaired", "hidden", "unknown"]


class Place(BaseModel):
    """One row of the leaderboard; totals in paise."""

    rank: int
    name: str | None
    total_paise: int


class Leaderboard(BaseModel):
    """The leaderboard as it was true at `as_of`; without rows when it is hidden or unknown."""

    state: _State
    as_of: datetime | None
    version: int
    last_verified_at: datetime | None
    rows: list[Place] | None


class Counter(BaseModel):
    """One counter of the airdrop as it was true at `as_of`; without a value when it is hidden or unknown."""

    counter: Literal["airdrop_claims", "airdrop_paise"]
    state: _State
    value: int | None
    as_of: datetime | None
    version: int
    last_verified_at: datetime | None


class Airdrop(BaseModel):
    """All counters of the airdrop."""

    counters: list[Counter]


@router.get("/leaderboard")
def leaderboard(
    database: DatabaseOfRequest, response: Response, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> Leaderboard:
    """Answer with the first `limit` places, or with none of them."""
    _never_stored(response)
    answer = database.call("post_audit_read_live_leaderboard", limit=limit, maximum_age_hours=_proof_hours())
    return TypeAdapter(Leaderboard).validate_python(answer)


@router.get("/airdrop")
def airdrop(database: DatabaseOfRequest, response: Response) -> Airdrop:
    """Answer with the airdrop's counters."""
    _never_stored(response)
    answer = database.call("post_audit_read_live_airdrop", maximum_age_hours=_proof_hours())
    return TypeAdapter(Airdrop).validate_python(answer)


def _proof_hours() -> int:
    return STEP.policy.stale_after // timedelta(hours=1)


def _never_stored(response: Response) -> None:
    """A number that is hidden now must not live on in a cache."""
    response.headers["Cache-Control"] = "no-store"
