"""The queue of tasks: listed, claimed, worked on, counted. Every call is one transaction in the database.

Nothing here decides: the order is the policy's (`policy.Scoring`), what may be done with a task is held by
`post_audit_apply_task_action`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from app.post_audit.errors import InvalidArgument
from app.post_audit.formats import IST, ist
from app.post_audit.ports import Database
from app.post_audit.step import parse_facts
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

__all__ = [
    "PENDING",
    "Action",
    "Audits",
    "Claimed",
    "ClosedRow",
    "Day",
    "Done",
    "Event",
    "Filters",
    "ImportedAudit",
    "OpenRow",
    "Page",
    "Priority",
    "Refused",
    "ScoreParts",
    "Sort",
    "Statistics",
    "Status",
    "Task",
    "TaskWithEvents",
    "act",
    "claim",
    "every_task",
    "list_tasks",
    "recent_audits",
    "show",
    "statistics",
]

Priority = Literal["critical", "high", "medium", "low"]
Status = Literal["pending", "in_progress", "completed", "cancelled"]
Sort = Literal["score", "age", "recent"]

_PAGE = 500


class Action(StrEnum):
    """What somebody may do with a task that is there."""

    START = "start"
    EXTEND = "extend"
    RELEASE = "release"
    BLOCK = "block"
    CONFIRM = "confirm"
    DONE = "done"
    CANCEL = "cancel"
    ACCEPT = "accept"
    FALSE_POSITIVE = "false_positive"
    MERGE = "merge"
    REOPEN = "reopen"
    PRIORITISE = "prioritise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which tasks are meant; what is None does not matter.

    `disposition` may name `none`, for tasks without one. `owner` is empty for those that nobody has. `late` is by
    the days to fix of the policy.
    """

    status: tuple[Status, ...] | None = None
    disposition: tuple[str, ...] | None = None
    not_disposition: tuple[str, ...] | None = None
    priority: tuple[Priority, ...] | None = None
    category: tuple[str, ...] | None = None
    source: str | None = None
    owner: str | None = None
    late: bool | None = None


