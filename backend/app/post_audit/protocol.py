"""The protocol as other programs use it: `from app.post_audit.protocol import PostAuditProtocol`."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

from app.post_audit.codec import to_json
from app.post_audit.compose import Application, build
from app.post_audit.engine import Schedule, Wanted, Worker, Workshop
from app.post_audit.errors import DatabaseUnreachable
from app.post_audit.logs import get_logger
from app.post_audit.ports import JSON
from app.post_audit.runner import Progress, RunReport
from app.post_audit.steps.enhancements.inbox import Collected
from app.post_audit.stopping import stopped_by_signals

__all__ = ["PostAuditProtocol"]

_log = get_logger(__name__)


class PostAuditProtocol:
    """The six steps, together or one by one, once or every two hours.

    Every method is synchronous and returns what would also be printed by `post-audit ... --json`: a mapping with
    `state` ("completed" or "failed"), `as_of`, and under `steps` for each step its decision with reasons, numbers
    and changes. A step that failed is named there with its error; the others have finished. Raises
    `ConfigurationError` when the database cannot be used.
    """

    def __init__(self, application: Application | None = None) -> None:
        self._application = application or build()
        self._is_stopped = False
        self._stops: tuple[Callable[[], None], ...] = ()

    @property
    def application(self) -> Application:
        """What it works with now; another than at first when an embedded server had to be started again."""
        return self._application

    def close(self) -> None:
        """Give back connections and the embedded server."""
        self._application.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run_full_protocol(
        self, *, dry_run: bool = False, progress: Progress | None = None
    ) -> dict[str, JSON]:
        """Run the six steps once. With `dry_run`, decide only, and change nothing."""
        return _as_mapping(self.run_steps(None, dry_run=dry_run, progress=progress))

    def monitor_conversions_ab(self) -> dict[str, JSON]:
        """Watch the A/B tests, and switch to a winner when there is one."""
        return self._one("conversions")

    def scale_infrastructure(self) -> dict[str, JSON]:
        """Raise the daily SMS and WhatsApp quotas before they run out."""
        return self._one("infrastructure")

    def clean_fake_data_task(self) -> dict[str, JSON]:
        """Move suppliers that are not real into quarantine, reversibly."""
        return self._one("fake_data")

    def prioritize_bugfixes(self) -> dict[str, JSON]:
        """Rank the bugs that users reported."""
        return self._one("bugs")

    def ensure_live_fomo(self) -> dict[str, JSON]:
        """Make sure that leaderboard and airdrop counters are live and true."""
        return self._one("live_fomo")

    def migrate_enhancements(self) -> dict[str, JSON]:
        """Turn the findings of audits that arrived into tasks."""
        return self._one("enhancements")

    def run_steps(
        self, names: list[str] | None, *, dry_run: bool = False, progress: Progress | None = None
    ) -> RunReport:
        """Run some steps, or all of them, once; the report as a value."""
        if dry_run:
            return self._application.runner.preview(names, progress)
        if names is not None:
            return self._application.run(kind="step", names=names, progress=progress)
        notes = _notes(self._application.take_in())
        wanted = Wanted(tick=f"manual:{secrets.token_hex(8)}", kind="manual")
        return replace(self._application.run_durably(wanted, progress), notes=notes)

    def run_continuous(
        self, interval_hours: float = 2, *, on_report: Callable[[RunReport], None] | None = None
    ) -> None:
        """Ask for a run at once and then at every tick, and work on what is asked for, until SIGTERM, SIGINT or `stop`.

        A tick is run once, on however many machines this runs; ticks that pass while a run goes on, or while nobody
        works, fall together into one. A database that is away is waited for.
        """
        notes: list[str] = []

        def tell(report: RunReport) -> None:
            if on_report is not None:
                on_report(replace(report, notes=tuple(notes)))
                notes.clear()

        schedule = self._schedule(interval_hours, on_audits=lambda found: notes.extend(_notes(found)))
        worker = Worker(
            self._application,
            lease=self._application.settings.lease,
            on_report=tell,
            on_move=self._moved_with(schedule),
        )
        asking = threading.Thread(target=schedule.run, name="post-audit-schedule", daemon=True)
        with self._until_stopped(schedule.stop, worker.stop):
            asking.start()
            worker.run()
            schedule.stop()
            asking.join()

    def work(self, *, on_report: Callable[[RunReport], None] | None = None) -> None:
        """Work on the runs that others ask for, on this machine or another, until SIGTERM, SIGINT or `stop`."""
        lease = self._application.settings.lease
        worker = Worker(self._application, lease=lease, on_report=on_report, on_move=self._moved_with())
        with self._until_stopped(worker.stop):
            worker.run()

    def ask_continuously(self, interval_hours: float = 2) -> None:
        """Ask for a run at every tick and leave the work to workers, until SIGTERM, SIGINT or `stop`."""
        schedule = self._schedule(interval_hours)
        with self._until_stopped(schedule.stop):
            schedule.run()

    def stop(self) -> None:
        """End what goes on after the step that is being run; may be called from any thread."""
        self._is_stopped = True
        for stop in self._stops:
            stop()
        self._application.runner.stop()

    def _schedule(
        self, interval_hours: float, on_audits: Callable[[list[Collected]], None] | None = None
    ) -> Schedule:
        if interval_hours <= 0:
            raise ValueError("interval_hours has to be more than 0")
        interval = timedelta(hours=interval_hours)
        lease = self._application.settings.lease
        return Schedule(self._application, interval, lease=lease, on_audits=on_audits)

    def _moved_with(self, schedule: Schedule | None = None) -> Callable[[Workshop], None]:
        """What to do when an embedded server had to be started again."""

        def moved(workshop: Workshop) -> None:
            if isinstance(workshop, Application):
                self._application = workshop
            if schedule is not None:
                schedule.move(workshop)

        return moved

    @contextmanager
    def _until_stopped(self, *stops: Callable[[], None]) -> Iterator[None]:
        """Let signals and `stop` reach what goes on inside."""
        try:
            self._application.engine_conninfo()
        except DatabaseUnreachable as error:
            # It may come up after us; whatever else is wrong is for a person, now.
            _log.warning("protocol.database_away", error=str(error))
        self._stops = stops
        try:
            with stopped_by_signals(self.stop):
                if self._is_stopped:
                    self.stop()
                yield
        finally:
            self._stops = ()

    def _one(self, name: str) -> dict[str, JSON]:
        return _as_mapping(self.run_steps([name]))


def _notes(collected: list[Collected]) -> tuple[str, ...]:
    """What the inbox held, in sentences."""
    notes = []
    for item in collected:
        if item.stored is None:
            notes.append(f"{item.name} stays in the inbox: {item.error}")
        elif item.stored.is_known:
            notes.append(f"{item.name} had been taken in before.")
        else:
            notes.append(f"{item.name} was taken in as audit {item.stored.id}.")
    return tuple(notes)


def _as_mapping(report: RunReport) -> dict[str, JSON]:
    mapping: Any = to_json(report)
    return dict(mapping)
