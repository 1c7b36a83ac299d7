"""Step `conversions`: find the invite message that wins, and act once that is sure.

Compares the messages of every running experiment by the share of invited suppliers whose claim was verified
within the attribution window, and makes the winner the active message when the evidence is enough, however
often it has looked before. The other messages keep a small holdout.

It never counts an invite whose window is still open, never compares suppliers that were invited in
different hours or under different allocations, never switches on a lead that equal messages would show more
often than the policy allows, and never repeats a switch that a person took back while that rests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.post_audit.ports import Database
from app.post_audit.step import Step, parse_facts
from app.post_audit.steps.conversions.decide import decide
from app.post_audit.steps.conversions.facts import Facts
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["STEP", "gather"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refreshed:
    """What one call did; `noted` is whether changes of the tables are noted as they happen."""

    complete: bool
    noted: bool
    counted: int


def gather(database: Database, policy: ConversionsPolicy, as_of: datetime) -> Facts:
    """Bring the roll-up up to date, then read the running experiments, their counts by hour, and the holds.

    The roll-up is derived from the marketplace's tables alone, so a dry run brings it up to date as well.
    """
    _refresh(database, policy)
    answer = database.call(
        "post_audit_read_conversions",
        as_of=as_of,
        default_window_hours=policy.attribution_window_hours,
    )
    return parse_facts(Facts, answer)


def _refresh(database: Database, policy: ConversionsPolicy) -> None:
    """Call until everything that had changed is counted; each call takes a second at most."""
    while True:
        answer = database.call(
            "post_audit_maintain_conversions", default_window_hours=policy.attribution_window_hours
        )
        if parse_facts(_Refreshed, answer).complete:
            return


STEP = Step(
    name="conversions",
    title="Conversions",
    question="Which invite message wins, and are we sure?",
    policy=ConversionsPolicy(),
    gather=gather,
    decide=decide,
)
