"""`/api/admin/outbox`: messages and what became of them; try one again, or drop it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from app.post_audit.web.context import DatabaseOfRequest, Operator, visit_of
from app.post_audit.web.shapes import Before, Identifier, Limit, Open, following

__all__ = ["Messages", "OutboxMessage", "router"]

router = APIRouter(prefix="/api/admin/outbox", tags=["outbox"])


class OutboxMessage(Open):
    """One message. `next_attempt_at` is null for what is settled."""

    number: int
    message_id: str
    decision_id: int
    channel: str
    subject: str
    version: int
    state: str
    attempts: int
    detail: str | None
    payload: dict[str, Any]
    created_at: datetime
    settled_at: datetime | None
    next_attempt_at: datetime | None


class Messages(BaseModel):
    """A page of messages, newest first; `next` is `before` of the next page."""

    messages: list[OutboxMessage]
    next: int | None


@router.get("")
def list_messages(
    database: DatabaseOfRequest,
    before: Before = None,
    limit: Limit = 50,
    state: Annotated[str | None, Query(max_length=50, description="only in this state")] = None,
    channel: Annotated[str | None, Query(max_length=50, description="only of this channel")] = None,
) -> Messages:
    """List messages, newest first."""
    found: Any = database.call(
        "post_audit_read_messages", before=before, limit=limit, state=state, channel=channel
    )
    return Messages.model_validate({"messages": found, "next": following(found, limit, "number")})


@router.post("/{number}/retry")
def retry(
    request: Request, database: DatabaseOfRequest, person: Operator, number: Identifier
) -> OutboxMessage:
    """Let a message be tried again, now."""
    answer: Any = database.call("post_audit_apply_message_retry", number=number, actor=person.name)
    visit_of(request).record("message.retried", f"message:{number}")
    request.app.state.deliver()
    return OutboxMessage.model_validate(answer)


@router.post("/{number}/drop")
def drop(
    request: Request, database: DatabaseOfRequest, person: Operator, number: Identifier
) -> OutboxMessage:
    """Give a message up; it is never sent."""
    answer: Any = database.call("post_audit_apply_message_drop", number=number, actor=person.name)
    visit_of(request).record("message.dropped", f"message:{number}")
    return OutboxMessage.model_validate(answer)
