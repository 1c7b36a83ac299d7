"""How a run tells of its steps: reports, log lines, and decisions as they would be stored."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Final

from app.post_audit.codec import to_json
from app.post_audit.errors import PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.runner.report import AnyStep, StepReport
from app.post_audit.secrecy import redact
from app.post_audit.step import Decision

__all__ = ["GIVEN_UP", "failure", "log_step", "milliseconds", "previewed"]

GIVEN_UP: Final = {
    "code": "GivenUp",
    "message": "The step was given up: worker after worker ended in the middle of it.",
    "cure": "Look for what ends them (memory, most often); the next run does the step again.",
}

_log = get_logger(__name__)


def failure(step: AnyStep, error: Exception, started: float) -> StepReport:
    """Tell of a step that failed, with its cure and without secrets."""
    if isinstance(error, PostAuditError):
        told = {"code": type(error).__name__, "message": error.message, "cure": error.cure}
    else:
        _log.exception("step.bug", step=step.name, exc_info=error)
        told = {
            "code": type(error).__name__,
            "message": f"The step met a fault of the program: {error}",
            "cure": "The log has the details; please report it.",
        }
    # This is stored and shown; a database's own text may repeat an address with its password.
    told = {name: redact(text) for name, text in told.items()}
    return StepReport(
        step=step.name, title=step.title, state="failed", error=told, duration_ms=milliseconds(started)
    )


def log_step(report: StepReport, *, run_id: int | None) -> None:
    """Write the one line of a step."""
    if report.state == "failed" and report.error is not None:
        _log.error(
            "step.failed", step=report.step, run_id=run_id, duration_ms=report.duration_ms, **report.error
        )
    elif report.decision is not None:
        decision = report.decision
        _log.info(
            "step.decided",
            step=report.step,
            run_id=run_id,
            decision_id=decision["id"],
            outcome=decision["outcome"],
            state=decision["state"],
            headline=decision["headline"],
            duration_ms=report.duration_ms,
            reasons=[reason["code"] for reason in decision["reasons"]],
        )
    else:
        _log.info("step.paused", step=report.step, run_id=run_id)


def milliseconds(started: float) -> int:
    """Since a moment of the monotonic clock."""
    return round((time.monotonic() - started) * 1000)


def previewed(decision: Decision, step: str, mode: str, as_of: datetime) -> dict[str, Any]:
    """A decision as it would be stored, had this not been a dry run."""
    shown: Any = to_json(decision)
    return {
        **shown,
        "id": None,
        "kind": "step",
        "step": step,
        "mode": mode,
        "state": "preview",
        "as_of": as_of.isoformat(),
        "changes": [{**change, "state": "preview"} for change in shown["changes"]],
        "messages": [{**message, "state": "preview"} for message in shown["messages"]],
    }
