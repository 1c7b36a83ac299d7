"""`/api/admin/tasks`: the queue of what audits found. Routes and shapes only; see `steps.enhancements.queue`."""

from __future__ import annotations

from datetime import date, datetime
from itertools import chain, islice
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from app.post_audit.ports import Database
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.export import as_csv, as_github_issues
from app.post_audit.steps.enhancements.tasks import (
    PENDING,
    Action,
    Claimed,
    Done,
    Filters,
    Page,
    Priority,
    Sort,
    Statistics,
    Status,
    Task,
    TaskWithEvents,
)
from app.post_audit.web.access import Person
from app.post_audit.web.context import DatabaseOfRequest, Operator
from app.post_audit.web.shapes import Body, TaskId

__all__ = ["ActionBody", "BulkBody", "ClaimBody", "router"]

_Item = TypeVar("_Item")

router = APIRouter(prefix="/api/admin/tasks", tags=["tasks"])

_Note = Annotated[str | None, Field(max_length=2_000)]


class ClaimBody(Body):
    """How much work is wanted, and of which kind."""

    limit: Annotated[int, Field(ge=1, le=100)] = 1
    lease_seconds: Annotated[int, Field(ge=1, le=604_800)] = 900
    priority: list[Priority] | None = None
    category: list[str] | None = None
    source: str | None = None


class ActionBody(Body):
    """What has to be said with what is done.

    `until` belongs to accept: a day (its end in India) or a moment. `keep` is the task that a duplicate is merged into,
    `priority` belongs to prioritise, `lease_seconds` to extend. `seen` is the version that was read.
    """

    note: _Note = None
    until: date | datetime | None = None
    keep: str | int | None = None
    priority: Priority | None = None
    lease_seconds: Annotated[int | None, Field(ge=1, le=604_800)] = None
    seen: str | None = None


class BulkBody(ActionBody):
    """The same for several tasks, each by itself."""

    action: Action
    ids: Annotated[list[str | int], Field(min_length=1, max_length=500)]


class _Filters(BaseModel):
    """The filters of a list, as they stand in its address."""

    status: list[Status] | None = None
    disposition: Annotated[list[str] | None, Field(description="`none` for those without")] = None
    priority: list[Priority] | None = None
    category: list[str] | None = None
    source: str | None = None
    owner: Annotated[str | None, Field(description="empty for those that nobody has")] = None
    late: bool | None = None

    def meant(self) -> Filters:
        """The same for the queue."""
        return Filters(
            status=_tuple(self.status),
            disposition=_tuple(self.disposition),
            priority=_tuple(self.priority),
            category=_tuple(self.category),
            source=self.source,
            owner=self.owner,
            late=self.late,
        )


class _Listing(_Filters):
    """A list: its filters, its order, and which page of it."""

    sort: Sort = "score"
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    after: Annotated[str | None, Field(max_length=1_000, description="`next` of the page before")] = None


class _Export(_Filters):
    """What to export, and as what."""

    format: Literal["csv", "github"] = "csv"


@router.get("")
def tasks(database: DatabaseOfRequest, asked: Annotated[_Listing, Query()]) -> Page:
    """List tasks: by score, by age, or what was closed last (`recent`)."""
    return queue.list_tasks(database, asked.meant(), sort=asked.sort, limit=asked.limit, after=asked.after)


@router.get("/pending")
def pending_tasks(
    database: DatabaseOfRequest,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(max_length=1_000, description="`next` of the page before")] = None,
) -> Page:
    """List what is pending, the highest score first. What is in progress has somebody and is not listed."""
    return queue.list_tasks(database, PENDING, limit=limit, after=after)


@router.get("/statistics")
def task_statistics(
    database: DatabaseOfRequest, days: Annotated[int, Query(ge=1, le=366)] = 30
) -> Statistics:
    """Count what is open and late, and what came and went on each of the last days."""
    return queue.statistics(database, days=days)


@router.get("/export", response_class=StreamingResponse)
def export_tasks(database: DatabaseOfRequest, asked: Annotated[_Export, Query()]) -> StreamingResponse:
    """Export tasks as CSV, or as GitHub issues, one JSON object a line. It is sent while it is read."""
    found = queue.every_task(database, asked.meant())
    if asked.format == "csv":
        lines, kind, name = as_csv(found), "text/csv; charset=utf-8", "tasks.csv"
    else:
        lines, kind, name = as_github_issues(found), "application/x-ndjson", "issues.jsonl"
    # The first page is read before the answer begins: what is wrong is told as an error and not as a torn file.
    first = list(islice(lines, 2))
    return StreamingResponse(
        chain(first, lines),
        media_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.post("/claim")
def claim_tasks(database: DatabaseOfRequest, person: Operator, body: ClaimBody) -> Claimed:
    """Take the most urgent tasks. Without a sign of life (`extend`) they go back when the lease ends."""
    wanted = Filters(priority=_tuple(body.priority), category=_tuple(body.category), source=body.source)
    return queue.claim(
        database, person.name, limit=body.limit, lease_seconds=body.lease_seconds, filters=wanted
    )


@router.post("/bulk")
def act_on_several(database: DatabaseOfRequest, person: Operator, body: BulkBody) -> Done:
    """Do the same with several tasks; each is done or refused by itself."""
    return _act(database, person, [str(task_id) for task_id in body.ids], body.action, body)


@router.get("/{task_id}")
def task(
    database: DatabaseOfRequest,
    task_id: TaskId,
    before_event: Annotated[int | None, Query(ge=1, description="the id of the last event seen")] = None,
) -> TaskWithEvents:
    """Show one task and what happened to it, the newest first."""
    return queue.show(database, task_id, before_event=before_event)


@router.post("/{task_id}/{action}")
def act_on_one(
    database: DatabaseOfRequest,
    person: Operator,
    task_id: TaskId,
    action: Annotated[Action, Path(description="what to do with it")],
    body: ActionBody,
) -> Task:
    """Do something with one task; 409 when its state forbids it or it has changed since `seen`."""
    return _act(database, person, [task_id], action, body).tasks[0]


def _act(database: Database, person: Person, ids: list[str], action: Action, body: ActionBody) -> Done:
    return queue.act(
        database,
        ids,
        action,
        person.name,
        note=body.note,
        until=body.until,
        keep=None if body.keep is None else str(body.keep),
        priority=body.priority,
        lease_seconds=body.lease_seconds,
        seen=body.seen,
    )


def _tuple(items: list[_Item] | None) -> tuple[_Item, ...] | None:
    return None if items is None else tuple(items)
