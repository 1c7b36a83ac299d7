"""How fast audits become tasks and tasks are claimed: reports of 100,000 findings, a queue of 100,000 tasks, 8 workers.

A server of its own on this machine's disk. Every line is measured `--repeats` times; best and median are shown, because
other work on the machine only ever makes it slower.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backend"))

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migrate
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.ports import Database
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.importing import ImportReport, import_audit
from app.post_audit.steps.enhancements.parsing import ParsedAudit, parse_files
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.tasks import PENDING, Filters

RULES: Final = 300
_ROOMY: Final = EnhancementsPolicy(
    maximum_bytes=500_000_000, maximum_findings=1_000_000, maximum_reported=1_000_000
)
_FOLDERS: Final = ("auth", "billing", "search", "leaderboard", "invites", "admin", "api", "jobs")
_LEVELS: Final = ("error", "warning", "note", "warning")
_WORDS: Final = ("SQL injection", "Unused import", "Slow query", "Missing alt text", "Open redirect")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: what was measured, what has to be reached, and what each repeat gave."""

    name: str
    wanted: str
    values: list[float]
    unit: str
    is_better_when_higher: bool = True

    @property
    def best(self) -> float:
        """The best of the repeats."""
        return max(self.values) if self.is_better_when_higher else min(self.values)

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)


def write_sarif(path: Path, findings: int, *, seed: int = 0, without: int = 0, shift: int = 0) -> Path:
    """Write a report as CodeQL does: rules, then results in an order of the seed, without the first `without`."""
    numbers = list(range(without, findings))
    random.Random(seed).shuffle(numbers)
    rules = [
        {
            "id": f"js/rule-{number}",
            "shortDescription": {"text": f"{_WORDS[number % len(_WORDS)]} ({number})"},
            "defaultConfiguration": {"level": _LEVELS[number % len(_LEVELS)]},
        }
        for number in range(RULES)
    ]
    with path.open("w", encoding="utf-8") as file:
        driver = {"name": "CodeQL", "version": "2.19.0", "rules": rules}
        file.write(
            '{"version": "2.1.0", "runs": [{"tool": {"driver": ' + json.dumps(driver) + '}, "results": [\n'
        )
        for place, number in enumerate(numbers):
            file.write((",\n" if place else "") + json.dumps(_result(number, shift)))
        file.write("\n]}]}\n")
    return path


def _result(number: int, shift: int) -> dict[str, object]:
    rule = number % RULES
    folder = _FOLDERS[number % len(_FOLDERS)]
    return {
        "ruleId": f"js/rule-{rule}",
        "ruleIndex": rule,
        "level": _LEVELS[rule % len(_LEVELS)],
        "message": {
            "text": f"{_WORDS[rule % len(_WORDS)]}: the value of parameter {number} is used unchecked."
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": f"src/{folder}/module{number % 997}/file{number}.ts"},
                    "region": {"startLine": 1 + number % 400 + shift, "startColumn": 7},
                }
            }
        ],
    }


def write_csv(path: Path, findings: int) -> Path:
    """Write the same findings as a table."""
    with path.open("w", encoding="utf-8") as file:
        file.write("title,severity,rule,file,line,description\n")
        for number in range(findings):
            rule = number % RULES
            file.write(
                f"{_WORDS[rule % len(_WORDS)]} {rule},{('high', 'medium', 'low')[rule % 3]},rule-{rule},"
                f"src/{_FOLDERS[number % 8]}/file{number}.ts,{1 + number % 400},Parameter {number} is used unchecked.\n"
            )
    return path


