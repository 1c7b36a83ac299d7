"""The outbox on its way out: claims what is due, hands it to the sender of its channel, settles what came of it.

What other layers use:

    dispatch(database, senders)     deliver all that is due, and say what came of it and when the next one is due
    next_due(database, senders)     in how many seconds the next message can be tried
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any, Final

from app.post_audit.errors import StateMoved
from app.post_audit.logs import get_logger, redact
from app.post_audit.outbox.console import ConsoleSender
from app.post_audit.outbox.retries import RetryPolicy
from app.post_audit.ports import Database, Envelope, Pace, Receipt, Sender

__all__ = ["ConsoleSender", "Delivery", "RetryPolicy", "dispatch", "next_due"]

# A try ends within ten seconds, whatever the receiver does; the rest is for our own database.
_LEASE_SECONDS: Final = 60
_BATCH: Final = 50
_LOOK_AGAIN_SECONDS: Final = 0.5
_LONGEST_DETAIL: Final = 500
_RETRIES: Final = RetryPolicy()

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came of a dispatch.

    `states` counts the tries by the state they led to; `due_in_seconds` says when the next message can be tried, by
    the database's clock, and is None when none waits.
    """

    states: Mapping[str, int] = field(default_factory=dict)
    due_in_seconds: float | None = None

    @property
    def tried(self) -> int:
        """How many tries were made."""
        return sum(self.states.values())


def next_due(database: Database, senders: Mapping[str, Sender]) -> float | None:
    """In how many seconds the next message can be tried: 0 for now, None when none waits."""
    receivers = {
        channel: sender.pace.receiver for channel, sender in senders.items() if sender.pace is not None
    }
    answer: Any = database.call("post_audit_read_outbox_due", receivers=receivers)
    seconds = answer["due_in_seconds"]
    return None if seconds is None else float(seconds)


def dispatch(
    database: Database,
    senders: Mapping[str, Sender],
    *,
    patience_seconds: float = 0.0,
    stop: Event | None = None,
    wait: Callable[[float], object] | None = None,
    retries: RetryPolicy = _RETRIES,
) -> Delivery:
    """Try every message that is due, and those that become due within `patience_seconds`.

    Safe to call from any number of processes: a message is claimed by one of them at a time. One that dies between
    sending and settling leaves a claim that expires, and the message is sent again with the same id. `stop` ends it
    after the message in hand; `wait(seconds)` is how it waits for what is not due yet.
    """
    stop = stop or Event()
    wait = wait or stop.wait
    owner = secrets.token_hex(8)
    states: Counter[str] = Counter()
    ends = time.monotonic() + patience_seconds
    waited = 0.0
    while True:
        before = states.total()
        for channel, sender in senders.items():
            states += _drain(database, channel, sender, owner, stop, retries)
        due = next_due(database, senders)
        if due is None or stop.is_set():
            break
        if due <= 0 and states.total() == before:
            # in another worker's hands
            due = _LOOK_AGAIN_SECONDS
        if due > 0:
            waited += due
            if waited > patience_seconds or time.monotonic() + due > ends:
                break
            wait(due)
    return Delivery(states=dict(states), due_in_seconds=due)


def _drain(
    database: Database, channel: str, sender: Sender, owner: str, stop: Event, retries: RetryPolicy
) -> Counter[str]:
    """Send what is due for one channel."""
    states: Counter[str] = Counter()
    limits: dict[str, object] = {"channel": channel, **_limits(sender.pace)}
    if sender.pace is not None:
        limits["receiver"] = sender.pace.receiver
    batch = _BATCH if sender.pace is None else 1
    while not stop.is_set():
        claimed: Any = database.call(
            "post_audit_apply_claim_messages",
            owner=owner,
            batch=batch,
            lease_seconds=_LEASE_SECONDS,
            **limits,
        )
        for item in claimed:
            envelope = _envelope(item)
            receipt = sender.send(envelope)
            states[_settle(database, envelope, receipt, sender.pace, owner, retries)] += 1
        if len(claimed) < batch:
            break
    return states


def _limits(pace: Pace | None) -> dict[str, object]:
    if pace is None:
        return {}
    return {"spacing_seconds": pace.spacing_seconds, "per_minute": pace.per_minute}


def _envelope(item: dict[str, Any]) -> Envelope:
    moments = {name: datetime.fromisoformat(item[name]) for name in ("created_at", "tried_at")}
    return Envelope(**{**item, **moments})


def _settle(
    database: Database,
    envelope: Envelope,
    receipt: Receipt,
    pace: Pace | None,
    owner: str,
    retries: RetryPolicy,
) -> str:
    """Write down what came of a try; return the state that the message is in now."""
    state, detail, wait = receipt.state, receipt.detail, 0.0
    hold = 0.0
    if state in {"pending", "sent"}:
        again = retries.wait(envelope.attempt, envelope.waited_seconds, receipt.asked_seconds)
        if again is None:
            state, detail = "dead", f"Given up after {envelope.attempt} tries. {detail}"
        else:
            wait = again
        if receipt.is_receiver_down or receipt.asked_seconds is not None:
            hold = retries.hold(again, receipt.asked_seconds)
    try:
        answer: Any = database.call(
            "post_audit_apply_settle_message",
            message_id=envelope.message_id,
            owner=owner,
            state=state,
            detail=redact(detail)[:_LONGEST_DETAIL],
            retry_seconds=wait,
            hold_seconds=hold,
            reference=receipt.reference,
            **_limits(pace),
        )
        state = answer["state"]
    except StateMoved:
        # The claim ran out while we were sending, and another worker has sent it since: the same id, so the
        # receiver drops one of the two.
        state = "lost"
    told = _log.warning if state in {"dead", "refused"} else _log.info
    told(
        "message.settled",
        message_id=envelope.message_id,
        decision_id=envelope.decision_id,
        channel=envelope.channel,
        subject=envelope.subject,
        version=envelope.version,
        attempt=envelope.attempt,
        merged=len(envelope.others),
        state=state,
        detail=detail,
    )
    return state
