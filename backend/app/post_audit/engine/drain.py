"""Runs that were asked for through a server: kept in the queue before they are promised, and done there one by one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg

from app.post_audit.db.psycopg_database import translate
from app.post_audit.engine.handling import Watcher, handle
from app.post_audit.engine.queue import Attempt, Queue, Wanted
from app.post_audit.engine.workshop import Workshop

__all__ = ["ask", "drain"]


def ask(workshop: Workshop, wanted: Wanted, *, lease: timedelta) -> None:
    """Put a run into the queue, once for each tick; raises a `PostAuditError` where that cannot be done."""
    try:
        with Queue(workshop.engine_conninfo(), lease=lease) as queue:
            queue.ask(wanted)
    except psycopg.Error as error:
        raise translate(error) from error


def drain(workshop: Workshop, *, lease: timedelta, stopping: threading.Event) -> int:
    """Do what waits in the queue, also what dead processes of this machine had begun; say how many tasks that was.

    Returns when nothing waits, or between two tasks once `stopping` is set. What fails goes back into the queue for a
    worker, or for the next call. Raises a `PostAuditError` when the database is away.
    """

    def do(wanted: Wanted, attempt: Attempt) -> Mapping[str, Any]:
        return handle(workshop, queue, wanted, attempt, Watcher())

    done = 0
    try:
        with Queue(workshop.engine_conninfo(), lease=lease) as queue:
            queue.release_the_dead()
            while not stopping.is_set() and queue.work(do):
                done += 1
    except psycopg.Error as error:
        raise translate(error) from error
    return done
