"""Decisions made by hand, for tests of the machinery that stores and carries them out."""

from __future__ import annotations

from typing import Any

from app.post_audit.ports import JSON, Database
from app.post_audit.step import Change, Channel, Decision, Message, Outcome, Reason

ACTOR = "a test"


def reason(text: str = "Because the test says so.") -> Reason:
    return Reason(code="test.reason", text=text)


def nothing() -> Decision:
    return Decision(outcome=Outcome.NOTHING, headline="Nothing changed.", reasons=(reason(),))


def capacity(daily_quota: int) -> dict[str, JSON]:
    return {"daily_quota": daily_quota, "batch_size": 500}


def raise_quota(
    before: int, after: int, *, channel: str = "sms", needs_approval: Reason | None = None
) -> Decision:
    """Raise a channel's daily quota, with the messages that go with it."""
    subject = f"capacity:{channel}"
    return Decision(
        outcome=Outcome.ACT,
        headline=f"Raised {channel} to {after} a day.",
        reasons=(reason(),),
        changes=(
            Change(
                subject=subject,
                before=capacity(before),
                after=capacity(after),
                needs_approval=needs_approval,
            ),
        ),
        messages=(Message(channel=Channel.N8N_SCALE, subject=subject, payload=capacity(after)),),
        undo_messages=(Message(channel=Channel.N8N_SCALE, subject=subject, payload=capacity(before)),),
    )


def begin(database: Database, *, tick: str, owner: str = "a test", kind: str = "manual") -> tuple[int, int]:
    """Begin a run; its id and token."""
    begun: Any = database.call(
        "post_audit_apply_begin_run", tick=tick, owner=owner, lease_seconds=30, kind=kind
    )
    assert begun["state"] in {"started", "resumed"}, begun
    return begun["run"]["id"], begun["run"]["token"]


def decide(
    database: Database, decision: Decision, *, step: str = "infrastructure", tick: str, finish: bool = True
) -> dict[str, Any]:
    """Store and carry out a decision in a run of its own."""
    run_id, token = begin(database, tick=tick)
    answer: Any = database.call(
        "post_audit_apply_decision", run_id=run_id, token=token, step=step, decision=decision
    )
    if finish:
        database.call("post_audit_apply_finish_run", run_id=run_id, token=token)
    return dict(answer["decision"])


def arm(database: Database, step: str = "infrastructure", mode: str = "act") -> None:
    database.call("post_audit_apply_mode", step=step, mode=mode, actor=ACTOR)
