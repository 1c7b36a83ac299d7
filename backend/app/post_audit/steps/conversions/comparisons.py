"""The results of an experiment's variants, and every variant compared with every other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from itertools import combinations

from app.post_audit.steps.conversions.assessment import Assessment, Effect, VariantResult
from app.post_audit.steps.conversions.coin import ratio_between, ratio_points
from app.post_audit.steps.conversions.facts import Block, Experiment, Variant
from app.post_audit.steps.conversions.intervals import difference_interval, rate_interval
from app.post_audit.steps.conversions.ledger import Ledger
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["Series", "effects_of", "judged_blocks", "lead_of", "result_of", "series_of", "strength"]

Series = Mapping[str, tuple[list[int], list[int]]]
"""Units and conversions of each variant, block by block."""


def judged_blocks(experiment: Experiment) -> list[Block]:
    """Leave out what came before a reverted winner."""
    return [block for block in experiment.blocks if block.epoch >= experiment.judged_from_epoch]


def result_of(
    experiment: Experiment, variant: Variant, alpha: float, past: Ledger, *, since_epoch: int = 0
) -> VariantResult:
    """Add up one variant over the blocks that are told and those that the ledger `past` remembers."""
    counts = [
        block.counts[variant.id]
        for block in judged_blocks(experiment)
        if variant.id in block.counts and block.epoch >= since_epoch
    ]
    former = past.total(variant.id, since_epoch=since_epoch)
    units = former.units + sum(count.units for count in counts)
    converted = former.converted + sum(count.converted for count in counts)
    return VariantResult(
        variant=variant,
        units=units,
        converted=converted,
        immature=experiment.immature.get(variant.id, 0),
        interval=rate_interval(converted, units, alpha),
    )


def series_of(experiment: Experiment, as_of: datetime) -> Series:
    """Give the series of every variant over its closed blocks."""
    blocks = experiment.closed_blocks(as_of)
    series: dict[str, tuple[list[int], list[int]]] = {}
    for variant in experiment.variants:
        counts = [block.counts.get(variant.id) for block in blocks]
        series[variant.id] = (
            [count.units if count else 0 for count in counts],
            [count.converted if count else 0 for count in counts],
        )
    return series


def effects_of(experiment: Experiment, ledger: Ledger, policy: ConversionsPolicy) -> tuple[Effect, ...]:
    """Say for each pair who is ahead and how far they may differ, all pairs together at alpha."""
    pairs = list(combinations([variant.id for variant in experiment.variants], 2))
    alpha = policy.alpha / len(pairs)
    return tuple(_effect(first, second, ledger, alpha, policy) for first, second in pairs)


def _effect(first: str, second: str, ledger: Ledger, alpha: float, policy: ConversionsPolicy) -> Effect:
    ordered = (first, second) if first < second else (second, first)
    pair = ledger.pairs.get(ordered)
    if pair is None:
        nothing = (0.0, math.inf)
        return Effect(
            first=first, second=second, log_e=0.0, favours=None, ratio=nothing, difference=(-1.0, 1.0)
        )
    points = ratio_points(policy.log_ratio_deviation)
    ratio, half = (ratio_between(pair.coin, points, level) for level in (alpha, alpha / 2))
    if ordered != (first, second):
        ratio, half = _inverse(ratio), _inverse(half)
    comparison = pair.capital.comparison()
    rate = ledger.total(second)
    return Effect(
        first=first,
        second=second,
        log_e=comparison.log_e,
        favours={1: ordered[0], -1: ordered[1], 0: None}[comparison.favours],
        ratio=ratio,
        difference=difference_interval(half, rate_interval(rate.converted, rate.units, alpha / 2)),
    )


def _inverse(ratio: tuple[float, float]) -> tuple[float, float]:
    low, high = ratio
    return 1 / high, 1 / low if low else math.inf


def strength(assessment: Assessment, result: VariantResult, other: VariantResult) -> float:
    """Give the evidence for `result` against `other`; none where it speaks for the other."""
    effect = _between(assessment, result, other)
    return effect.log_e if effect.favours == result.variant.id else -math.inf


def lead_of(assessment: Assessment, leader: VariantResult, rival: VariantResult) -> float:
    """Give the log e-value of the leader's lead; never above 0 where the evidence speaks for the rival."""
    effect = _between(assessment, leader, rival)
    return effect.log_e if effect.favours == leader.variant.id else min(0.0, effect.log_e)


def _between(assessment: Assessment, result: VariantResult, other: VariantResult) -> Effect:
    pair = {result.variant.id, other.variant.id}
    return next(effect for effect in assessment.effects if {effect.first, effect.second} == pair)
