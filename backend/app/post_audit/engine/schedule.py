"""The schedule: asks for a run at every tick, once, on however many machines it is started.

Moments are the database's, never this machine's: a machine whose clock is two hours off asks for the same ticks.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import psycopg

from app.post_audit.engine.presence import Presence
from app.post_audit.engine.queue import Queue, Wanted
from app.post_audit.engine.workshop import Workshop
from app.post_audit.errors import PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.secrecy import redact

if TYPE_CHECKING:
    from app.post_audit.steps.enhancements.inbox import Collected

__all__ = ["Schedule", "tick_of"]

# How often the inbox and the database's clock are looked at.
_LOOK_AGAIN: Final = timedelta(seconds=30)
_AWAY: Final = timedelta(seconds=1)
# Machines that are started together ask a little apart; whoever is first asks for all.
_JITTER_SHARE: Final = 0.05
_LONGEST_JITTER: Final = timedelta(seconds=60)

_log = get_logger(__name__)


def tick_of(moment: datetime, interval: timedelta) -> tuple[str, datetime]:
    """The tick that a moment belongs to, and when the next one begins.

    Ticks count from midnight UTC of 1970, so that every machine cuts time at the same places.
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    start = epoch + (moment - epoch) // interval * interval
    return f"schedule:{start.isoformat()}/{int(interval.total_seconds())}s", start + interval


class Schedule:
    """Asks for the tick that is now, and then for each that comes, until stopped."""

    def __init__(
        self,
        workshop: Workshop,
        interval: timedelta,
        *,
        lease: timedelta,
        on_audits: Callable[[list[Collected]], None] | None = None,
    ) -> None:
        if interval <= timedelta(0):
            raise ValueError("the interval has to be more than 0")
        self._workshop, self._interval, self._lease = workshop, interval, lease
        self._on_audits = on_audits
        self._stop = threading.Event()
        self._chance = random.SystemRandom()
        self._presence = Presence(workshop, kind="schedule")

    def stop(self) -> None:
        """End now; nothing is being done here. From any thread."""
        self._stop.set()

    def move(self, workshop: Workshop) -> None:
        """Go on over a database that was started again."""
        self._workshop = workshop
        self._presence.move(workshop)

    def run(self) -> None:
        """Ask until stopped. A tick that could not be asked for is asked for as long as it lasts."""
        jitter, asked = timedelta(0), ""
        with self._presence:
            while not self._stop.is_set():
                try:
                    now = self._now()
                    tick, following = tick_of(now, self._interval)
                    self._presence.will_tick(following)
                    start = following - self._interval
                    if tick == asked or now >= start + jitter:
                        self._look(tick, start, asked)
                        if tick != asked:
                            asked, jitter = tick, self._some_jitter()
                            _log.debug("schedule.waiting", tick=tick, until=following.isoformat())
                        wait = min(_LOOK_AGAIN, following + jitter - now)
                    else:
                        wait = start + jitter - now
                except (psycopg.Error, PostAuditError) as error:
                    _log.warning("schedule.database_away", error=redact(str(error)))
                    wait = _AWAY
                self._stop.wait(max(0.0, wait.total_seconds()))
        _log.info("schedule.stopped")

    def _look(self, tick: str, start: datetime, asked: str) -> None:
        """Take in what arrived; ask for the tick, or else for a run for the audits that arrived after it."""
        collected = self._workshop.take_in()
        if self._on_audits is not None and collected:
            self._on_audits(collected)
        arrived = [
            item.stored.id
            for item in collected
            if item.stored is not None and item.stored.state == "received"
        ]
        if tick != asked:
            wanted = Wanted(tick=tick, kind="schedule", slot=start.isoformat())
        elif arrived:
            wanted = Wanted(tick=f"audit:{arrived[-1]}", kind="audit")
        else:
            return
        with Queue(self._workshop.engine_conninfo(), lease=self._lease) as queue:
            queue.ask(wanted)
        _log.info("schedule.asked", tick=wanted.tick)

    def _now(self) -> datetime:
        told: Any = self._workshop.database.call("post_audit_read_clock")
        return datetime.fromisoformat(told["now"])

    def _some_jitter(self) -> timedelta:
        return min(self._interval * _JITTER_SHARE, _LONGEST_JITTER) * self._chance.random()
