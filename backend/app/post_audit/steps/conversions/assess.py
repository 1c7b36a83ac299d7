"""What the counts of one experiment say: its rates, its evidence, and one status word.

Pure, and the only place that judges an experiment: the decision, the statistics of the API and a replay of
history all read it here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import combinations

from app.post_audit.steps.conversions.evidence import Bets, Comparison, compare, rate_interval
from app.post_audit.steps.conversions.facts import Experiment, Hold, Variant
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["Assessment", "Status", "VariantResult", "assess"]


class Status(StrEnum):
    """Where an experiment stands."""

    UNKNOWN = "unknown"
    """Nobody was invited, or there is nothing to compare."""
    COLLECTING = "collecting"
    """Too few mature suppliers, or not enough evidence yet."""
    READY = "ready"
    """One variant is proved better and is not yet the recorded and active one."""
    DECIDED = "decided"
    """The proved variant is already recorded and active."""
    HELD = "held"
    """The switch was taken back by a person and rests."""
    BLOCKED = "blocked"
    """Hour by hour another variant is ahead than in total; a person has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """One variant in numbers.

    `interval` holds the true rate at every look at once, with probability 1 - alpha.
    """

    variant: Variant
    units: int
    converted: int
    immature: int
    interval: tuple[float, float]

    @property
    def rate(self) -> float | None:
        """Conversions per mature supplier (0 to 1); None while there is no mature supplier."""
        return self.converted / self.units if self.units else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One experiment judged.

    `results` stand in the experiment's order. `leader` has the greatest rate, `rival` is the one the
    evidence separates least from it, both None below two variants or without mature suppliers. `log_e` is
    the evidence that leader and rival differ in the leader's favour (never above 0 where it speaks for the
    rival). `proven` is the variant that beats every rival by evidence, whatever its rate.
    """

    experiment: Experiment
    status: Status
    results: tuple[VariantResult, ...]
    threshold: float
    leader: VariantResult | None = None
    rival: VariantResult | None = None
    proven: VariantResult | None = None
    log_e: float = 0.0
    hold: Hold | None = None


def _result(experiment: Experiment, variant: Variant, alpha: float) -> VariantResult:
    """Add up one variant over all blocks."""
    counts = [block.counts[variant.id] for block in experiment.blocks if variant.id in block.counts]
    units = sum(count.units for count in counts)
    converted = sum(count.converted for count in counts)
    return VariantResult(
        variant=variant,
        units=units,
        converted=converted,
        immature=experiment.immature.get(variant.id, 0),
        interval=rate_interval(converted, units, alpha),
    )


def _comparisons(
    experiment: Experiment, as_of: datetime, policy: ConversionsPolicy
) -> Mapping[tuple[str, str], Comparison]:
    """Compare every variant with every other one, in both directions."""
    blocks = experiment.closed_blocks(as_of)
    bets = Bets(
        log_ratio_deviation=policy.log_ratio_deviation,
        prior_rate=policy.prior_rate,
        prior_units=policy.prior_units,
    )
    series: dict[str, tuple[list[int], list[int]]] = {}
    for variant in experiment.variants:
        counts = [block.counts.get(variant.id) for block in blocks]
        series[variant.id] = (
            [count.units if count else 0 for count in counts],
            [count.converted if count else 0 for count in counts],
        )
    found: dict[tuple[str, str], Comparison] = {}
    for first, second in combinations(sorted(series), 2):
        forward = compare(*series[first], *series[second], bets)
        found[first, second] = forward
        found[second, first] = Comparison(log_e=forward.log_e, favours=-forward.favours)
    return found


def _hold(experiment: Experiment, as_of: datetime, holds: tuple[Hold, ...], winner: str) -> Hold | None:
    """Find the hold under which this very winner rests."""
    return next(
        (
            hold
            for hold in holds
            if hold.subject == experiment.subject
            and hold.until > as_of
            and hold.undone.get("winner") == winner
        ),
        None,
    )


def assess(
    experiment: Experiment, as_of: datetime, holds: tuple[Hold, ...], policy: ConversionsPolicy
) -> Assessment:
    """Judge one experiment.

    A variant is proved when every variant has `minimum_units` mature suppliers and its e-value against each
    of its rivals reaches (number of variants - 1) / alpha; it wins when its rate is the greatest, too.
    """
    results = tuple(_result(experiment, variant, policy.alpha) for variant in experiment.variants)
    rivals = len(results) - 1
    unjudged = Assessment(
        experiment=experiment,
        status=Status.UNKNOWN,
        results=results,
        threshold=max(rivals, 1) / policy.alpha,
    )
    if rivals < 1 or not any(result.units or result.immature for result in results):
        return unjudged
    if not all(result.units for result in results):
        return replace(unjudged, status=Status.COLLECTING)

    comparisons = _comparisons(experiment, as_of, policy)

    def strength(result: VariantResult, other: VariantResult) -> float:
        comparison = comparisons[result.variant.id, other.variant.id]
        return comparison.log_e if comparison.favours > 0 else -math.inf

    leader = min(results, key=lambda result: (-result.converted / result.units, result.variant.id))
    others = [result for result in results if result is not leader]
    rival = min(others, key=lambda other: (strength(leader, other), other.variant.id))
    pair = comparisons[leader.variant.id, rival.variant.id]
    judged = replace(
        unjudged,
        status=Status.COLLECTING,
        leader=leader,
        rival=rival,
        log_e=pair.log_e if pair.favours > 0 else min(0.0, pair.log_e),
    )
    if any(result.units < policy.minimum_units for result in results):
        return judged

    needed = math.log(judged.threshold)
    for proven in results:
        if all(strength(proven, other) >= needed for other in results if other is not proven):
            break
    else:
        return judged
    if proven is not leader or any(leader.rate == other.rate for other in others):
        status, hold = Status.BLOCKED, None
    elif experiment.active_variant == leader.variant.id == experiment.winner:
        status, hold = Status.DECIDED, None
    else:
        hold = _hold(experiment, as_of, holds, leader.variant.id)
        status = Status.HELD if hold else Status.READY
    return replace(judged, status=status, proven=proven, hold=hold)
