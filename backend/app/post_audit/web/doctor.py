"""`/api/admin/doctor`: what is wrong, and what cures it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from app.post_audit.codec import to_json
from app.post_audit.doctor import Area, Level
from app.post_audit.web.access import Role, allowed
from app.post_audit.web.checkup import Checkup
from app.post_audit.web.context import PersonOfRequest

__all__ = ["Diagnosis", "Finding", "router"]

router = APIRouter(prefix="/api/admin/doctor", tags=["house"])


class Finding(BaseModel):
    """One thing that was looked at: a sentence, and what cures it where something does."""

    area: Area
    name: str
    level: Level
    text: str
    cure: str
    numbers: dict[str, Any]


class Diagnosis(BaseModel):
    """All that was looked at. `asked_at` is when n8n and Telegram were asked last."""

    healthy: bool
    worst: Level
    counts: dict[Level, int]
    findings: list[Finding]
    asked_at: datetime | None


@router.get("")
def examine(
    request: Request,
    person: PersonOfRequest,
    *,
    ask: Annotated[
        bool, Query(description="ask n8n and Telegram first whether they would take messages; for operators")
    ] = False,
) -> Diagnosis:
    """Look at everything that can be wrong; nothing is changed."""
    checkup: Checkup = request.app.state.checkup
    if ask:
        allowed(person, Role.OPERATOR)
    found = checkup.ask() if ask else checkup.look()
    return Diagnosis.model_validate(
        {
            "healthy": found.exit_code == 0,
            "worst": found.worst,
            "counts": found.counts,
            "findings": to_json(found.ordered()),
            "asked_at": checkup.asked_at,
        }
    )
