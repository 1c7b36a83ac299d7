"""`/api/admin/decisions`: what was decided and why; approve, reject and undo in the name of who is signed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from app.post_audit.errors import NotFound
from app.post_audit.ports import Database
from app.post_audit.web.context import Approver, DatabaseOfRequest, visit_of
from app.post_audit.web.shapes import Before, Body, DecisionOut, Identifier, Limit, following

__all__ = ["ApproveBody", "Decisions", "RejectBody", "UndoBody", "router"]

router = APIRouter(prefix="/api/admin/decisions", tags=["decisions"])

# How many changes one call carries out: 250 of 3 ms each stay below a call's two seconds.
_BATCH: Final = 250

_Subjects = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=500)]] | None,
    Field(max_length=1000, description="only these subjects of the decision; all when not given"),
]
_HoldDays = Annotated[
    int | None, Field(ge=0, le=3660, description="for how many days the same is not done again")
]


class ApproveBody(Body):
    """What is agreed to."""

    subjects: _Subjects = None


class RejectBody(Body):
    """How long it is declined for."""

    hold_days: _HoldDays = None


class UndoBody(Body):
    """What is taken back, and for how long."""

    subjects: _Subjects = None
    hold_days: _HoldDays = None


class Decisions(BaseModel):
    """A page of decisions, newest first, each with its first five changes; `next` is `before` of the next page."""

    decisions: list[DecisionOut]
    next: int | None


@router.get("")
def list_decisions(
    database: DatabaseOfRequest,
    before: Before = None,
    limit: Limit = 20,
    step: Annotated[str | None, Query(max_length=100, description="only this step's")] = None,
    *,
    waiting: Annotated[bool, Query(description="only what waits for approval")] = False,
) -> Decisions:
    """List decisions, newest first."""
    found: Any = database.call(
        "post_audit_read_decisions", before=before, limit=limit, step=step, waiting=waiting
    )
    return Decisions.model_validate({"decisions": found, "next": following(found, limit)})


@router.get("/{decision_id}")
def one_decision(database: DatabaseOfRequest, decision_id: Identifier) -> DecisionOut:
    """Show one decision with its reasons, its numbers and its first 500 changes."""
    found: Any = database.call("post_audit_read_decision", decision_id=decision_id)
    if found is None:
        raise NotFound(f"There is no decision {decision_id}.", cure="See the list: /api/admin/decisions.")
    return DecisionOut.model_validate(found)


@router.post("/{decision_id}/approve")
def approve(
    request: Request,
    database: DatabaseOfRequest,
    person: Approver,
    decision_id: Identifier,
    body: ApproveBody | None = None,
) -> DecisionOut:
    """Carry out what a decision proposes. Refused for who proposed it by hand: a second person approves."""
    subjects = None if body is None else body.subjects
    answer: Any = database.call(
        "post_audit_apply_approval", decision_id=decision_id, actor=person.name, subjects=subjects
    )
    return _settled(request, database, answer, "decision.approved", decision_id)


@router.post("/{decision_id}/reject")
def reject(
    request: Request,
    database: DatabaseOfRequest,
    person: Approver,
    decision_id: Identifier,
    body: RejectBody | None = None,
) -> DecisionOut:
    """Decline what a decision proposes; the same is not proposed again for a while."""
    hold_days = None if body is None else body.hold_days
    answer: Any = database.call(
        "post_audit_apply_rejection", decision_id=decision_id, actor=person.name, hold_days=hold_days
    )
    return _settled(request, database, answer, "decision.rejected", decision_id)


@router.post("/{decision_id}/undo")
def undo(
    request: Request,
    database: DatabaseOfRequest,
    person: Approver,
    decision_id: Identifier,
    body: UndoBody | None = None,
) -> DecisionOut:
    """Take a decision back; the answer is the new decision that does it."""
    wanted = body or UndoBody()
    answer: Any = database.call(
        "post_audit_apply_undo",
        decision_id=decision_id,
        actor=person.name,
        subjects=wanted.subjects,
        hold_days=wanted.hold_days,
    )
    return _settled(request, database, answer, "decision.undone", decision_id)


def _settled(
    request: Request, database: Database, answer: Mapping[str, Any], action: str, decision_id: int
) -> DecisionOut:
    """Write down who did it, carry out what is left in batches, and let what is to be told leave."""
    visit_of(request).record(action, f"decision:{decision_id}")
    decision, remaining = answer["decision"], answer["remaining"]
    while remaining:
        more: Any = database.call("post_audit_apply_batch", decision_id=decision["id"], batch=_BATCH)
        decision, remaining = more["decision"], more["remaining"]
    request.app.state.deliver()
    return DecisionOut.model_validate(decision)
