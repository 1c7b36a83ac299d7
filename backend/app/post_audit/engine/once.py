"""One run, asked for by a person who waits: put into the queue, done here or by whoever is quicker."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import psycopg

from app.post_audit.db.psycopg_database import translate
from app.post_audit.engine.handling import Watcher, handle
from app.post_audit.engine.queue import Attempt, Queue, Task, Wanted
from app.post_audit.engine.workshop import Workshop
from app.post_audit.errors import DatabaseError, PostAuditError
from app.post_audit.runner import Progress, RunReport, Silence

__all__ = ["run_once"]

# How often somebody else's work is looked at.
_FOLLOW_SECONDS: Final = 0.2


def run_once(
    workshop: Workshop, wanted: Wanted, *, lease: timedelta, progress: Progress | None = None
) -> RunReport:
    """Ask for a run and stay until it has ended; the report is its own.

    Killed in the middle, it is gone on with by any worker, or by the next run that somebody asks for. Raises what
    ended the attempt, with the run back in the queue.
    """
    try:
        with Queue(workshop.engine_conninfo(), lease=lease) as queue:
            asked = _Asked(workshop, queue, wanted, progress or Silence())
            task = asked.wait()
    except psycopg.Error as error:
        raise translate(error) from error
    if asked.report is not None:
        return asked.report
    if task.result is None or task.result["run_id"] is None:
        told = (task.failure or {}).get("message", "it was cancelled")
        raise DatabaseError(
            f"The run was given up: {told}", cure="See post-audit status and the log, then run again."
        )
    return workshop.runner.told(int(task.result["run_id"]))


class _Asked:
    """A run that was asked for, and what came of it here."""

    def __init__(self, workshop: Workshop, queue: Queue, wanted: Wanted, progress: Progress) -> None:
        self._workshop, self._queue, self._wanted, self._progress = workshop, queue, wanted, progress
        self._task_id = queue.ask(wanted)
        # After asking: what a dead process left then comes behind this run, which goes on with its run.
        queue.release_the_dead()
        self.report: RunReport | None = None
        """The run's, when this process made it."""
        self._failure: PostAuditError | None = None

    def wait(self) -> Task:
        """Work on what comes until the task has ended, here or elsewhere."""
        waiting = threading.Event()
        while not (task := self._queue.task(self._task_id)).has_ended:
            if self.report is not None:
                # Somebody had asked for the same before, and it was still to be done: once is enough.
                self._queue.cancel(self._task_id)
            elif not self._queue.work(self._do) and not waiting.wait(_FOLLOW_SECONDS):
                self._progress.waiting("another worker")
                self._queue.release_the_dead()
            if self._failure is not None:
                raise self._failure
        return task

    def _do(self, wanted: Wanted, attempt: Attempt) -> Mapping[str, Any]:
        asked = (self._wanted.kind, self._wanted.steps)
        if attempt.task_id == self._task_id or (wanted.kind, wanted.steps) == asked == ("manual", None):
            watcher = Watcher(progress=self._progress, on_report=self._take, on_failure=self._fail)
        else:
            watcher = Watcher(progress=self._progress)
        return handle(self._workshop, self._queue, wanted, attempt, watcher)

    def _take(self, report: RunReport) -> None:
        self.report = report

    def _fail(self, error: PostAuditError) -> None:
        self._failure = error
