"""`GET /api/admin/ab-test/stats`: how the experiment stands, from the same functions as the decision."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from app.post_audit.steps.conversions import STEP
from app.post_audit.steps.conversions.stats import stats
from app.post_audit.web.context import DatabaseOfRequest

__all__ = ["DataPoint", "Stats", "VariantStats", "router"]

router = APIRouter(prefix="/api/admin/ab-test", tags=["conversions"])


class DataPoint(BaseModel):
    """One hour of one variant."""

    time: datetime
    conversion_rate: float
    sent: int
    converted: int


class VariantStats(BaseModel):
    """One variant: the counts of the period asked for, and beside them those of the whole experiment."""

    model_config = ConfigDict(extra="allow")

    variant: str
    total_sent: int
    total_converted: int
    conversion_rate: float | None
    data_points: list[DataPoint]


class Stats(BaseModel):
    """The state of an experiment."""

    model_config = ConfigDict(extra="allow")

    stats: list[VariantStats]
    active_variant: str | None
    winner: str | None


@router.get("/stats")
def ab_test_stats(
    database: DatabaseOfRequest,
    hours: Annotated[int, Query(ge=1, le=24 * 366, description="how far back the data points reach")] = 24,
    experiment: Annotated[
        str | None, Query(description="the experiment's id; the first when not given")
    ] = None,
) -> Stats:
    """Tell of an experiment's variants, the active one, and the winner once there is one."""
    status: Any = database.call("post_audit_read_status")
    facts = STEP.gather(database, STEP.policy, datetime.fromisoformat(status["as_of"]))
    return Stats.model_validate(stats(facts, STEP.policy, hours=hours, experiment_id=experiment))