PENDING = Filters(status=("pending",), not_disposition=("review",))
"""What waits for somebody. What is too unclear for the queue waits for review instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreParts:
    """What a score is the sum of."""

    base: float
    ageing: float
    closeness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task. `id` is of the marketplace's own type.

    `disposition` is the finer state; `version` changes with everything that a person may decide on. `score`, its
    `score_parts`, `reasons`, `due_at` and `late` are missing where a task is not listed by score.
    """

    id: int | str
    title: str
    description: str
    priority: Priority
    category: str
    status: Status
    disposition: str | None
    estimated_hours: float | None
    source: str | None
    target: str | None
    location: str | None
    line: int | None
    component: str | None
    rule: str | None
    severity: str | None
    occurrences: int
    owner: str | None
    lease_expires_at: datetime | None
    accepted_until: datetime | None
    duplicate_of: int | str | None
    note: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    version: str
    score: float | None = None
    score_parts: ScoreParts | None = None
    due_at: datetime | None = None
    late: bool | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of tasks. `count` is that of all that pass the filters; `next` is `after` of the following page."""

    tasks: tuple[Task, ...]
    count: int | None
    next: str | None
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to a task. `before` and `after` hold what differs; `actor` is `import` where an audit did it."""

    id: int
    kind: str
    actor: str
    note: str | None
    before: dict[str, object] | None
    after: dict[str, object] | None
    audit_id: int | None
    audit: str | None
    decision_id: int | None
    happened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskWithEvents:
    """A task and what happened to it, the newest first."""

    task: Task
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """Tasks that now belong to whoever claimed them."""

    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A task that was left as it was, and why."""

    id: str
    message: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Tasks as they became, and those that were left as they were."""

    tasks: tuple[Task, ...]
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedAudit:
    """An audit and what its import did: `report` counts new, unchanged, changed, reopened, closed, kept and so on."""

    id: int
    name: str
    source: str
    target: str
    format: str
    state: str
    complete: bool
    findings: int
    reported: int
    needs_review: int
    errors: int
    first_error: str | None
    received_at: datetime
    migrated_at: datetime | None
    report: dict[str, int] | None
    decision_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audits:
    """Audits, the newest first; `next` is `before` of the following page."""

    audits: tuple[ImportedAudit, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRow:
    """What is open of one priority."""

    priority: Priority
    open: int
    in_progress: int
    blocked: int
    review: int
    late: int
    oldest_days: float
    mean_age_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedRow:
    """What was completed of one priority in the days that were asked for, and how much of it too late."""

    priority: Priority
    closed: int
    late: int
    median_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day: what came, what went, what was open at its end; both sums run from the first day asked for."""

    day: date
    opened: int
    reopened: int
    closed_by_audits: int
    completed: int
    put_aside: int
    open_at_end: int
    opened_in_all: int
    closed_in_all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What has become of the queue over some days of India's calendar."""

    as_of: datetime
    days: int
    open: tuple[OpenRow, ...]
    closed: tuple[ClosedRow, ...]
    daily: tuple[Day, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    tasks: tuple[Task, ...]
    count: int | None
    next: dict[str, int | float | str] | None
    as_of: datetime


def list_tasks(  # noqa: PLR0913 - what is asked for, how much of it, and from where on
    database: Database,
    filters: Filters,
    *,
    sort: Sort = "score",
    limit: int = 100,
    after: str | None = None,
    counted: bool = True,
) -> Page:
    """List a page of tasks, the most urgent first. Raises `InvalidArgument` for a place that is none."""
    answer = database.call(
        "post_audit_read_tasks",
        scoring=EnhancementsPolicy().scoring,
        filters=filters,
        sort=sort,
        limit=limit,
        after=_place(after),
        counted=counted,
    )
    page = parse_facts(_Page, answer)
    following = None if page.next is None else json.dumps(page.next, separators=(",", ":"))
    return Page(
        tasks=tuple(_explained(task) for task in page.tasks),
        count=page.count,
        next=following,
        as_of=page.as_of,
    )


def every_task(database: Database, filters: Filters, *, sort: Sort = "score") -> Iterator[Task]:
    """List all tasks that pass the filters, a page at a time: memory holds one page."""
    after: str | None = None
    while True:
        page = list_tasks(database, filters, sort=sort, limit=_PAGE, after=after, counted=False)
        yield from page.tasks
        after = page.next
        if after is None:
            return


def show(database: Database, task_id: str, *, before_event: int | None = None) -> TaskWithEvents:
    """Read one task and its newest events. Raises `NotFound`."""
    answer = database.call(
        "post_audit_read_task",
        task_id=task_id,
        scoring=EnhancementsPolicy().scoring,
        before_event=before_event,
    )
    found = parse_facts(TaskWithEvents, answer)
    return replace(found, task=_explained(found.task))


def claim(
    database: Database,
    owner: str,
    *,
    limit: int = 1,
    lease_seconds: int | None = None,
    filters: Filters | None = None,
) -> Claimed:
    """Take the most urgent tasks for `owner`, until the lease ends or the owner says something of them."""
    policy = EnhancementsPolicy()
    answer = database.call(
        "post_audit_apply_claim_tasks",
        owner=owner,
        scoring=policy.scoring,
        limit=limit,
        lease_seconds=int(policy.lease.total_seconds()) if lease_seconds is None else lease_seconds,
        filters=filters or Filters(),
    )
    return parse_facts(Claimed, answer)


def act(  # noqa: PLR0913 - an action has one of four particulars
    database: Database,
    ids: Sequence[str],
    action: Action,
    actor: str,
    *,
    note: str | None = None,
    until: date | datetime | None = None,
    keep: str | None = None,
    priority: str | None = None,
    lease_seconds: int | None = None,
    seen: str | None = None,
) -> Done:
    """Do something with tasks: one is done or refused, of several each stands for itself.

    `until` belongs to accept (a day means its end in India), `keep` to merge, `priority` to prioritise,
    `lease_seconds` to extend. With `seen`, the version that was read, nothing is done when the task has changed since.
    Raises `StateMoved`, `NotFound` or `InvalidArgument` for one task; for several they are told in `refused`.
    """
    answer = database.call(
        "post_audit_apply_task_action",
        ids=list(ids),
        action=action.value,
        actor=actor,
        note=note,
        until=_moment(until),
        keep=keep,
        priority=priority,
        lease_seconds=lease_seconds,
        seen=seen,
    )
    return parse_facts(Done, answer)


def recent_audits(
    database: Database, *, limit: int = 20, before: int | None = None, source: str | None = None
) -> Audits:
    """List audits and what each opened, closed, reopened and left."""
    return parse_facts(
        Audits, database.call("post_audit_read_audits", limit=limit, before=before, source=source)
    )


def statistics(database: Database, *, days: int = 30) -> Statistics:
    """Count what is open and late, and what came and went on each of the last `days` days."""
    answer = database.call("post_audit_read_task_statistics", scoring=EnhancementsPolicy().scoring, days=days)
    return parse_facts(Statistics, answer)


def _explained(task: Task) -> Task:
    """Say what a task's score is made of, each part with its number."""
    if task.score_parts is None or task.due_at is None:
        return task
    scoring = EnhancementsPolicy().scoring
    points, impact = scoring.points[task.priority], scoring.impact.get(task.category, 1.0)
    parts, days = task.score_parts, scoring.days_to_fix[task.priority]
    reasons = [f"{parts.base:g}: {task.priority} ({points:g}) x {task.category} ({impact:g})."]
    if parts.ageing:
        reasons.append(f"{parts.ageing:g}: seen since {ist(task.first_seen_at)}.")
    if parts.closeness and task.late:
        reasons.append(f"{parts.closeness:g}: late; its {days} days ended {ist(task.due_at)}.")
    elif parts.closeness:
        reasons.append(f"{parts.closeness:g}: its {days} days end {ist(task.due_at)}.")
    return replace(task, reasons=tuple(reasons))


def _moment(until: date | datetime | None) -> datetime | None:
    """The end of a day in India; a moment without a zone is India's."""
    match until:
        case None:
            return None
        case datetime():
            return until if until.tzinfo is not None else until.replace(tzinfo=IST)
        case _:
            return datetime.combine(until + timedelta(days=1), time(), tzinfo=IST)


def _place(after: str | None) -> dict[str, int | float | str] | None:
    if after is None:
        return None
    try:
        return TypeAdapter(dict[str, int | float | str]).validate_json(after)
    except ValidationError as error:
        raise InvalidArgument(
            "`after` is not a place to go on from.", cure="Give `next` of the page before, unchanged."
        ) from error
