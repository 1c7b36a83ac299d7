"""What comes of a run and of its steps, and whoever wants to watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from app.post_audit.step import Step

__all__ = ["AnyStep", "Origin", "Progress", "RunKind", "RunReport", "Silence", "StepReport", "report_of"]

RunKind = Literal["manual", "schedule", "audit", "step"]
Origin = Literal["started", "resumed", "followed", "finished", "preview"]
AnyStep = Step[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What came of one step: a decision, or an error with its cure, or nothing because it is paused."""

    step: str
    title: str
    state: Literal["decided", "failed", "paused"]
    decision: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    duration_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What came of a run.

    `origin` says how this process came by it: started or resumed it, followed another worker's, or found that its
    tick had been run already; a dry run is preview.
    """

    run_id: int | None
    state: Literal["completed", "failed", "running"]
    origin: Origin
    as_of: datetime
    marketplace: str
    steps: tuple[StepReport, ...]
    tick: str = ""
    notes: tuple[str, ...] = ()
    """What else there is to tell: audits that were taken in, files that could not be read."""

    @property
    def failed(self) -> bool:
        """Whether a step failed."""
        return any(step.state == "failed" for step in self.steps)


def report_of(
    run: Mapping[str, Any], origin: Origin, titles: Mapping[str, str], *, marketplace: str
) -> RunReport:
    """Make the report of a run as `run_as_json` of the database tells it; `titles` are those of the steps."""
    return RunReport(
        run_id=run["id"],
        state=run["state"],
        origin=origin,
        as_of=datetime.fromisoformat(run["as_of"]),
        marketplace=marketplace,
        tick=run["tick"],
        steps=tuple(
            StepReport(
                step=entry["step"],
                title=titles.get(entry["step"], entry["step"]),
                state=entry["state"],
                decision=entry["decision"],
                error=entry["error"],
                duration_ms=entry["duration_ms"],
            )
            for entry in run["steps"]
        ),
    )


class Progress(Protocol):
    """Whoever wants to show how a run goes on."""

    def step_started(self, step: AnyStep) -> None:
        """One step begins."""

    def step_ended(self, report: StepReport) -> None:
        """One step has ended."""

    def preparing(self, notice: str) -> None:
        """The step does something long before it looks, and this is how far it is."""

    def batch_done(self, remaining: int) -> None:
        """A long decision is being carried out; so many changes remain."""

    def waiting(self, owner: str) -> None:
        """Another worker's run is going on; this process follows it."""


class Silence:
    """Shows nothing."""

    def step_started(self, step: AnyStep) -> None:
        """Say nothing."""

    def step_ended(self, report: StepReport) -> None:
        """Say nothing."""

    def preparing(self, notice: str) -> None:
        """Say nothing."""

    def batch_done(self, remaining: int) -> None:
        """Say nothing."""

    def waiting(self, owner: str) -> None:
        """Say nothing."""
