"""A worker: takes runs from the queue until it is stopped, and outlives its database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import psycopg

from app.post_audit.engine.handling import Watcher, handle
from app.post_audit.engine.presence import Presence
from app.post_audit.engine.queue import Attempt, Queue, Wanted
from app.post_audit.engine.workshop import Workshop
from app.post_audit.errors import PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.runner import RunReport
from app.post_audit.secrecy import redact

__all__ = ["Worker"]

# How often an idle worker asks for work; each time costs the database 0.3 ms.
_POLL: Final = timedelta(seconds=0.25)
# How often it looks for claims of processes that are dead, as a share of asking for work.
_LOOK_FOR_DEAD_EVERY: Final = 2
_CLEAN_EVERY: Final = 40_000
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0

_log = get_logger(__name__)


class Worker:
    """Serves the queue in the thread that calls `run`; messages leave in a second one."""

    def __init__(
        self,
        workshop: Workshop,
        *,
        lease: timedelta,
        on_report: Callable[[RunReport], None] | None = None,
        on_move: Callable[[Workshop], None] | None = None,
    ) -> None:
        """Prepare. `on_move` is told when an embedded server had to be started again."""
        self._workshop, self._lease, self._on_report = workshop, lease, on_report
        self._on_move = on_move
        self._stop = threading.Event()
        self._presence = Presence(workshop, kind="worker")

    @property
    def workshop(self) -> Workshop:
        """What it works with now; another than at first when an embedded server had to be started again."""
        return self._workshop

    def stop(self) -> None:
        """End after the step that is being run; the run goes back into the queue. From any thread."""
        self._stop.set()
        self._workshop.runner.stop()

    def run(self) -> None:
        """Work until told to stop. A database that is away is waited for."""
        pause = _FIRST_PAUSE
        with self._presence:
            while not self._stop.is_set():
                try:
                    with Queue(self._workshop.engine_conninfo(), lease=self._lease) as queue:
                        self._serve(queue)
                        pause = _FIRST_PAUSE
                except (psycopg.Error, PostAuditError) as error:
                    _log.warning("worker.database_away", error=redact(str(error)), again_in_seconds=pause)
                    self._stop.wait(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    self._renew()
        _log.info("worker.stopped")

    def _serve(self, queue: Queue) -> None:
        def do(wanted: Wanted, attempt: Attempt) -> Mapping[str, Any]:
            done = handle(self._workshop, queue, wanted, attempt, Watcher(on_report=self._on_report))
            self._presence.deliver_soon()
            return done

        asked = 0
        while not self._stop.is_set():
            if asked % _LOOK_FOR_DEAD_EVERY == 0:
                queue.release_the_dead()
            if asked % _CLEAN_EVERY == 0:
                queue.clean()
            asked += 1
            if not queue.work(do):
                self._stop.wait(_POLL.total_seconds())

    def _renew(self) -> None:
        """Start the embedded server again when it is the one that went away."""
        try:
            self._workshop = self._workshop.renewed()
        except PostAuditError as error:
            _log.warning("worker.database_away", error=redact(str(error)))
            return
        self._presence.move(self._workshop)
        if self._on_move is not None:
            self._on_move(self._workshop)
        if self._stop.is_set():
            self._workshop.runner.stop()
