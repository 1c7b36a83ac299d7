"""The runner: begins or resumes a run, takes it step by step, and reports."""

from __future__ import annotations

import functools
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from app.post_audit.errors import ConnectionLost, DatabaseUnreachable, NotFound, RunLost, StateMoved
from app.post_audit.logs import get_logger
from app.post_audit.ports import JSON, Database
from app.post_audit.runner import owner
from app.post_audit.runner.lease import Heartbeat, OwnedRun
from app.post_audit.runner.order import AtOnce, Order, Overtaken
from app.post_audit.runner.report import (
    AnyStep,
    Origin,
    Progress,
    RunKind,
    RunReport,
    Silence,
    StepReport,
    report_of,
)
from app.post_audit.runner.telling import GIVEN_UP, failure, log_step, milliseconds, previewed

__all__ = ["SMALL_BATCH", "Begun", "Run", "Runner"]

# The answer of post_audit_apply_begin_run, and of run_as_json, as they come from the database.
Begun = Mapping[str, Any]
Run = Mapping[str, Any]

# How many changes of whatever kind fit into one call of two seconds; the slowest takes about 3 ms.
SMALL_BATCH: Final = 250
# How often a follower looks whether the run it waits for has ended.
_FOLLOW_SECONDS: Final = 0.3

_log = get_logger(__name__)


