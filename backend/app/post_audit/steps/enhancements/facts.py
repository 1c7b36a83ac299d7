"""What step `enhancements` knows: the audits that arrived, and what is open in the queue.

Counts are of findings or tasks; a finding's priority is critical, high, medium or low. Moments are in UTC and
none is later than `as_of`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = [
    "EnhancementsFacts",
    "Hold",
    "MigratedAudit",
    "Preview",
    "QueueRow",
    "ReceivedAudit",
    "RefusedAudit",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What importing an audit would do to the tasks of its scope.

    `gone` are those of `closed` that a complete audit no longer reports; `kept` are reported again although a
    person has closed them; `recorded` are reported as done already. `open_before` are the scope's open tasks.
    """

    new: int
    recorded: int
    unchanged: int
    changed: int
    reopened: int
    closed: int
    kept: int
    gone: int
    open_before: int
    new_critical: int
    new_high: int
    worst_new: tuple[str, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """That a person took an import back or declined it, and until when that is respected."""

    until: datetime
    decision_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedAudit:
    """An audit that waits to be imported. `preview` is None when another one of its scope comes before it."""

    id: int
    name: str
    source: str
    target: str
    format: str
    complete: bool
    findings: int
    reported: int
    needs_review: int
    errors: int
    received_at: datetime
    preview: Preview | None
    hold: Hold | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedAudit:
    """A file that could not be read, and why."""

    id: int
    name: str
    message: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MigratedAudit:
    """The newest audit that has been imported."""

    id: int
    name: str
    source: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """Open tasks of one priority, and how many of them are older than they may be."""

    priority: str
    open: int
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhancementsFacts:
    """All of it at one moment. `waiting` counts received audits, those beyond the list too."""

    as_of: datetime
    received: tuple[ReceivedAudit, ...]
    waiting: int
    refused: tuple[RefusedAudit, ...]
    last_migrated: MigratedAudit | None
    queue: tuple[QueueRow, ...]
