"""What the counts of one experiment say: its rates, its evidence, and one status word.

Pure, and the only place that judges an experiment: the decision, the statistics of the API and a replay of
history all read it here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import combinations
from typing import Final

from app.post_audit.steps.conversions.evidence import (
    Bets,
    Comparison,
    compare,
    difference_interval,
    rate_interval,
    ratio_interval,
)
from app.post_audit.steps.conversions.facts import Block, Experiment, Hold, Variant
from app.post_audit.steps.conversions.health import decay_log_e, harm_log_e, mismatch_log_e
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = [
    "TELLABLE_DAYS",
    "Assessment",
    "Breach",
    "Effect",
    "Obstacle",
    "Status",
    "VariantResult",
    "assess",
    "least_hours",
]

_HARMS: Final = ("opt_outs", "failed")
_DAY_HOURS: Final = 24

_MARGIN: Final = 1.25
"""How much wider than the 99 % point of the claims a new window is: the last percent would differ by variant, and two
equal ones would be told apart by it in time."""

_CALM: Final = 0.75
"""Where 99 % of the claims come within this share of the window, none are missed after it."""


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
    """Something forbids believing the numbers (`obstacle`); a person has to look."""
    WIDENING = "widening"
    """The attribution window misses claims of the slowest variant and has to grow first."""
    BREACHED = "breached"
    """A variant does harm and is still sent."""
    DECAYED = "decayed"
    """The active winner fell behind those who kept the holdout."""
    NO_DIFFERENCE = "no_difference"
    """All variants are alike to within the smallest effect that matters."""


class Obstacle(StrEnum):
    """Why an experiment is blocked."""

    DISAGREE = "disagree"
    """Hour by hour another variant is ahead than in total."""
    MISMATCH = "mismatch"
    """Suppliers were not shared among the variants as they should have been."""
    EXPOSED = "exposed"
    """Too many suppliers got several variants."""
    STALE = "stale"
    """No supplier was invited for too long."""


_WORDS: Final[Mapping[Status, str]] = {
    Status.UNKNOWN: "no data",
    Status.COLLECTING: "collecting",
    Status.READY: "ready to switch",
    Status.DECIDED: "switched",
    Status.HELD: "held by a person",
    Status.WIDENING: "collecting: the window grows",
    Status.BREACHED: "stopping a harmful message",
    Status.DECAYED: "reverting",
    Status.NO_DIFFERENCE: "no difference worth having",
}

_WHY: Final[Mapping[Obstacle, str]] = {
    Obstacle.DISAGREE: "totals and hours disagree",
    Obstacle.MISMATCH: "shares are not kept",
    Obstacle.EXPOSED: "suppliers got several messages",
    Obstacle.STALE: "no new invites",
}

TELLABLE_DAYS: Final = 90
"""A time to decision beyond is no forecast."""


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
class Effect:
    """One comparison: the first variant against the second.

    `ratio` and `difference` of the rates hold at every look at once, for all comparisons of the experiment
    together.
    """

    first: str
    second: str
    log_e: float
    favours: str | None
    ratio: tuple[float, float]
    difference: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A guardrail that a variant broke: its share of `what`, and that of all others."""

    variant: Variant
    what: str
    rate: float
    others: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One experiment judged.

    `results` stand in the experiment's order. `leader` has the greatest rate, `rival` is the one the
    evidence separates least from it, both None below two variants or without mature suppliers. `log_e` is
    the evidence that leader and rival differ in the leader's favour (never above 0 where it speaks for the
    rival). `proven` is the variant that beats every rival by evidence, whatever its rate. `keep` is the one
    to stay with where there is no difference worth having or where the winner decayed. `days_left` estimates
    the time to a decision at the present rates, None where it can not be told; `gained` is how many more
    conversions there were than with even shares. `since` are the results of the present allocation, where a
    winner decayed in it; `too_soon` says that the least running time is not over.
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
    obstacle: Obstacle | None = None
    keep: VariantResult | None = None
    effects: tuple[Effect, ...] = ()
    breaches: tuple[Breach, ...] = ()
    mismatch_log_e: float = 0.0
    window_hours: int | None = None
    days_left: float | None = None
    gained: float = 0.0
    too_soon: bool = False
    since: tuple[VariantResult, ...] = ()

    @property
    def in_place(self) -> bool:
        """Whether what is to be kept is recorded and active."""
        keep, experiment = self.keep, self.experiment
        return keep is not None and experiment.active_variant == keep.variant.id == experiment.winner

    @property
    def word(self) -> str:
        """Say the status in words for people."""
        if self.status is Status.COLLECTING and self.experiment.judged_from_epoch > 1:
            return "reverted"
        if (
            self.status is Status.COLLECTING
            and self.days_left is not None
            and self.days_left <= TELLABLE_DAYS
        ):
            days = max(1, math.ceil(self.days_left))
            return f"about {days} day{'s' if days > 1 else ''} left"
        return f"blocked: {_WHY[self.obstacle]}" if self.obstacle else _WORDS[self.status]


