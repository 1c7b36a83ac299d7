"""What the durable engine adds to each step, and how soon a killed worker's run goes on; on a server of its own."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from app.post_audit import logs
from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migrate
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.engine import Queue, Wanted, Workshop, install
from app.post_audit.engine.handling import Watcher, handle
from app.post_audit.outbox import Delivery, dispatch
from app.post_audit.ports import Database
from app.post_audit.runner import Runner
from app.post_audit.step import Decision, Outcome, Reason, Step
from app.post_audit.steps.enhancements.inbox import Collected

NAMES = ("conversions", "infrastructure", "fake_data", "bugs", "live_fomo", "enhancements")
LEASE = timedelta(seconds=30)


@dataclass(frozen=True)
class NoPolicy:
    """A step that needs no thresholds."""


def empty(name: str) -> Step[None, NoPolicy]:
    """A step that looks at nothing and changes nothing."""

    def gather(_database: Database, _policy: NoPolicy, _as_of: datetime) -> None:
        return None

    def decide(_facts: None, _policy: NoPolicy) -> Decision:
        reason = Reason(code="bench.empty", text="Nothing was looked at.")
        return Decision(outcome=Outcome.NOTHING, headline="Nothing changed.", reasons=(reason,))

    return Step(name=name, title=name, question="?", policy=NoPolicy(), gather=gather, decide=decide)


class Bench:
    """A workshop whose steps are empty."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self.database: Database = PsycopgDatabase(conninfo)
        self.runner = Runner(self.database, [empty(name) for name in NAMES], lease=LEASE)

    def engine_conninfo(self) -> str:
        """Beside the marketplace."""
        return self._conninfo

    def take_in(self) -> list[Collected]:
        """No inbox."""
        return []

    def deliver(self, *, patience_seconds: float = 0.0, stop: Event | None = None) -> Delivery:
        """No receivers."""
        return dispatch(self.database, {}, patience_seconds=patience_seconds, stop=stop)

    def tidy(self) -> int:
        """Nothing is old."""
        return 0

    def renewed(self) -> Workshop:
        """The server stays."""
        return self


def measure(bench: Bench, runs: int) -> dict[str, Any]:
    """Milliseconds a run, directly and through the queue, in turns so that the machine's moods are shared."""
    direct, durable = [], []
    with Queue(bench.engine_conninfo(), lease=LEASE) as queue:
        for number in range(runs):
            started = time.perf_counter()
            bench.runner.run(tick=f"direct {number}")
            direct.append((time.perf_counter() - started) * 1000)
            started = time.perf_counter()
            queue.ask(Wanted(tick=f"durable {number}", kind="manual"))
            queue.work(lambda wanted, attempt: handle(bench, queue, wanted, attempt, Watcher()))
            durable.append((time.perf_counter() - started) * 1000)
    added = statistics.median(durable) - statistics.median(direct)
    return {
        "runs": runs,
        "direct_ms": round(statistics.median(direct), 2),
        "durable_ms": round(statistics.median(durable), 2),
        "added_per_step_ms": round(added / len(NAMES), 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        logs.configure(log_file=folder / "log", level="WARNING", secrets=())
        server = EmbeddedServer(folder / ".post_audit")
        with server.acquire() as handle_of_server:
            migrate(handle_of_server.conninfo)
            started = time.perf_counter()
            install(handle_of_server.conninfo)
            install_ms = round((time.perf_counter() - started) * 1000, 1)
            bench = Bench(handle_of_server.conninfo)
            found = measure(bench, options.runs)
            bench.database.close()
        server.destroy()
    document = {**found, "install_ms": install_ms}
    if options.json:
        print(json.dumps(document))
        return
    print(
        f"engine: {document['added_per_step_ms']:.2f} ms added to each step, asking and claiming included"
        f" (a run of six empty steps {document['direct_ms']:.1f} ms directly, {document['durable_ms']:.1f} ms durably,"
        f" median of {document['runs']}); its tables are made in {install_ms:.0f} ms"
    )


if __name__ == "__main__":
    main()
