"""The protocol as other programs use it: `from app.post_audit.protocol import PostAuditProtocol`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import FrameType, TracebackType
from typing import Any, Final, Self

from app.post_audit.codec import to_json
from app.post_audit.compose import Application, build
from app.post_audit.errors import ConnectionLost, DatabaseUnreachable, PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.ports import JSON
from app.post_audit.runner import Progress, RunReport
from app.post_audit.steps.enhancements.inbox import Collected

__all__ = ["PostAuditProtocol", "tick_of"]

# How soon a tick is tried again that could not be run, and how often the inbox is looked at.
_LOOK_AGAIN: Final = timedelta(seconds=30)

_log = get_logger(__name__)


def tick_of(moment: datetime, interval: timedelta) -> tuple[str, datetime]:
    """The tick that a moment belongs to, and when the next one begins.

    Ticks count from midnight UTC of 1970, so that every machine cuts time at the same places.
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    start = epoch + (moment - epoch) // interval * interval
    return f"schedule:{start.isoformat()}/{int(interval.total_seconds())}s", start + interval


class PostAuditProtocol:
    """The six steps, together or one by one, once or every two hours.

    Every method is synchronous and returns what would also be printed by `post-audit ... --json`: a mapping with
    `state` ("completed" or "failed"), `as_of`, and under `steps` for each step its decision with reasons, numbers
    and changes. A step that failed is named there with its error; the others have finished. Raises
    `ConfigurationError` when the database cannot be used.
    """

    def __init__(self, application: Application | None = None) -> None:
        self._application = application or build()
        self._stop = threading.Event()

    def close(self) -> None:
        """Give back connections and the embedded server."""
        self._application.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        return replace(self._application.run(progress=progress), notes=notes)

    def run_continuous(
        self, interval_hours: float = 2, *, on_report: Callable[[RunReport], None] | None = None
    ) -> None:
        """Run at once and then at every tick, until SIGTERM, SIGINT or `stop`.

        A tick is run once, on however many machines this runs; a run that is longer than the interval makes the
        ticks it covers fall together. A tick that could not be run, because the database was away, is tried again
        every half minute until the next one.
        """
        if interval_hours <= 0:
            raise ValueError("interval_hours has to be more than 0")
        interval = timedelta(hours=interval_hours)
        former = self._take_signals()
        try:
            done = ""
            while not self._stop.is_set():
                tick, next_start = tick_of(datetime.now(UTC), interval)
                try:
                    done = self._beat(tick, done, on_report)
                except PostAuditError as error:
                    _log.error("schedule.tick_failed", tick=tick, code=type(error).__name__, error=str(error))
                    self._renew(error)
                if tick == done:
                    _log.debug("schedule.waiting", tick=tick, until=next_start.isoformat())
                wait = min(_LOOK_AGAIN, next_start - datetime.now(UTC))
                self._stop.wait(max(0.0, wait.total_seconds()))
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
        _log.info("schedule.stopped")

    def stop(self) -> None:
        """End `run_continuous` after the step that is being run; may be called from any thread."""
        self._stop.set()
        self._application.runner.stop()

    def _beat(self, tick: str, done: str, on_report: Callable[[RunReport], None] | None) -> str:
        """Run the tick unless it is done, else what has arrived in the inbox; return the tick that is done."""
        notes = _notes(collected := self._application.take_in())
        arrived = [
            item.stored.id
            for item in collected
            if item.stored is not None and item.stored.state == "received"
        ]
        if tick != done:
            report = self._application.run(tick=tick, kind="schedule")
        elif arrived:
            report = self._application.run(tick=f"audit:{arrived[-1]}", kind="audit")
        else:
            return done
        if on_report is not None and report.origin != "finished":
            on_report(replace(report, notes=notes))
        return tick

    def _renew(self, error: PostAuditError) -> None:
        """Start the embedded server again when it is the one that went away."""
        if not isinstance(error, ConnectionLost | DatabaseUnreachable):
            return
        try:
            self._application = self._application.renewed()
        except PostAuditError as again:
            _log.warning("schedule.database_away", error=str(again))

    def _take_signals(self) -> dict[signal.Signals, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}  # only the main thread may; whoever runs this in another one calls stop()

        def stop(number: int, _frame: FrameType | None) -> None:
            _log.info("schedule.stopping", signal=signal.Signals(number).name)
            self.stop()

        return {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}

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
