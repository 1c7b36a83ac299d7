"""What a worker does with a task: the run, its steps kept one by one, and what becomes of it when something fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from app.post_audit.engine.queue import PATIENCE, Attempt, Queue, Wanted
from app.post_audit.engine.workshop import Workshop
from app.post_audit.errors import (
    ConnectionLost,
    Contention,
    DatabaseUnreachable,
    PostAuditError,
    RunLost,
    TookTooLong,
)
from app.post_audit.logs import get_logger
from app.post_audit.runner import Overtaken, Progress, RunReport
from app.post_audit.secrecy import redact

__all__ = ["Failed", "Watcher", "handle"]

# What passes by itself; the task waits without using up an attempt.
_PASSING: Final = (ConnectionLost, Contention, DatabaseUnreachable, RunLost, TookTooLong)
_LATER: Final = timedelta(seconds=1)

_log = get_logger(__name__)


class Failed(Exception):
    """An attempt failed. This text is kept in the queue's tables, so it holds no secret."""


@dataclass(frozen=True, slots=True)
class _Order:
    """The engine as the runner sees it."""

    queue: Queue
    attempt: Attempt
    wanted: Wanted

    @property
    def gives_up(self) -> bool:
        return self.attempt.number > PATIENCE

    def is_overtaken(self) -> bool:
        return self.wanted.slot is not None and self.queue.is_overtaken(self.wanted.slot)

    def step(self, run_id: int, name: str, body: Callable[[], Mapping[str, Any]]) -> None:
        self.attempt.step(run_id, name, body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Whoever wants to know how an attempt goes on and what came of it."""

    progress: Progress | None = None
    on_report: Callable[[RunReport], None] | None = None
    on_failure: Callable[[PostAuditError], None] | None = None

    def report(self, report: RunReport) -> None:
        """Tell of a run that was made or followed here."""
        if self.on_report is not None and report.origin != "finished":
            self.on_report(report)

    def fail(self, error: PostAuditError) -> None:
        """Tell why the attempt did not end the run; somebody else's taking it over is no reason."""
        if self.on_failure is not None and not isinstance(error, RunLost):
            self.on_failure(error)


def handle(
    workshop: Workshop, queue: Queue, wanted: Wanted, attempt: Attempt, watcher: Watcher
) -> Mapping[str, Any]:
    """Run what is wanted, and answer with what the queue keeps of it.

    A run that was stopped half-way, or could not be made just now, goes back into the queue.
    """
    with attempt.heartbeat():
        try:
            report = workshop.runner.run(
                tick=wanted.tick,
                kind=wanted.kind,
                names=wanted.steps,
                progress=watcher.progress,
                order=_Order(queue, attempt, wanted),
            )
        except Overtaken:
            _log.info("tick.coalesced", tick=wanted.tick)
            return {"run_id": None, "state": "coalesced"}
        except _PASSING as error:
            _log.warning("run.later", tick=wanted.tick, code=type(error).__name__, error=redact(str(error)))
            watcher.fail(error)
            report = None
        except PostAuditError as error:
            watcher.fail(error)
            text = redact(f"{type(error).__name__}: {error}")
            _log.error("run.attempt_failed", tick=wanted.tick, attempt=attempt.number, error=text)
            raise Failed(text) from None
    if report is None:
        attempt.hand_back(_LATER)
    if report.state == "running":
        _log.info("task.handed_back", tick=wanted.tick, run_id=report.run_id)
        attempt.hand_back()
    watcher.report(report)
    return {"run_id": report.run_id, "state": report.state}
