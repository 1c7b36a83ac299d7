"""What a worker does beside its work: it tells that it lives, sends what is due in the outbox, and tidies it up."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Self

from app.post_audit.engine.workshop import Workshop
from app.post_audit.errors import PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.runner import owner
from app.post_audit.secrecy import redact

__all__ = ["Presence"]

# A message waits so long at most for whoever is idle; right after a run it does not wait.
_DELIVER_EVERY: Final = timedelta(seconds=2)
_TELL_EVERY: Final = timedelta(seconds=10)

_log = get_logger(__name__)


class Presence:
    """A thread beside a worker (which also delivers) or a schedule (which tells its next tick)."""

    def __init__(self, workshop: Workshop, *, kind: Literal["worker", "schedule"]) -> None:
        self._workshop, self._kind = workshop, kind
        self._name = owner.mine()
        self._next_tick: datetime | None = None
        self._due: float | None = None
        self._soon = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"post-audit-{kind}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._soon.set()
        self._thread.join()
        with contextlib.suppress(PostAuditError):  # then it is missed after a minute instead
            self._workshop.database.call("post_audit_apply_worker_gone", name=self._name)

    def move(self, workshop: Workshop) -> None:
        """Go on over a database that was started again."""
        self._workshop = workshop

    def deliver_soon(self) -> None:
        """Something may be in the outbox now."""
        self._soon.set()

    def will_tick(self, moment: datetime) -> None:
        """Tell when the schedule's next tick is."""
        if moment != self._next_tick:
            self._next_tick = moment
            self._tell()

    def _live(self) -> None:
        told = float("-inf")
        while not self._ended.is_set():
            if time.monotonic() - told >= _TELL_EVERY.total_seconds():
                told = time.monotonic()
                self._tell()
                if self._kind == "worker":
                    self._tidy()
            if self._kind == "worker":
                self._deliver()
            if self._ended.is_set():
                return
            self._soon.wait(self._pause())
            self._soon.clear()

    def _pause(self) -> float:
        """Seconds until there is something to do: a message is due, or it is time to look again."""
        longest = _DELIVER_EVERY.total_seconds()
        return longest if self._due is None else min(longest, max(0.05, self._due))

    def _tell(self) -> None:
        try:
            self._forget_the_dead()
            self._workshop.database.call(
                "post_audit_apply_worker_seen", name=self._name, kind=self._kind, next_tick=self._next_tick
            )
        except PostAuditError as error:
            _log.warning("worker.not_told", error=redact(str(error)))

    def _forget_the_dead(self) -> None:
        """Those of this machine that were killed are not missed; those of others are told as not seen."""
        now: Any = self._workshop.database.call("post_audit_read_operations")
        for worker in now["workers"]:
            if owner.is_dead(worker["name"]):
                self._workshop.database.call("post_audit_apply_worker_gone", name=worker["name"])
        for sender in now["senders"]:
            if owner.is_dead(sender):
                self._workshop.database.call("post_audit_apply_release_messages", owner=sender)
                _log.info("outbox.sender_gone", owner=owner.readable(sender))

    def _tidy(self) -> None:
        try:
            self._workshop.tidy()
        except PostAuditError as error:
            _log.warning("outbox.not_tidied", error=redact(str(error)))

    def _deliver(self) -> None:
        self._due = None
        try:
            self._due = self._workshop.deliver(patience_seconds=0, stop=self._ended).due_in_seconds
        except PostAuditError as error:
            # What was claimed is due again when its claim has run out.
            _log.warning("outbox.not_delivered", code=type(error).__name__, error=redact(str(error)))
        except Exception:  # noqa: BLE001 - a fault of one sender must not end all deliveries for good
            _log.exception("outbox.bug")