class Runner:
    """Runs the steps it was given over one database."""

    def __init__(self, database: Database, steps: Sequence[AnyStep], *, lease: timedelta) -> None:
        self._database = database
        self._steps = tuple(steps)
        self._lease = lease
        self._stopping = threading.Event()

    @property
    def steps(self) -> tuple[AnyStep, ...]:
        """The steps, in the order they run."""
        return self._steps

    def step(self, name: str) -> AnyStep:
        """The step of that name; raises `NotFound` naming those there are."""
        for step in self._steps:
            if step.name == name:
                return step
        raise NotFound(
            f"There is no step named {name}.",
            cure=f"The steps are {', '.join(step.name for step in self._steps)}.",
        )

    def stop(self) -> None:
        """End after the step that is being run; the run is given back for another worker to go on with."""
        self._stopping.set()

    def preview(self, names: Sequence[str] | None = None, progress: Progress | None = None) -> RunReport:
        """Gather and decide without changing anything at all (a dry run)."""
        show = progress or Silence()
        status: Any = self._database.call("post_audit_read_status")
        as_of = datetime.fromisoformat(status["as_of"])
        reports = []
        for step in self._chosen(names):
            show.step_started(step)
            started = time.monotonic()
            try:
                decision = step.run(self._database, as_of, show.preparing)
            except Exception as error:  # noqa: BLE001 - one step's failure must not hide the other five
                report = failure(step, error, started)
            else:
                report = StepReport(
                    step=step.name,
                    title=step.title,
                    state="decided",
                    duration_ms=milliseconds(started),
                    decision=previewed(decision, step.name, status["modes"].get(step.name, "propose"), as_of),
                )
            log_step(report, run_id=None)
            show.step_ended(report)
            reports.append(report)
        return RunReport(
            run_id=None,
            state="failed" if any(r.state == "failed" for r in reports) else "completed",
            origin="preview",
            as_of=as_of,
            marketplace=status["marketplace"],
            steps=tuple(reports),
        )

    def run(
        self,
        *,
        tick: str | None = None,
        kind: RunKind = "manual",
        names: Sequence[str] | None = None,
        progress: Progress | None = None,
        order: Order | None = None,
    ) -> RunReport:
        """Run once for this tick, or go on with a run that was interrupted, or follow the one that is going on.

        Without a tick, every call is a tick of its own. Told to stop, it returns a report whose state is `running`.
        Raises `RunLost` when another worker took the run over, and `Overtaken` when the order says so.
        """
        show, ordered = progress or Silence(), order or AtOnce()
        tick = tick or f"{kind}:{secrets.token_hex(8)}"
        mine = owner.mine()
        chosen = None if names is None else [step.name for step in self._chosen(names)]
        while True:
            if ordered.is_overtaken():
                raise Overtaken
            begun: Any = self._database.call(
                "post_audit_apply_begin_run",
                tick=tick,
                owner=mine,
                lease_seconds=int(self._lease.total_seconds()),
                kind=kind,
                steps=chosen,
            )
            run, state = begun["run"], begun["state"]
            if state == "finished":
                return self._report(run, "finished")
            if state == "busy":
                ended = self._follow(run, begun["lease_remaining_ms"], show, ordered)
                if self._stopping.is_set():
                    return self._report(run, "followed")
                # A run of all steps that this one waited for has done what was asked for; a schedule's tick and a
                # single step are asked for by name.
                if ended is not None and kind == "manual" and ended["requested_steps"] is None:
                    return self._report(ended, "followed")
                continue
            try:
                report = self._own(begun, show, ordered, origin=state)
            except BaseException:
                # Whoever comes next in this process need not wait for the lease of a run that nobody works on.
                owner.leave(mine)
                raise
            if (
                not self._stopping.is_set()
                and state == "resumed"
                and run["tick"] != tick
                and (kind != "manual" or run["requested_steps"] is not None)
            ):
                continue
            return report

    def reread(self, report: RunReport) -> RunReport:
        """The same run as it stands now, with what has become of its messages."""
        return self._report(self._database.call("post_audit_read_run", run_id=report.run_id), report.origin)

    def told(self, run_id: int) -> RunReport:
        """A run that another worker has made, as it stands now."""
        return self._report(self._database.call("post_audit_read_run", run_id=run_id), "followed")

    def carry_out(
        self, decision_id: int, remaining: int, progress: Progress | None = None, *, batch: int = SMALL_BATCH
    ) -> JSON:
        """Go on with a decision until none of its changes remains; return the decision."""
        show = progress or Silence()
        answer: Any = None
        while answer is None or remaining > 0:
            answer = self._database.call("post_audit_apply_batch", decision_id=decision_id, batch=batch)
            remaining = answer["remaining"]
            show.batch_done(remaining)
        decision: JSON = answer["decision"]
        return decision

    def _own(
        self, begun: Begun, show: Progress, ordered: Order, *, origin: Literal["started", "resumed"]
    ) -> RunReport:
        run = begun["run"]
        owned = OwnedRun(
            run_id=int(run["id"]),
            token=int(run["token"]),
            as_of=datetime.fromisoformat(run["as_of"]),
            modes=begun["modes"],
        )
        done = {entry["step"] for entry in run["steps"]}
        with Heartbeat(self._database, owned, self._lease):
            for decision_id in begun["unfinished"]:
                self._finish_interrupted(decision_id, show)
            gives_up = ordered.gives_up and origin == "resumed"
            for step in self._known(run["requested_steps"]):
                if step.name in done:
                    continue
                if self._stopping.is_set():
                    self._database.call("post_audit_apply_release_run", **owned.key)
                    _log.info("run.handed_back", run_id=owned.run_id, before=step.name)
                    return self._report(
                        self._database.call("post_audit_read_run", run_id=owned.run_id), origin
                    )
                ordered.step(
                    owned.run_id,
                    step.name,
                    functools.partial(self._shown, step, owned, show, gives_up=gives_up),
                )
                gives_up = False
            ended = self._database.call("post_audit_apply_finish_run", **owned.key)
        report_of_run = self._report(ended, origin)
        _log.info(
            "run.ended",
            run_id=owned.run_id,
            state=report_of_run.state,
            origin=origin,
            as_of=owned.as_of.isoformat(),
        )
        return report_of_run

    def _finish_interrupted(self, decision_id: int, show: Progress) -> None:
        try:
            self.carry_out(decision_id, 1, show)
            _log.info("decision.finished_for_another", decision_id=decision_id)
        except (StateMoved, NotFound) as error:
            _log.warning("decision.unfinished", decision_id=decision_id, error=str(error))

    def _shown(self, step: AnyStep, owned: OwnedRun, show: Progress, *, gives_up: bool) -> Mapping[str, Any]:
        """Do one step and tell of it; what is kept of it."""
        show.step_started(step)
        report = self._one(step, owned, show, gives_up=gives_up)
        log_step(report, run_id=owned.run_id)
        show.step_ended(report)
        decision = report.decision
        return {"state": report.state, "decision_id": None if decision is None else decision["id"]}

    def _one(self, step: AnyStep, owned: OwnedRun, show: Progress, *, gives_up: bool) -> StepReport:
        started = time.monotonic()
        if gives_up:
            report = StepReport(step=step.name, title=step.title, state="failed", error=GIVEN_UP)
        elif owned.modes.get(step.name) == "paused":
            report = StepReport(step=step.name, title=step.title, state="paused")
        else:
            try:
                decision = self._decide_and_apply(step, owned, show, started)
                return StepReport(
                    step=step.name,
                    title=step.title,
                    state="decided",
                    decision=decision,
                    duration_ms=milliseconds(started),
                )
            except (RunLost, ConnectionLost, DatabaseUnreachable):
                # Nothing can be recorded either; the next owner of the run does this step again.
                raise
            except Exception as error:  # noqa: BLE001 - one step's failure must not stop the other five
                report = failure(step, error, started)
        self._database.call(
            "post_audit_apply_step_outcome",
            **owned.key,
            step=step.name,
            state=report.state,
            error=report.error,
            duration_ms=report.duration_ms,
        )
        return report

    def _decide_and_apply(
        self, step: AnyStep, owned: OwnedRun, show: Progress, started: float
    ) -> Mapping[str, Any]:
        try:
            answer = self._apply(step, owned, show, started)
        except StateMoved as moved:
            # Somebody changed the state between reading and writing: look again, once.
            _log.info("step.moved", step=step.name, run_id=owned.run_id, why=moved.message)
            answer = self._apply(step, owned, show, started)
        if answer["remaining"]:
            finished: Any = self.carry_out(
                answer["decision"]["id"], answer["remaining"], show, batch=step.batch_size
            )
            return dict(finished)
        return dict(answer["decision"])

    def _apply(self, step: AnyStep, owned: OwnedRun, show: Progress, started: float) -> Mapping[str, Any]:
        answer: Any = self._database.call(
            "post_audit_apply_decision",
            **owned.key,
            step=step.name,
            decision=step.run(self._database, owned.as_of, show.preparing),
            duration_ms=milliseconds(started),
            batch=step.batch_size,
        )
        return dict(answer)

    def _follow(self, run: Run, lease_remaining_ms: int, show: Progress, ordered: Order) -> Run | None:
        """Wait until another worker's run has ended, and return it; None when there is something else to do.

        That is when its owner is gone, when this tick need not be run any more, or when this worker is to stop.
        """
        by = run["owner"]
        show.waiting(owner.readable(by))
        deadline = time.monotonic() + lease_remaining_ms / 1000
        while True:
            if owner.is_dead(by):
                self._release(run)
                return None
            if self._stopping.wait(_FOLLOW_SECONDS) or ordered.is_overtaken():
                return None
            now: Any = self._database.call("post_audit_read_run", run_id=run["id"])
            if now["state"] != "running":
                return dict(now)
            if now["lease_expires_at"] != run["lease_expires_at"]:
                run, by = now, now["owner"]
                deadline = time.monotonic() + self._lease.total_seconds()
            elif time.monotonic() > deadline:
                return None

    def _release(self, run: Run) -> None:
        try:
            self._database.call("post_audit_apply_release_run", run_id=run["id"], token=run["token"])
            _log.info("run.owner_gone", run_id=run["id"], owner=owner.readable(run["owner"]))
        except RunLost:
            _log.info("run.taken_by_another", run_id=run["id"])

    def _chosen(self, names: Sequence[str] | None) -> tuple[AnyStep, ...]:
        return self._steps if names is None else tuple(self.step(name) for name in names)

    def _known(self, names: Sequence[str] | None) -> tuple[AnyStep, ...]:
        """The steps of a run that another version of the program may have begun, without those that it alone had."""
        known = {step.name for step in self._steps}
        for name in names or ():
            if name not in known:
                _log.warning("step.unknown", step=name)
        return self._chosen(None if names is None else [name for name in names if name in known])

    def _report(self, run: Any, origin: Origin) -> RunReport:  # noqa: ANN401 - JSON of run_as_json
        titles = {step.name: step.title for step in self._steps}
        status: Any = self._database.call("post_audit_read_status")
        return report_of(run, origin, titles, marketplace=status["marketplace"])
