"""The counts of an experiment as series of blocks, and every variant compared with every other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from itertools import combinations

from app.post_audit.steps.conversions.assessment import Assessment, Effect, VariantResult
from app.post_audit.steps.conversions.evidence import (
    Bets,
    Comparison,
    compare,
    difference_interval,
    rate_interval,
    ratio_interval,
)
from app.post_audit.steps.conversions.facts import Block, Experiment, Variant
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = [
    "Series",
    "bets_of",
    "compare_all",
    "effects_of",
    "judged_blocks",
    "result_of",
    "series_of",
    "strength",
]


def judged_blocks(experiment: Experiment) -> list[Block]:
    """Leave out what came before a reverted winner."""
    return [block for block in experiment.blocks if block.epoch >= experiment.judged_from_epoch]


def result_of(experiment: Experiment, variant: Variant, alpha: float) -> VariantResult:
    """Add up one variant over all blocks."""
    counts = [block.counts[variant.id] for block in judged_blocks(experiment) if variant.id in block.counts]
    units = sum(count.units for count in counts)
    converted = sum(count.converted for count in counts)
    return VariantResult(
        variant=variant,
        units=units,
        converted=converted,
        immature=experiment.immature.get(variant.id, 0),
        interval=rate_interval(converted, units, alpha),
    )


def bets_of(policy: ConversionsPolicy) -> Bets:
    """Lay the policy's bets."""
    return Bets(
        log_ratio_deviation=policy.log_ratio_deviation,
        prior_rate=policy.prior_rate,
        prior_units=policy.prior_units,
    )


Series = Mapping[str, tuple[list[int], list[int]]]


def series_of(experiment: Experiment, as_of: datetime) -> Series:
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


def compare_all(series: Series, policy: ConversionsPolicy) -> Mapping[tuple[str, str], Comparison]:
    """Compare every variant with every other one, in both directions."""
    bets = bets_of(policy)
    found: dict[tuple[str, str], Comparison] = {}
    for first, second in combinations(sorted(series), 2):
        forward = compare(*series[first], *series[second], bets)
        found[first, second] = forward
        found[second, first] = Comparison(log_e=forward.log_e, favours=-forward.favours)
    return found


def effects_of(
    series: Series, found: Mapping[tuple[str, str], Comparison], policy: ConversionsPolicy
) -> tuple[Effect, ...]:
    """Say how far each pair may differ, all pairs together at alpha."""
    bets = bets_of(policy)
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


def strength(assessment: Assessment, result: VariantResult, other: VariantResult) -> float:
    """Give the evidence for `result` against `other`; none where it speaks for the other."""
    pair = {result.variant.id, other.variant.id}
    effect = next(effect for effect in assessment.effects if {effect.first, effect.second} == pair)
    return effect.log_e if effect.favours == result.variant.id else -math.inf
