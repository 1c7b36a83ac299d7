"""What the counts of one experiment say: its rates, its evidence, and one status word.

Pure, and the only place that judges an experiment: the decision, the statistics of the API and a replay of
history all read it here.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from app.post_audit.steps.conversions.assessment import Assessment, Obstacle, Status, VariantResult
from app.post_audit.steps.conversions.comparisons import (
    effects_of,
    lead_of,
    result_of,
    strength,
)
from app.post_audit.steps.conversions.facts import Experiment, Hold
from app.post_audit.steps.conversions.forecast import conversions_gained, days_to_decision
from app.post_audit.steps.conversions.health import mismatch_log_e
from app.post_audit.steps.conversions.ledger import Ledger, fold, ledger_of
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from app.post_audit.steps.conversions.safety import (
    find_breaches,
    find_hold,
    find_obstacle,
    has_decayed,
    is_sent,
    may_stay,
    runs_long_enough,
    wider_window,
)

__all__ = ["assess"]


def _cheapest(results: tuple[VariantResult, ...], active: str | None) -> VariantResult:
    """Choose among equals: the cheapest where all costs are known, else what is active."""
    costs = {result.variant.id: result.variant.cost_paise for result in results}
    known = [cost for cost in costs.values() if cost is not None]
    if len(known) == len(costs):
        return min(results, key=lambda result: (costs[result.variant.id] or 0, result.variant.id != active))
    return next((result for result in results if result.variant.id == active), results[0])


def assess(
    experiment: Experiment, as_of: datetime, holds: tuple[Hold, ...], policy: ConversionsPolicy
) -> Assessment:
    """Judge one experiment.

    A variant is proved when every variant has `minimum_units` mature suppliers, the experiment has run for
    the least time, and its e-value against each of its rivals reaches (number of variants - 1) / alpha: a
    false winner has to beat the best one too, which all rivals together do with probability alpha at most.
    It wins when its rate is the greatest, too.
    """
    past = ledger_of(experiment, policy)
    if past is None:
        raise ValueError("the ledger was kept under another question; the blocks before it are needed")
    results = tuple(result_of(experiment, variant, policy.alpha, past) for variant in experiment.variants)
    rivals = len(results) - 1
    mismatch = mismatch_log_e(
        experiment.assigned, experiment.epoch_allocations, [variant.id for variant in experiment.variants]
    )
    unjudged = Assessment(
        experiment=experiment,
        status=Status.UNKNOWN,
        results=results,
        threshold=max(rivals, 1) / policy.alpha,
        mismatch_log_e=mismatch,
    )
    if experiment.counting is not None:
        return replace(unjudged, status=Status.COUNTING)
    if rivals < 1 or not any(result.units or result.immature for result in results):
        return unjudged
    if not all(result.units for result in results):
        obstacle = find_obstacle(experiment, as_of, mismatch, policy)
        return replace(unjudged, status=Status.BLOCKED if obstacle else Status.COLLECTING, obstacle=obstacle)
    ledger = fold(past, experiment.closed_blocks(as_of), experiment, policy)
    return _judge(_weigh(unjudged, past, ledger, policy), ledger, as_of, holds, policy)


def _weigh(unjudged: Assessment, past: Ledger, ledger: Ledger, policy: ConversionsPolicy) -> Assessment:
    """Compare all variants with one another; all have mature suppliers."""
    experiment, results = unjudged.experiment, unjudged.results
    weighed = replace(
        unjudged,
        effects=effects_of(experiment, ledger, policy),
        breaches=find_breaches(experiment, ledger, policy),
    )
    leader = min(results, key=lambda result: (-result.converted / result.units, result.variant.id))
    others = [result for result in results if result is not leader]
    rival = min(others, key=lambda other: (strength(weighed, leader, other), other.variant.id))
    log_e = lead_of(weighed, leader, rival)
    missing = math.log(weighed.threshold) - log_e
    return replace(
        weighed,
        status=Status.COLLECTING,
        leader=leader,
        rival=rival,
        log_e=log_e,
        days_left=days_to_decision(experiment, past, leader, rival, missing) if missing > 0 else None,
        gained=conversions_gained(results),
    )


def _proven(judged: Assessment) -> VariantResult | None:
    """Find the variant that beats every rival by evidence and does no harm."""
    needed = math.log(judged.threshold)
    harmful = {breach.variant.id for breach in judged.breaches}
    for result in judged.results:
        others = [other for other in judged.results if other is not result]
        if result.variant.id not in harmful and all(
            strength(judged, result, other) >= needed for other in others
        ):
            return result
    return None


def _judge(
    judged: Assessment, ledger: Ledger, as_of: datetime, holds: tuple[Hold, ...], policy: ConversionsPolicy
) -> Assessment:
    """Give the status: harm first, then what forbids a switch, then the evidence."""
    experiment = judged.experiment
    harmful = tuple(
        breach
        for breach in judged.breaches
        if is_sent(experiment, breach.variant.id)
        and not may_stay(experiment, as_of, holds, breach.variant.id)
    )
    if harmful:
        return replace(judged, status=Status.BREACHED, breaches=harmful)
    if obstacle := find_obstacle(experiment, as_of, judged.mismatch_log_e, policy):
        return replace(judged, status=Status.BLOCKED, obstacle=obstacle)
    window = wider_window(experiment, policy)
    if window and not find_hold(experiment, as_of, holds, attribution_window_hours=window):
        return replace(judged, status=Status.WIDENING, window_hours=window)
    if any(result.units < policy.minimum_units for result in judged.results):
        return judged
    if not runs_long_enough(experiment, as_of, policy):
        return replace(judged, too_soon=True)
    return _judge_evidence(judged, ledger, as_of, holds, policy)


def _judge_evidence(
    judged: Assessment, ledger: Ledger, as_of: datetime, holds: tuple[Hold, ...], policy: ConversionsPolicy
) -> Assessment:
    """Give the status of an experiment that nothing forbids to judge."""
    experiment, results = judged.experiment, judged.results
    proven = _proven(judged)
    if (proven is None or proven.variant.id == experiment.winner) and has_decayed(experiment, ledger, policy):
        epoch, past = experiment.allocation_epoch, ledger_of(experiment, policy) or Ledger()
        since = tuple(
            result_of(experiment, result.variant, policy.alpha, past, since_epoch=epoch) for result in results
        )
        best = max(
            (result for result in since if result.variant.id != experiment.winner),
            key=lambda result: (result.rate or 0.0, result.variant.id),
        )
        hold = find_hold(experiment, as_of, holds, winner=None, active_variant=best.variant.id)
        return replace(
            judged, status=Status.HELD if hold else Status.DECAYED, keep=best, since=since, hold=hold
        )
    if proven is None:
        return _judge_equality(judged, as_of, holds, policy)
    rates = [result.rate for result in results if result is not proven]
    if proven is not judged.leader or proven.rate in rates:
        return replace(judged, status=Status.BLOCKED, proven=proven, obstacle=Obstacle.DISAGREE)
    if experiment.active_variant == proven.variant.id == experiment.winner:
        return replace(judged, proven=proven, status=Status.DECIDED)
    hold = find_hold(experiment, as_of, holds, winner=proven.variant.id)
    return replace(judged, proven=proven, status=Status.HELD if hold else Status.READY, hold=hold)


def _judge_equality(
    judged: Assessment, as_of: datetime, holds: tuple[Hold, ...], policy: ConversionsPolicy
) -> Assessment:
    """Give up a search that can find nothing worth having."""
    least, greatest = 1 / (1 + policy.smallest_effect), 1 + policy.smallest_effect
    if judged.breaches or not all(
        least <= effect.ratio[0] and effect.ratio[1] <= greatest for effect in judged.effects
    ):
        return judged
    experiment = judged.experiment
    keep = _cheapest(judged.results, experiment.active_variant)
    hold = find_hold(experiment, as_of, holds, winner=keep.variant.id)
    return replace(
        judged, status=Status.HELD if hold else Status.NO_DIFFERENCE, keep=keep, hold=hold, days_left=None
    )