def _judged(experiment: Experiment) -> list[Block]:
    """Leave out what came before a reverted winner."""
    return [block for block in experiment.blocks if block.epoch >= experiment.judged_from_epoch]


def _result(experiment: Experiment, variant: Variant, alpha: float) -> VariantResult:
    """Add up one variant over all blocks."""
    counts = [block.counts[variant.id] for block in _judged(experiment) if variant.id in block.counts]
    units = sum(count.units for count in counts)
    converted = sum(count.converted for count in counts)
    return VariantResult(
        variant=variant,
        units=units,
        converted=converted,
        immature=experiment.immature.get(variant.id, 0),
        interval=rate_interval(converted, units, alpha),
    )


def _bets(policy: ConversionsPolicy) -> Bets:
    return Bets(
        log_ratio_deviation=policy.log_ratio_deviation,
        prior_rate=policy.prior_rate,
        prior_units=policy.prior_units,
    )


_Series = Mapping[str, tuple[list[int], list[int]]]


def _series(experiment: Experiment, as_of: datetime) -> _Series:
    """Give units and conversions of every variant, closed block by closed block."""
    blocks = experiment.closed_blocks(as_of)
    series: dict[str, tuple[list[int], list[int]]] = {}
    for variant in experiment.variants:
        counts = [block.counts.get(variant.id) for block in blocks]
        series[variant.id] = (
            [count.units if count else 0 for count in counts],
            [count.converted if count else 0 for count in counts],
        )
    return series


def _comparisons(series: _Series, policy: ConversionsPolicy) -> Mapping[tuple[str, str], Comparison]:
    """Compare every variant with every other one, in both directions."""
    bets = _bets(policy)
    found: dict[tuple[str, str], Comparison] = {}
    for first, second in combinations(sorted(series), 2):
        forward = compare(*series[first], *series[second], bets)
        found[first, second] = forward
        found[second, first] = Comparison(log_e=forward.log_e, favours=-forward.favours)
    return found


def _effects(
    series: _Series, found: Mapping[tuple[str, str], Comparison], policy: ConversionsPolicy
) -> tuple[Effect, ...]:
    """Say how far each pair may differ, all pairs together at alpha."""
    bets = _bets(policy)
    pairs = list(combinations(series, 2))
    alpha = policy.alpha / len(pairs)
    effects: list[Effect] = []
    for first, second in pairs:
        comparison = found[first, second]
        half = ratio_interval(*series[first], *series[second], bets, alpha / 2)
        units, converted = (sum(numbers) for numbers in series[second])
        effects.append(
            Effect(
                first=first,
                second=second,
                log_e=comparison.log_e,
                favours={1: first, -1: second, 0: None}[comparison.favours],
                ratio=ratio_interval(*series[first], *series[second], bets, alpha),
                difference=difference_interval(half, rate_interval(converted, units, alpha / 2)),
            )
        )
    return tuple(effects)


def _hold(
    experiment: Experiment, as_of: datetime, holds: tuple[Hold, ...], **wanted: str | int | None
) -> Hold | None:
    """Find the hold under which this very change rests."""
    return next(
        (
            hold
            for hold in holds
            if hold.subject == experiment.subject
            and hold.until > as_of
            and all(key in hold.undone and hold.undone[key] == value for key, value in wanted.items())
        ),
        None,
    )


def _may_stay(experiment: Experiment, as_of: datetime, holds: tuple[Hold, ...], variant: str) -> bool:
    """Whether a person decided that a harmful variant goes on."""
    for hold in holds:
        shares = hold.undone.get("allocation_basis_points")
        stopped = isinstance(shares, Mapping) and shares.get(variant) == 0
        if stopped and hold.subject == experiment.subject and hold.until > as_of:
            return True
    return False


def _obstacle(
    experiment: Experiment, as_of: datetime, log_e: float, policy: ConversionsPolicy
) -> Obstacle | None:
    """Find what forbids believing the numbers, the gravest first."""
    if log_e >= -math.log(policy.mismatch_alpha):
        return Obstacle.MISMATCH
    everybody = sum(sum(counts.values()) for counts in experiment.assigned.values())
    if experiment.exposed_to_several > policy.maximum_exposed_share * everybody:
        return Obstacle.EXPOSED
    last = experiment.last_invite_at
    if last is not None and as_of - last > timedelta(hours=policy.stale_after_hours):
        return Obstacle.STALE
    return None


