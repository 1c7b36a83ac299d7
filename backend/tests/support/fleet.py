"""Workers and schedules of one marketplace, each a process that can be killed, and what they have done so far."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg

from tests.support import marketplace
from tests.support.product import Forked, Product, until

__all__ = ["STEPS", "Fleet", "Told", "harm", "is_blocked_in_apply", "kill_owner", "settle", "told"]

STEPS: Final = ("conversions", "infrastructure", "fake_data", "bugs", "live_fomo", "enhancements")

# Everything that would have to be there twice, or be left over, if a fault had done harm.
_HARM: Final = {
    "decisions twice": "SELECT count(*) - count(DISTINCT (d.run_id, d.step)) FROM post_audit.decisions AS d",
    "decisions half carried out": "SELECT count(*) FROM post_audit.decisions AS d WHERE d.state = 'applying'",
    "changes half carried out": "SELECT count(*) FROM post_audit.changes AS c WHERE c.state = 'pending'",
    "messages twice": "SELECT count(*) - count(DISTINCT (o.channel, o.subject, o.version)) FROM post_audit.outbox AS o",
    "runs at the same time": """
        SELECT count(*) FROM (SELECT r.started_at < lag(r.finished_at) OVER (ORDER BY r.started_at, r.id) AS overlaps
          FROM post_audit.runs AS r) AS t WHERE t.overlaps""",
    "runs that failed without a reason": """
        SELECT count(*) FROM post_audit.runs AS r WHERE r.state = 'failed' AND NOT EXISTS (
          SELECT 1 FROM post_audit.step_runs AS s WHERE s.run_id = r.id AND s.error ->> 'message' IS NOT NULL)""",
    "completed runs without all steps": """
        SELECT count(*) FROM post_audit.runs AS r WHERE r.state = 'completed' AND r.steps IS NULL
          AND (SELECT count(*) FROM post_audit.step_runs AS s WHERE s.run_id = r.id) <> 6""",
}


@dataclass(frozen=True)
class Told:
    """How the runs of a marketplace stand."""

    runs: int
    completed: int
    failed: int
    running: int


@dataclass
class Fleet:
    """The processes of one marketplace. `settings` lead to it."""

    folder: Path
    settings: dict[str, str]
    conninfo: str
    processes: dict[str, Forked] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self.processes):
            self.kill(name)

    def product(self, name: str) -> Product:
        """An installation of its own: folder, log, inbox."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Product(folder, self.settings, preloaded=True)

    def start(self, name: str, *arguments: str) -> Forked:
        """Start one process in the folder of its name, as a service manager does again and again."""
        self.processes[name] = self.product(name).fork(*arguments)
        return self.processes[name]

    def workers(self, number: int) -> list[str]:
        """Start so many workers; their names."""
        names = [f"worker-{one}" for one in range(1, number + 1)]
        for name in names:
            self.start(name, "worker")
        return names

    def ticks(self, seconds: float, name: str = "schedule") -> None:
        """Start a schedule that asks for a run every so many seconds and does none."""
        self.start(name, "schedule", "--ticks-only", "--interval-hours", str(seconds / 3600))

    def kill(self, name: str) -> None:
        """End a process as `kill -9` does."""
        self.processes.pop(name).kill()

    def stop(self, name: str) -> int:
        """Ask a process to end, and wait; its exit code."""
        forked = self.processes.pop(name)
        forked.process.terminate()
        return forked.ended().returncode

    def name_of(self, owner: str) -> str | None:
        """Which of the processes an owner's name belongs to; None when it has been replaced."""
        parts = owner.split("|")
        if len(parts) < 2:
            return None
        return next((n for n, p in self.processes.items() if str(p.process.pid) == parts[1]), None)

    def events(self, event: str) -> list[dict[str, Any]]:
        """Every log line of a kind, of all installations."""
        return [
            line
            for folder in self.folder.iterdir()
            if folder.is_dir()
            for line in Product(folder).events()
            if line["event"] == event
        ]


def told(looking: psycopg.Connection) -> Told:
    """Count the runs."""
    row = looking.execute(
        "SELECT count(*), count(*) FILTER (WHERE state = 'completed'), count(*) FILTER (WHERE state = 'failed'),"
        " count(*) FILTER (WHERE state = 'running') FROM post_audit.runs"
    ).fetchone()
    assert row is not None
    return Told(*row)


def harm(looking: psycopg.Connection) -> dict[str, int]:
    """What there must be none of."""
    return {what: marketplace.one(looking, query) for what, query in _HARM.items()}


def kill_owner(fleet: Fleet, looking: psycopg.Connection) -> str | None:
    """Kill whoever owns the run that goes on; the name of the process, None when it could not be found."""
    row = looking.execute("SELECT r.owner FROM post_audit.runs AS r WHERE r.state = 'running'").fetchone()
    name = None if row is None else fleet.name_of(row[0])
    if name is not None:
        fleet.kill(name)
    return name


def is_blocked_in_apply(looking: psycopg.Connection) -> bool:
    """Whether a decision is being applied right now, and waits for a lock."""
    return bool(
        marketplace.one(
            looking,
            "SELECT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datname = current_database()"
            " AND a.wait_event_type = 'Lock' AND a.query LIKE '%post_audit_apply_decision%')",
        )
    )


def settle(looking: psycopg.Connection, *, seconds: float = 60) -> None:
    """Wait until no run goes on, nothing is asked for any more, and nothing is due."""
    until(
        lambda: bool(
            marketplace.one(
                looking,
                "SELECT NOT EXISTS (SELECT FROM post_audit.runs WHERE state = 'running') AND NOT EXISTS (SELECT FROM"
                " absurd.t_post_audit WHERE state IN ('pending', 'sleeping', 'running')) AND NOT EXISTS (SELECT FROM"
                " post_audit.outbox WHERE state IN ('pending', 'sent'))",
            )
        ),
        "every run has ended and every message is settled",
        seconds=seconds,
    )
