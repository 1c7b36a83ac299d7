"""The outbox on its way out: claims what is due, hands it to the sender of its channel, settles what came of it.

What other layers use:

    dispatch(database, senders)     deliver all that is due, and say what came of it and when the next one is due
    next_due(database, senders)     in how many seconds the next message can be tried
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any, Final

from app.post_audit.errors import StateMoved
from app.post_audit.logs import get_logger
from app.post_audit.outbox.console import ConsoleSender
from app.post_audit.outbox.retries import RetryPolicy
from app.post_audit.ports import Database, Envelope, Pace, Receipt, Sender
from app.post_audit.secrecy import redact

__all__ = ["ConsoleSender", "Delivery", "RetryPolicy", "dispatch", "next_due"]

# A try ends within ten seconds, whatever the receiver does; the rest is for our own database.
_LEASE_SECONDS: Final = 60
_BATCH: Final = 50
_LOOK_AGAIN_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 60.0
_LONGEST_DETAIL: Final = 500
_WAITING: Final = frozenset({"pending", "sent"})
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
    owner: str | None = None,
) -> Delivery:
    """Try every message that is due, and go on while the next one is due within `patience_seconds`.

    Safe to call from any number of processes: a message is claimed by one of them at a time. One that dies between
    sending and settling leaves a claim that expires, and the message is sent again with the same id. `stop` ends it
    after the message in hand; it is also what is waited on for messages that are not due yet. No more than a minute
    is waited in all, however often a receiver asks for a moment. `owner` is the name to claim under, which tells who
    is dead; one of its own when not given.
    """
    dispatcher = _Dispatcher(database, stop or Event(), owner or secrets.token_hex(8))
    waited = 0.0
    while True:
        before = dispatcher.states.total()
        for channel, sender in senders.items():
            dispatcher.drain(channel, sender)
        due = next_due(database, senders)
        if due is None or dispatcher.stop.is_set():
            break
        if due <= 0 and dispatcher.states.total() == before:
            # in another worker's hands
            due = _LOOK_AGAIN_SECONDS
        waited += due
        if due > patience_seconds or waited > _LONGEST_WAIT_SECONDS:
            break
        dispatcher.stop.wait(due)
    return Delivery(states=dict(dispatcher.states), due_in_seconds=due)


class _Dispatcher:
    """One call of `dispatch`: claims under a name of its own, and counts what came of its tries."""

    def __init__(self, database: Database, stop: Event, owner: str) -> None:
        self.stop = stop
        self.states: Counter[str] = Counter()
        self._database = database
        self._owner = owner

    def drain(self, channel: str, sender: Sender) -> None:
        """Send what is due for one channel."""
        pace = sender.pace
        limits: dict[str, object] = {} if pace is None else {"receiver": pace.receiver, **_limits(pace)}
        batch = _BATCH if pace is None else 1
        while not self.stop.is_set():
            claimed: Any = self._database.call(
                "post_audit_apply_claim_messages",
                owner=self._owner,
                batch=batch,
                lease_seconds=_LEASE_SECONDS,
                channel=channel,
                **limits,
            )
            for item in claimed:
                moments = {name: datetime.fromisoformat(item[name]) for name in ("created_at", "tried_at")}
                envelope = Envelope(**{**item, **moments})
                self.states[self._settle(envelope, sender.send(envelope), pace)] += 1
            if len(claimed) < batch:
                break

    def _settle(self, envelope: Envelope, receipt: Receipt, pace: Pace | None) -> str:
        """Write down what came of a try; return the state that the message is in now."""
        state, detail, wait, hold = receipt.state, receipt.detail, 0.0, 0.0
        if state in _WAITING:
            again = _RETRIES.wait(envelope.attempt, envelope.waited_seconds, receipt.asked_seconds)
            if again is None:
                tries = "one try" if envelope.attempt == 1 else f"{envelope.attempt} tries"
                state, detail = "dead", f"Given up after {tries}. {detail}"
            else:
                wait = again
            if receipt.is_receiver_down or receipt.asked_seconds is not None:
                hold = _RETRIES.hold(again, receipt.asked_seconds)
        # a receiver's words stand in it: one line, nothing that moves a terminal's cursor
        detail = "".join(sign if sign.isprintable() else " " for sign in redact(detail)[:_LONGEST_DETAIL])
        try:
            answer: Any = self._database.call(
                "post_audit_apply_settle_message",
                message_id=envelope.message_id,
                owner=self._owner,
                state=state,
                detail=detail,
                retry_seconds=wait,
                hold_seconds=hold,
                reference=receipt.reference,
                **({} if pace is None else _limits(pace)),
            )
            state = answer["state"]
        except StateMoved:
            # The claim ran out while we were sending, and another worker has the message: it sends the same id,
            # and the receiver drops one of the two.
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


def _limits(pace: Pace) -> dict[str, object]:
    return {"spacing_seconds": pace.spacing_seconds, "per_minute": pace.per_minute}