def _wider_window(experiment: Experiment, policy: ConversionsPolicy) -> int | None:
    """Give the window that holds the slowest variant's claims, in whole days; None if it holds 99 % of them."""
    slowest = max(experiment.claim_hours.values(), default=0.0)
    days = math.ceil(slowest * _MARGIN / _DAY_HOURS)
    wanted = min(days * _DAY_HOURS, policy.maximum_window_hours)
    enough = slowest <= experiment.attribution_window_hours or wanted <= experiment.attribution_window_hours
    return None if enough else wanted


def _breaches(experiment: Experiment, as_of: datetime, policy: ConversionsPolicy) -> tuple[Breach, ...]:
    """Find the variants that have more opt-outs or failures than the others together."""
    blocks = experiment.closed_blocks(as_of)
    names = [variant.id for variant in experiment.variants]
    needed = math.log(len(names) / policy.guardrail_alpha)
    found: list[Breach] = []
    for what in _HARMS:
        totals = {
            name: (
                sum(block.counts[name].units for block in blocks if name in block.counts),
                sum(getattr(block.counts[name], what) for block in blocks if name in block.counts),
            )
            for name in names
        }
        if not any(events for _, events in totals.values()):
            continue
        for variant in experiment.variants:
            if harm_log_e(blocks, variant.id, names, what) >= needed:
                units, events = totals[variant.id]
                all_units, all_events = (sum(numbers) for numbers in zip(*totals.values(), strict=True))
                found.append(
                    Breach(
                        variant=variant,
                        what=what,
                        rate=events / units,
                        others=(all_events - events) / (all_units - units),
                    )
                )
    return tuple(found)


def _is_sent(experiment: Experiment, variant: str) -> bool:
    """Whether anybody may still get it."""
    return experiment.active_variant == variant or experiment.allocation_basis_points.get(variant, 0) > 0


def _has_decayed(experiment: Experiment, as_of: datetime, policy: ConversionsPolicy) -> bool:
    """Whether the holdout of the present allocation does better than the winner it was kept from."""
    winner = experiment.winner
    if winner is None or experiment.active_variant != winner or experiment.variant(winner) is None:
        return False
    blocks = [
        block for block in experiment.closed_blocks(as_of) if block.epoch == experiment.allocation_epoch
    ]
    names = [variant.id for variant in experiment.variants]
    log_e = decay_log_e(blocks, winner, names, policy.log_ratio_deviation)
    return log_e >= -math.log(policy.alpha)


def _days_left(
    experiment: Experiment, leader: VariantResult, rival: VariantResult, missing: float
) -> float | None:
    """Estimate how long the present lead has to last until the evidence is enough.

    With rates p and q in shares a and b, an invited supplier adds a p log(p/m) + b q log(q/m) on average,
    where m is their common rate: the information of the conversion coin.
    """
    hours = sorted(block.hour for block in _judged(experiment))
    units = leader.units + rival.units
    rate = (leader.converted + rival.converted) / units
    if rate == 0:
        return None
    growth = sum(
        result.converted / units * math.log(result.converted / result.units / rate)
        for result in (leader, rival)
        if result.converted
    )
    days = ((hours[-1] - hours[0]).total_seconds() / 3600 + 1) / _DAY_HOURS
    return missing / (growth * units / days) if growth > 0 else None


def _gained(results: tuple[VariantResult, ...]) -> float:
    """Count the conversions above those of even shares, at the rates seen."""
    even = sum(result.units for result in results) / len(results)
    return sum((result.units - even) * result.converted / result.units for result in results)


def _cheapest(results: tuple[VariantResult, ...], active: str | None) -> VariantResult:
    """Choose among equals: the cheapest where all costs are known, else what is active."""
    costs = {result.variant.id: result.variant.cost_paise for result in results}
    known = [cost for cost in costs.values() if cost is not None]
    if len(known) == len(costs):
        return min(results, key=lambda result: (costs[result.variant.id] or 0, result.variant.id != active))
    return next((result for result in results if result.variant.id == active), results[0])


def least_hours(experiment: Experiment, policy: ConversionsPolicy) -> int:
    """Say how long an experiment has to run before anything is switched.

    Claims that still come near the end of the window may come after it too; how many is known when invites are
    two windows old.
    """
    window = experiment.attribution_window_hours
    if max(experiment.claim_hours.values(), default=0.0) > _CALM * window:
        return max(policy.minimum_runtime_hours, 2 * window)
    return policy.minimum_runtime_hours


def _runs_long_enough(experiment: Experiment, as_of: datetime, policy: ConversionsPolicy) -> bool:
    started = experiment.started_at
    return started is None or as_of - started >= timedelta(hours=least_hours(experiment, policy))


