"""What the house page reads: the state, the last whole run, what waits, and what was not confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from app.post_audit.ports import Database
from app.post_audit.web.pages.doctor import wrong_beside
from app.post_audit.web.pages.page import House, Query

__all__ = ["load"]

_RUNS_SHOWN: Final = 24
_WAITING_SHOWN: Final = 10
_MESSAGES_SHOWN: Final = 5


def load(house: House, _query: Query) -> dict[str, Any]:
    """Read all that the page shows: seven calls of a few milliseconds each."""
    call = house.database.call
    status: Any = call("post_audit_read_status")
    quarantine: Any = call("post_audit_read_quarantine", limit=1)
    capacity: Any = call("post_audit_read_decisions", step="infrastructure", limit=1)
    runs: Any = call("post_audit_read_runs", limit=_RUNS_SHOWN)
    # what a person did by hand is a run of one step; the last whole one is what the page is about
    last = next((run["id"] for run in runs if run["requested_steps"] is None), None)
    return {
        "status": status,
        "run": None if last is None else call("post_audit_read_run", run_id=last),
        "waiting": _waiting(house.database),
        "runs": [_run_as_bar(run) for run in runs],
        "open_messages": _unconfirmed(house.database),
        "wrong": wrong_beside(house.checkup.look()),
        "quarantined": quarantine["total"],
        "capacity": capacity[0] if capacity else None,
        "now": datetime.now(UTC).replace(second=0, microsecond=0).isoformat(),
        "can_run": house.start_run is not None,
        "is_untouched": last is None and house.application is not None and house.application.is_untouched(),
    }


def _waiting(database: Database) -> list[dict[str, Any]]:
    """The decisions that wait, each with the changes that do; their first five changes may be others."""
    found: Any = database.call("post_audit_read_decisions", waiting=True, limit=_WAITING_SHOWN)
    waiting = []
    for brief in found:
        whole: Any = database.call("post_audit_read_decision", decision_id=brief["id"])
        proposed = [change for change in whole["changes"] if change["state"] == "proposed"]
        waiting.append({**brief, "changes": proposed[:_WAITING_SHOWN]})
    return waiting


def _unconfirmed(database: Database) -> list[dict[str, Any]]:
    """The messages that should have been confirmed and were not: given up, refused, or tried in vain so far."""
    found: list[dict[str, Any]] = []
    for state in ("dead", "refused", "sent", "pending"):
        messages: Any = database.call("post_audit_read_messages", state=state, limit=_MESSAGES_SHOWN)
        found += [message for message in messages if state in {"dead", "refused"} or message["attempts"] > 0]
    return found[:_MESSAGES_SHOWN]


def _run_as_bar(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a bar of the history shows of a run."""
    return {
        "id": run["id"],
        "kind": run["kind"],
        "state": run["state"],
        "started_at": run["started_at"],
        "duration_ms": sum(step["duration_ms"] for step in run["steps"]),
        "failed": [step["step"] for step in run["steps"] if step["state"] == "failed"],
    }
