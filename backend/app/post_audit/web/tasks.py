"""GET /api/admin/tasks/pending: what waits for somebody, the most urgent first."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, TypeAdapter

from app.post_audit.errors import InvalidArgument
from app.post_audit.step import parse_facts
from app.post_audit.web.context import DatabaseOfRequest

__all__ = ["Pending", "Task", "router"]

router = APIRouter()


class Task(BaseModel):
    """One task. `id` is of the marketplace's own type; `disposition` is the finer state, such as `reopened`."""

    id: int | str
    title: str
    description: str
    priority: Literal["critical", "high", "medium", "low"]
    category: str
    status: Literal["pending", "in_progress", "completed", "cancelled"]
    estimated_hours: float | None
    source: str | None
    target: str | None
    location: str | None
    line: int | None
    component: str | None
    rule: str | None
    severity: str | None
    disposition: str | None
    occurrences: int
    first_seen_at: datetime
    last_seen_at: datetime


class Pending(BaseModel):
    """A page of pending tasks. `count` is that of all of them; `next`, if any, is `after` of the following page."""

    tasks: list[Task]
    count: int
    next: str | None = Field(default=None)


class _Page(BaseModel):
    tasks: list[Task]
    count: int
    next: dict[str, int | str] | None


@router.get("/api/admin/tasks/pending")
def pending_tasks(
    database: DatabaseOfRequest,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(max_length=500, description="`next` of the page before")] = None,
) -> Pending:
    """List what is pending: by priority, the oldest first. What is in progress has somebody and is not listed."""
    answer = database.call("post_audit_read_pending_tasks", limit=limit, after=_place(after))
    page = parse_facts(_Page, answer)
    following = None if page.next is None else json.dumps(page.next, separators=(",", ":"))
    return Pending(tasks=page.tasks, count=page.count, next=following)


def _place(after: str | None) -> dict[str, int | str] | None:
    if after is None:
        return None
    try:
        return TypeAdapter(dict[str, int | str]).validate_json(after)
    except ValueError as error:
        raise InvalidArgument(
            "`after` is not a place to go on from.", cure="Give `next` of the page before, unchanged."
        ) from error
