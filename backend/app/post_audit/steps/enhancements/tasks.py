"""Tasks as the queue tells them: what they are, what may be asked and done, and what is counted of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

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
]

Priority = Literal["critical", "high", "medium", "low"]
Status = Literal["pending", "in_progress", "completed", "cancelled"]
Sort = Literal["score", "age", "recent"]


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
