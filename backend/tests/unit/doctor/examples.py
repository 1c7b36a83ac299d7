"""A house in which all is well, and steps in any state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.post_audit.codec import to_json
from app.post_audit.doctor.facts import (
    Access,
    DecisionMade,
    Health,
    LastLook,
    LastRun,
    RoleBinding,
    StepState,
)
from app.post_audit.step import Decision, parse_facts

__all__ = ["NOW", "decided", "health", "state"]

NOW: Final = datetime(2025, 11, 12, 6, 30, tzinfo=UTC)
DIGEST: Final = "ab12cd34" * 8


def health(*steps: StepState, **fields: Any) -> Health:  # noqa: ANN401 - any of its fields
    """Give a live marketplace that ran an hour ago."""
    ran = LastRun(
        id=41,
        kind="schedule",
        state="completed",
        started_at=NOW - timedelta(hours=1),
        finished_at=NOW - timedelta(minutes=59),
        lease_expires_at=NOW - timedelta(minutes=58),
    )
    return replace(
        Health(
            now=NOW,
            server="17.2",
            server_number=170_002,
            acts_as="service_role",
            is_standby=False,
            is_read_only=False,
            database_bytes=41_000_000,
            schema_version=1,
            digest=DIGEST,
            marketplace="live",
            missing_functions=(),
            access=Access(unsecured=(), readable=(), exposed=()),
            roles=(RoleBinding(role="bugs", relation="public.bugs", is_bound=True, lacking=()),),
            steps=steps,
            last_run=ran,
            next_tick=NOW + timedelta(hours=1),
            messages=(),
        ),
        **fields,
    )


def decided(decision: Decision, **fields: Any) -> DecisionMade:  # noqa: ANN401 - any of its fields
    """Give a decision as it comes back from the database."""
    stored: Any = to_json(decision)
    told: Any = {"id": 7, "state": "noted", "decided_at": NOW.isoformat()}
    told |= {name: stored[name] for name in ("outcome", "headline", "reasons", "numbers", "next")}
    made = parse_facts(DecisionMade, told)
    return replace(made, **fields)


def state(step: str, decision: DecisionMade | None = None, **fields: Any) -> StepState:  # noqa: ANN401 - any
    """Give a step that acts and has decided this."""
    last = LastLook(run_id=41, state="decided", error=None, finished_at=NOW)
    made = StepState(step=step, mode="act", changed_by="asha", last=last, decision=decision, waiting=None)
    return replace(made, **fields)
