"""Step `conversions`: find the invite message that wins, and act once that is sure.

Compares the messages of every running experiment by the share of invited suppliers whose claim was verified
within the attribution window, and makes the winner the active message when the evidence is enough, however
often it has looked before. The other messages keep a small holdout.

It never counts an invite whose window is still open, never compares suppliers that were invited in
different hours or under different allocations, never switches on a lead that equal messages would show more
often than the policy allows, and never repeats a switch that a person took back while that rests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.post_audit.formats import count
from app.post_audit.ports import JSON, Database
from app.post_audit.step import Step, parse_facts
from app.post_audit.steps.conversions.decide import decide
from app.post_audit.steps.conversions.facts import Experiment, Facts
from app.post_audit.steps.conversions.ledger import fold, ledger_of, to_memory
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["STEP", "gather", "gather_history", "prepare"]

_HOURS_TO_REMEMBER: Final = 24
"""Fewer are not worth a write."""

_GATHER_MILLISECONDS: Final = 300
"""How long a look counts: two hours of invites take 70 ms. With half a second of waiting for somebody else who counts,
whoever asks gets an answer within a second, however many invites are not counted yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refreshed:
    """What one call did; `noted` is whether changes of the tables are noted as they happen."""

    complete: bool
    noted: bool
    counted: int


def prepare(database: Database, policy: ConversionsPolicy) -> Iterator[str]:
    """Count what had changed, in calls of about a second; say after each how far it is.

    Ends when everything is counted, or after the policy's number of calls: then the rest is left to the next run.
    """
    counted = 0
    for _ in range(policy.counting_calls):
        refreshed = _refresh(database, policy)
        if refreshed.complete:
            return
        counted += refreshed.counted
        yield f"Counting invites: {count(counted)} suppliers so far"


def gather(database: Database, policy: ConversionsPolicy, as_of: datetime) -> Facts:
    """Bring the roll-up up to date as far as one call comes, then read experiments, counts by hour, and holds.

    Old blocks come as what the step remembers of them (`ledger`). The roll-up and the memory are derived from the
    marketplace's tables alone, so a dry run brings them up to date as well.
    """
    _refresh(database, policy, milliseconds=_GATHER_MILLISECONDS)
    facts = _read(database, policy, as_of, remembered=True)
    if any(ledger_of(experiment, policy) is None for experiment in facts.experiments):
        facts = _read(database, policy, as_of, remembered=False)
    for experiment in facts.experiments:
        if experiment.counting is not None:
            continue
        _remember(database, policy, experiment, as_of)
    return facts


def gather_history(database: Database, policy: ConversionsPolicy, as_of: datetime) -> Facts:
    """Read again, with every block, what has been gathered: for pages that show the past."""
    return _read(database, policy, as_of, remembered=False)


def _read(database: Database, policy: ConversionsPolicy, as_of: datetime, *, remembered: bool) -> Facts:
    answer = database.call(
        "post_audit_read_conversions",
        as_of=as_of,
        default_window_hours=policy.attribution_window_hours,
        remembered=remembered,
    )
    return parse_facts(Facts, answer)


def _refresh(database: Database, policy: ConversionsPolicy, **limit: JSON) -> _Refreshed:
    """Count for one call: everything that had changed, or as much as fits into the `milliseconds` of `limit`."""
    answer = database.call(
        "post_audit_maintain_conversions", default_window_hours=policy.attribution_window_hours, **limit
    )
    return parse_facts(_Refreshed, answer)


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
    prepare=prepare,
    gather=gather,
    decide=decide,
)
