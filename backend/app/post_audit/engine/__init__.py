"""Durable runs: a queue that any worker of any machine serves, and the schedule that fills it.

The engine (Absurd, a few functions in PostgreSQL) only orders work: who does what next, and again when somebody died.
What was decided, what was sent and who owns a run stand in our own tables, under the run's own lease and token; a
queue that was lost, or that hands the same work to two, costs time and nothing else.
"""

from __future__ import annotations

from app.post_audit.engine.drain import ask, drain
from app.post_audit.engine.once import run_once
from app.post_audit.engine.queue import Queue, Task, Wanted, depth, install
from app.post_audit.engine.schedule import Schedule, tick_of
from app.post_audit.engine.worker import Worker
from app.post_audit.engine.workshop import Workshop

__all__ = [
    "Queue",
    "Schedule",
    "Task",
    "Wanted",
    "Worker",
    "Workshop",
    "ask",
    "depth",
    "drain",
    "install",
    "run_once",
    "tick_of",
]