@contextmanager
def fresh_database(conninfo: str, name: str) -> Iterator[str]:
    """Make a migrated database that is dropped again."""
    with psycopg.connect(conninfo, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        made = make_conninfo(conninfo, dbname=name)
        migrate(made)
        yield made
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _import(database: Database, path: Path) -> tuple[ParsedAudit, ImportReport, float, float]:
    """Read and import a report; the report, what it did, and the seconds of each."""
    started = time.perf_counter()
    (audit,) = parse_files([path], _ROOMY)
    read = time.perf_counter()
    done = import_audit(database, audit, policy=_ROOMY)
    return audit, done, read - started, time.perf_counter() - read


def imports(conninfo: str, folder: Path, findings: int, repeats: int) -> list[Line]:
    """Reports of 100,000 findings: new, the same shuffled, lines shifted, a tenth gone and back."""
    files = {
        "import": write_sarif(folder / "first.sarif", findings),
        "reimport, shuffled": write_sarif(folder / "shuffled.sarif", findings, seed=1),
        "reimport, lines + 10": write_sarif(folder / "shifted.sarif", findings, seed=2, shift=10),
        "reimport, a tenth gone": write_sarif(
            folder / "less.sarif", findings, without=findings // 10, shift=10
        ),
        "reimport, back again": write_sarif(folder / "back.sarif", findings, seed=3, shift=10),
        "import of a CSV": write_csv(folder / "table.csv", findings),
    }
    expected = {
        "import": (findings, 0, 0, 0),
        "reimport, shuffled": (0, 0, 0, 0),
        "reimport, lines + 10": (0, findings, 0, 0),
        "reimport, a tenth gone": (0, 0, findings // 10, 0),
        "reimport, back again": (0, 0, 0, findings // 10),
        "import of a CSV": (findings, 0, 0, 0),
    }
    whole: dict[str, list[float]] = {name: [] for name in files}
    database_only: dict[str, list[float]] = {name: [] for name in files}
    parsed: list[float] = []
    for repeat in range(repeats):
        with fresh_database(conninfo, f"imports_{repeat}") as made:
            database = PsycopgDatabase(made)
            for name, path in files.items():
                audit, done, reading, storing = _import(database, path)
                found = (done.new, done.changed, done.closed, done.reopened)
                if found != expected[name]:
                    message = f"{name}: new, changed, closed, reopened are {found} and not {expected[name]}"
                    raise AssertionError(message)
                whole[name].append(len(audit.findings) / (reading + storing))
                database_only[name].append(len(audit.findings) / storing)
                if name == "import":
                    parsed.append(len(audit.findings) / reading)
            database.close()
    lines = [Line("parse SARIF", "25,000", parsed, "findings/s")]
    for name in files:
        wanted = "10,000" if name in {"import", "reimport, shuffled"} else ""
        lines += [
            Line(f"{name}, file to events", wanted, whole[name], "findings/s"),
            Line(f"{name}, database alone", "", database_only[name], "findings/s"),
        ]
    return lines


def pages(conninfo: str, folder: Path, tasks: int, repeats: int) -> list[Line]:
    """First pages over a queue that was just filled, before anything has vacuumed or analysed it."""
    with fresh_database(conninfo, "pages") as made:
        database = PsycopgDatabase(made)
        _import(database, write_sarif(folder / "queue.sarif", tasks))
        asked: dict[str, Callable[[], object]] = {
            "pending": lambda: queue.list_tasks(database, PENDING),
            "of one source": lambda: queue.list_tasks(database, Filters(source="CodeQL")),
            "late (none)": lambda: queue.list_tasks(database, replace(PENDING, late=True)),
            "under review (none)": lambda: queue.list_tasks(database, Filters(disposition=("review",))),
            "statistics": lambda: queue.statistics(database),
            "last audits": lambda: queue.recent_audits(database),
        }
        first = queue.list_tasks(database, PENDING, limit=1).tasks[0]
        asked["one task"] = lambda: queue.show(database, str(first.id))
        lines = []
        for name, ask in asked.items():
            ask()
            values = [timed(ask) * 1000 for _ in range(max(5, repeats))]
            lines.append(Line(f"read: {name}", "100", values, "ms", is_better_when_higher=False))
        database.close()
    return lines


_together: list[Barrier] = []


def _meet(barrier: Barrier) -> None:
    """Give a worker what it waits at until all others are ready too."""
    _together.append(barrier)


def _work(conninfo: str, worker: int, batch: int, seconds: float) -> tuple[list[str], list[float]]:
    """Claim until the time is over; the ids that were got and the milliseconds of each call."""
    database = PsycopgDatabase(conninfo, connections=1)
    got: list[str] = []
    took: list[float] = []
    # the first call opens the connection
    database.call("post_audit_read_clock")
    _together[0].wait()
    ending = time.perf_counter() + seconds
    while time.perf_counter() < ending:
        started = time.perf_counter()
        claimed = queue.claim(database, f"worker {worker}", limit=batch).tasks
        took.append((time.perf_counter() - started) * 1000)
        got += [str(task.id) for task in claimed]
        if not claimed:
            break
    database.close()
    return got, took


def claims(conninfo: str, folder: Path, tasks: int, workers: int, repeats: int) -> list[Line]:
    """Claim with several processes at once; a task that two of them got ends the bench."""
    lines = []
    for batch in (1, 10):
        rates: list[float] = []
        middles: list[float] = []
        slowest: list[float] = []
        doubles: list[float] = []
        with fresh_database(conninfo, f"claims_{batch}") as made:
            database = PsycopgDatabase(made)
            _import(database, write_sarif(folder / "claims.sarif", tasks))
            database.close()
            with ProcessPoolExecutor(
                workers, initializer=_meet, initargs=(multiprocessing.Barrier(workers),)
            ) as pool:
                for _ in range(repeats):
                    seconds = 4.0
                    results = list(
                        pool.map(
                            _work, [made] * workers, range(workers), [batch] * workers, [seconds] * workers
                        )
                    )
                    got = [task for taken, _ in results for task in taken]
                    doubles.append(len(got) - len(set(got)))
                    took = sorted(value for _, values in results for value in values)
                    rates.append(len(got) / seconds)
                    middles.append(took[len(took) // 2])
                    slowest.append(took[int(len(took) * 0.95)])
            _check_claims(made)
        of = f"{workers} workers, {batch} a call"
        lines += [
            Line(f"claims, {of}", "1,000", rates, "tasks/s"),
            Line(f"claims, {of}: p50 of a call", "", middles, "ms", is_better_when_higher=False),
            Line(f"claims, {of}: p95 of a call", "20", slowest, "ms", is_better_when_higher=False),
            Line(f"claims, {of}: got twice", "0", doubles, "tasks", is_better_when_higher=False),
        ]
        if any(doubles):
            message = f"{sum(doubles):.0f} tasks were claimed twice"
            raise AssertionError(message)
    return lines


def _check_claims(conninfo: str) -> None:
    """Every claim is one event of one task."""
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(
            "SELECT count(*), count(DISTINCT task_id) FROM post_audit.task_events WHERE kind = 'claimed'"
        ).fetchone()
    if row is None or row[0] != row[1]:
        message = f"{row} claims and different tasks"
        raise AssertionError(message)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--findings", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("imports", "pages", "claims"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        server = EmbeddedServer(folder / ".post_audit")
        lines: list[Line] = []
        with server.acquire() as handle:
            if options.only in {None, "imports"}:
                lines += imports(handle.conninfo, folder, options.findings, options.repeats)
            if options.only in {None, "pages"}:
                lines += pages(handle.conninfo, folder, options.findings, options.repeats)
            if options.only in {None, "claims"}:
                lines += claims(handle.conninfo, folder, options.findings, options.workers, options.repeats)
        server.destroy()
    if options.json:
        told = [
            {
                "name": line.name,
                "best": line.best,
                "median": line.median,
                "unit": line.unit,
                "wanted": line.wanted,
            }
            for line in lines
        ]
        print(json.dumps(told, indent=2))
        return
    print(f"{'':52}{'best':>12}{'median':>12}  {'wanted':>8}")
    for line in lines:
        print(f"{line.name:52}{line.best:>12,.0f}{line.median:>12,.0f}  {line.wanted:>8} {line.unit}")


if __name__ == "__main__":
    main()
