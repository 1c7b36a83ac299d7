"""What `post_audit_read_health` answers: the database's own part of an examination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

__all__ = [
    "Access",
    "DecisionMade",
    "Exposure",
    "Health",
    "LastLook",
    "LastRun",
    "RoleBinding",
    "StepState",
    "Waiting",
    "WaitingMessages",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A relation or function of ours, and who may use it without being meant to."""

    name: str
    outsider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who else may come in. `readable` is what an owner has opened for reading, on purpose."""

    unsecured: Sequence[str]
    readable: Sequence[str]
    exposed: Sequence[Exposure]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleBinding:
    """Where a role points, and which rights on it we lack."""

    role: str
    relation: str | None
    is_bound: bool
    lacking: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """What the last run came to for one step; `error` has `code`, `message` and `cure`."""

    run_id: int
    state: Literal["decided", "failed", "paused"]
    error: Mapping[str, Any] | None
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade:
    """A step's last decision; `reasons` and `numbers` as they were stored, numbers where they are judged here."""

    id: int
    outcome: Literal["act", "nothing", "blocked", "unknown"]
    state: str
    headline: str
    reasons: Sequence[Mapping[str, Any]]
    numbers: Mapping[str, Any]
    next: str
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Changes of a step that wait for a person, the newest decision of them."""

    decision_id: int
    changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """How one step stands."""

    step: str
    mode: Literal["act", "propose", "paused"]
    changed_by: str
    last: LastLook | None
    decision: DecisionMade | None
    waiting: Waiting | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The last run of all steps."""

    id: int
    kind: str
    state: Literal["running", "completed", "failed"]
    started_at: datetime
    finished_at: datetime | None
    lease_expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMessages:
    """Messages of one channel that were not confirmed; `detail` is what the newest try came to."""

    channel: str
    state: Literal["pending", "sent", "refused", "dead"]
    number: int
    oldest_at: datetime
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The database as it stands. `server_number` is PostgreSQL's own (170002 for 17.2), sizes are in bytes."""

    now: datetime
    server: str
    server_number: int
    acts_as: str
    is_standby: bool
    is_read_only: bool
    database_bytes: int
    schema_version: int
    digest: str | None
    marketplace: Literal["live", "demonstration"]
    missing_functions: Sequence[str]
    access: Access
    roles: Sequence[RoleBinding]
    steps: Sequence[StepState]
    last_run: LastRun | None
    next_tick: datetime | None
    messages: Sequence[WaitingMessages]

    @property
    def is_demonstration(self) -> bool:
        """Whether it is the invented marketplace, which tells nobody anything."""
        return self.marketplace == "demonstration"
