"""The queue of tasks: listed, claimed, worked on, counted. Every call is one transaction in the database.

Nothing here decides: the order is the policy's (`policy.Scoring`), what may be done with a task is held by
`post_audit_apply_task_action`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from pydantic import TypeAdapter, ValidationError

from app.post_audit.errors import InvalidArgument
from app.post_audit.formats import IST, ist
from app.post_audit.ports import Database
from app.post_audit.step import parse_facts
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.tasks import (
    Action,
    Audits,
    Claimed,
    Done,
    Filters,
    Page,
    Sort,
    Statistics,
    Task,
    TaskWithEvents,
)

__all__ = ["act", "claim", "every_task", "list_tasks", "recent_audits", "show", "statistics"]

_PAGE = 500


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
