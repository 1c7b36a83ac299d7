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
from datetime import datetime, timedelta
from typing import Final

from app.post_audit.ports import Database
from app.post_audit.step import Step, parse_facts
from app.post_audit.steps.conversions.decide import decide
from app.post_audit.steps.conversions.facts import Experiment, Facts
from app.post_audit.steps.conversions.ledger import fold, ledger_of, to_memory
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["STEP", "gather", "gather_history"]

_HOURS_TO_REMEMBER: Final = 24
"""Fewer are not worth a write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refreshed:
    """What one call did; `noted` is whether changes of the tables are noted as they happen."""

    complete: bool
    noted: bool
    counted: int


def gather(database: Database, policy: ConversionsPolicy, as_of: datetime) -> Facts:
    """Bring the roll-up up to date, then read the running experiments, their counts by hour, and the holds.

    Old blocks come as what the step remembers of them (`ledger`). The roll-up and the memory are derived from the
    marketplace's tables alone, so a dry run brings them up to date as well.
    """
    _refresh(database, policy)
    facts = _read(database, policy, as_of, remembered=True)
    if any(ledger_of(experiment, policy) is None for experiment in facts.experiments):
        facts = _read(database, policy, as_of, remembered=False)
    for experiment in facts.experiments:
        _remember(database, policy, experiment, as_of)
    return facts


def gather_history(database: Database, policy: ConversionsPolicy, as_of: datetime) -> Facts:
    """Read the same with every block, however old: for pages that show the past."""
    _refresh(database, policy)
    return _read(database, policy, as_of, remembered=False)


def _read(database: Database, policy: ConversionsPolicy, as_of: datetime, *, remembered: bool) -> Facts:
    answer = database.call(
        "post_audit_read_conversions",
        as_of=as_of,
        default_window_hours=policy.attribution_window_hours,
        remembered=remembered,
    )
    return parse_facts(Facts, answer)


def _refresh(database: Database, policy: ConversionsPolicy) -> None:
    """Call until everything that had changed is counted; each call takes about a second at most."""
    while True:
        answer = database.call(
            "post_audit_maintain_conversions", default_window_hours=policy.attribution_window_hours
        )
        if parse_facts(_Refreshed, answer).complete:
            return


def _remember(database: Database, policy: ConversionsPolicy, experiment: Experiment, as_of: datetime) -> None:
    """Fold a day of old blocks and more into what is remembered.

    Old is what is two windows and two hours away: later claims are asked for by nothing.
    """
    old = as_of - timedelta(hours=2 * experiment.attribution_window_hours + 2)
    through = old.replace(minute=0, second=0, microsecond=0)
    blocks = [block for block in experiment.closed_blocks(as_of) if block.hour < through]
    past = ledger_of(experiment, policy)
    if len({block.hour for block in blocks}) < _HOURS_TO_REMEMBER or past is None:
        return
    database.call(
        "post_audit_maintain_conversion_memory",
        experiment_id=str(experiment.id),
        revision=experiment.revision,
        through=through,
        memory=to_memory(fold(past, blocks, experiment, policy), experiment, policy),
        window_hours=experiment.attribution_window_hours,
    )


STEP = Step(
    name="conversions",
    title="Conversions",
    question="Which invite message wins, and are we sure?",
    policy=ConversionsPolicy(),
    gather=gather,
    decide=decide,
)
