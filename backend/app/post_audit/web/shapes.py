"""Shapes that several routes share: places in a list, and what a decision looks like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict

__all__ = [
    "Before",
    "Body",
    "Change",
    "DecisionOut",
    "ExperimentId",
    "Identifier",
    "Limit",
    "Open",
    "OutMessage",
    "Reason",
    "StepName",
    "TaskId",
    "following",
]

_LARGEST: Final = 2**63 - 1

Before = Annotated[int | None, Query(ge=1, le=_LARGEST, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200, description="how many at most")]
Identifier = Annotated[int, Path(ge=1, le=_LARGEST, description="its number, as in lists and on pages")]
StepName = Annotated[
    Literal["conversions", "infrastructure", "fake_data", "bugs", "live_fomo", "enhancements"],
    Path(description="which step"),
]
# of the marketplace's own type, which may be a number or a text
ExperimentId = Annotated[str, Path(description="`experiment_id`, as in the figures of all tests")]
TaskId = Annotated[str, Path(description="`id`, as in the list of tasks")]


def following(found: Sequence[Any], limit: int, key: str = "id") -> int | None:
    """Where the next page begins: None where this one was not full."""
    return int(found[-1][key]) if len(found) == limit else None


class Body(BaseModel):
    """What a request sends; a key that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class Open(BaseModel):
    """A shape to which keys may be added."""

    model_config = ConfigDict(extra="allow")


class Reason(Open):
    """One sentence behind a decision, with the numbers it was made of."""

    code: str
    text: str
    numbers: dict[str, Any] = {}


class Change(Open):
    """One thing that a decision changes: what stood there, what is to stand there, and what became of it."""

    subject: str
    before: Any
    after: Any
    state: str
    needs_approval: dict[str, Any] | None
    version: int | None
    carried_out_at: datetime | None
    detail: str | None


class OutMessage(Open):
    """One message that tells of a decision."""

    id: str
    channel: str
    subject: str
    version: int
    state: str
    payload: dict[str, Any]
    detail: str | None


class DecisionOut(Open):
    """A decision. `proposed_by` names the person who proposed it by hand; null for what a step decided."""

    id: int
    kind: Literal["step", "undo"]
    run_id: int | None
    step: str
    mode: str
    outcome: str
    state: str
    headline: str
    reasons: list[Reason]
    numbers: dict[str, Any]
    next: str
    undoes: int | None
    undone_by: int | None
    final_because: str
    actor: str
    proposed_by: str | None
    as_of: datetime
    decided_at: datetime
    counts: dict[str, int]
    changes: list[Change]
    messages: list[OutMessage]
    messages_removed: dict[str, int] = {}