def assess(
    experiment: Experiment, as_of: datetime, holds: tuple[Hold, ...], policy: ConversionsPolicy
) -> Assessment:
    """Judge one experiment.

    A variant is proved when every variant has `minimum_units` mature suppliers, the experiment has run for
    the least time, and its e-value against each of its rivals reaches (number of variants - 1) / alpha: a
    false winner has to beat the best one too, which all rivals together do with probability alpha at most.
    It wins when its rate is the greatest, too.
    """
    results = tuple(_result(experiment, variant, policy.alpha) for variant in experiment.variants)
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
    if rivals < 1 or not any(result.units or result.immature for result in results):
        return unjudged
    if not all(result.units for result in results):
        obstacle = _obstacle(experiment, as_of, mismatch, policy)
        return replace(unjudged, status=Status.BLOCKED if obstacle else Status.COLLECTING, obstacle=obstacle)
    return _judge(_weigh(unjudged, as_of, policy), as_of, holds, policy)


def _strength(assessment: Assessment, result: VariantResult, other: VariantResult) -> float:
    """Give the evidence for `result` against `other`; none where it speaks for the other."""
    pair = {result.variant.id, other.variant.id}
    effect = next(effect for effect in assessment.effects if {effect.first, effect.second} == pair)
    return effect.log_e if effect.favours == result.variant.id else -math.inf


def _weigh(unjudged: Assessment, as_of: datetime, policy: ConversionsPolicy) -> Assessment:
    """Compare all variants with one another; all have mature suppliers."""
    experiment, results = unjudged.experiment, unjudged.results
    series = _series(experiment, as_of)
    comparisons = _comparisons(series, policy)
    weighed = replace(
        unjudged, effects=_effects(series, comparisons, policy), breaches=_breaches(experiment, as_of, policy)
    )
    leader = min(results, key=lambda result: (-result.converted / result.units, result.variant.id))
    others = [result for result in results if result is not leader]
    rival = min(others, key=lambda other: (_strength(weighed, leader, other), other.variant.id))
    pair = comparisons[leader.variant.id, rival.variant.id]
    log_e = pair.log_e if pair.favours > 0 else min(0.0, pair.log_e)
    missing = math.log(weighed.threshold) - log_e
    return replace(
        weighed,
        status=Status.COLLECTING,
        leader=leader,
        rival=rival,
        log_e=log_e,
        days_left=_days_left(experiment, leader, rival, missing) if missing > 0 else None,
        gained=_gained(results),
    )


def _proven(judged: Assessment) -> VariantResult | None:
    """Find the variant that beats every rival by evidence and does no harm."""
    needed = math.log(judged.threshold)
    harmful = {breach.variant.id for breach in judged.breaches}
    for result in judged.results:
        others = [other for other in judged.results if other is not result]
        if result.variant.id not in harmful and all(
            _strength(judged, result, other) >= needed for other in others
        ):
            return result
    return None


def _judge(
    judged: Assessment, as_of: datetime, holds: tuple[Hold, ...], policy: ConversionsPolicy
) -> Assessment:
    """Give the status: harm first, then what forbids a switch, then the evidence."""
    experiment = judged.experiment
    harmful = tuple(
        breach
        for breach in judged.breaches
        if _is_sent(experiment, breach.variant.id)
        and not _may_stay(experiment, as_of, holds, breach.variant.id)
    )
    if harmful:
        return replace(judged, status=Status.BREACHED, breaches=harmful)
    if obstacle := _obstacle(experiment, as_of, judged.mismatch_log_e, policy):
        return replace(judged, status=Status.BLOCKED, obstacle=obstacle)
    window = _wider_window(experiment, policy)
    if window and not _hold(experiment, as_of, holds, attribution_window_hours=window):
        return replace(judged, status=Status.WIDENING, window_hours=window)
    if any(result.units < policy.minimum_units for result in judged.results):
        return judged
    if not _runs_long_enough(experiment, as_of, policy):
        return replace(judged, too_soon=True)
    return _judge_evidence(judged, as_of, holds, policy)


def _judge_evidence(
    judged: Assessment, as_of: datetime, holds: tuple[Hold, ...], policy: ConversionsPolicy
) -> Assessment:
    """Give the status of an experiment that nothing forbids to judge."""
    experiment, results = judged.experiment, judged.results
    proven = _proven(judged)
    if (proven is None or proven.variant.id == experiment.winner) and _has_decayed(experiment, as_of, policy):
        present = replace(experiment, judged_from_epoch=experiment.allocation_epoch)
        since = tuple(_result(present, result.variant, policy.alpha) for result in results)
        best = max(
            (result for result in since if result.variant.id != experiment.winner),
            key=lambda result: (result.rate or 0.0, result.variant.id),
        )
        hold = _hold(experiment, as_of, holds, winner=None, active_variant=best.variant.id)
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
    hold = _hold(experiment, as_of, holds, winner=proven.variant.id)
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
    hold = _hold(experiment, as_of, holds, winner=keep.variant.id)
    return replace(
        judged, status=Status.HELD if hold else Status.NO_DIFFERENCE, keep=keep, hold=hold, days_left=None
    )
