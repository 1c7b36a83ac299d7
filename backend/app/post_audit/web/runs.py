"""`/api/admin/runs`: the history of runs, one that goes on with its progress, and a run started now."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, status
from pydantic import BaseModel

from app.post_audit.errors import ConfigurationError, NotFound
from app.post_audit.web.context import DatabaseOfRequest, Operator, visit_of
from app.post_audit.web.shapes import Before, DecisionOut, Identifier, Limit, Open, following

__all__ = ["RunDetail", "RunSummary", "Runs", "Started", "StepBrief", "StepDetail", "router"]

router = APIRouter(prefix="/api/admin/runs", tags=["runs"])


class StepBrief(Open):
    """What came of one step of a run, in a sentence."""

    step: str
    state: Literal["decided", "failed", "paused"]
    decision_id: int | None
    outcome: str | None
    headline: str | None
    error: str | None
    duration_ms: int


class RunSummary(Open):
    """One run and how far it has come: `steps` are those that have ended, `of` how many there are."""

    id: int
    tick: str
    kind: str
    state: Literal["running", "completed", "failed"]
    as_of: datetime
    started_at: datetime
    finished_at: datetime | None
    of: int
    steps: list[StepBrief]


class Runs(BaseModel):
    """A page of runs, newest first; `next` is `before` of the next page."""

    runs: list[RunSummary]
    next: int | None


class StepDetail(Open):
    """What came of one step, with its whole decision or its error and cure."""

    step: str
    state: str
    error: dict[str, Any] | None
    duration_ms: int
    decision: DecisionOut | None


class RunDetail(Open):
    """One run with its decisions."""

    id: int
    tick: str
    kind: str
    state: str
    as_of: datetime
    started_at: datetime
    finished_at: datetime | None
    steps: list[StepDetail]


class Started(BaseModel):
    """A run was asked for. Follow it at `follow`; where another run is going on, that one is followed instead."""

    tick: str
    follow: str


@router.get("")
def list_runs(
    database: DatabaseOfRequest,
    before: Before = None,
    limit: Limit = 20,
    tick: Annotated[str | None, Query(max_length=200, description="only the run of this tick")] = None,
) -> Runs:
    """List runs, newest first; the first is the one that goes on, where one does."""
    found: Any = database.call("post_audit_read_runs", before=before, limit=limit, tick=tick)
    return Runs.model_validate({"runs": found, "next": following(found, limit)})


@router.get("/{run_id}")
def one_run(database: DatabaseOfRequest, run_id: Identifier) -> RunDetail:
    """Show one run with each step's decision, its numbers and what it changed."""
    found: Any = database.call("post_audit_read_run", run_id=run_id)
    if found is None:
        raise NotFound(f"There is no run {run_id}.", cure="See the list: /api/admin/runs.")
    return RunDetail.model_validate({key: found[key] for key in RunDetail.model_fields})


@router.post("", status_code=status.HTTP_202_ACCEPTED)
def start_now(request: Request, person: Operator) -> Started:  # noqa: ARG001 - asks for the role
    """Start the six steps now, and answer at once."""
    start_run = request.app.state.start_run
    if start_run is None:
        raise ConfigurationError("This server starts no runs.", cure="Run them by hand: post-audit run.")
    tick = f"manual:{secrets.token_hex(8)}"
    start_run("manual", tick)
    visit_of(request).record("run.started", tick)
    return Started(tick=tick, follow="/api/admin/runs?limit=1")
