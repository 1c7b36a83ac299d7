"""What forbids believing an experiment, and what ends an arm or a winner: three sequential tests.

Each gives a log e-value: where nothing is wrong it reaches log(1/alpha) at any look, ever, with probability
alpha at most (Ville's inequality).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from statistics import NormalDist
from typing import Final

from app.post_audit.steps.conversions.coin import lead_log_e
from app.post_audit.steps.conversions.facts import ALL_BASIS_POINTS, Block, Counts

__all__ = [
    "HARMS",
    "HARM_EXPECTED",
    "WEEK",
    "decay_log_e",
    "got_and_due",
    "harm_log_e",
    "mismatch_log_e",
    "weigh_weeks",
]

HARMS: Final = {"opt_outs": "opt-outs", "failed": "failed sends"}
"""What a message may do harm by, and how it is called."""

_NONE: Final = Counts(units=0, converted=0)

_TILT: Final = 0.04
"""The relative change of one arm's share that is bet on: 52 for 50 %, the least that does harm."""

_TILTED: Final = 0.9
"""What of the capital lies on such changes; the rest lies on a Dirichlet mixture of all shares."""

_CONCENTRATION: Final = 50.0
_LEAST_SHARE: Final = 1e-4
"""A variant that should get nobody may still get one in ten thousand, late ones of a former allocation."""

HARM_EXPECTED: Final = NormalDist(math.log(2), 0.3)
"""What a harmful message is bet to do: twice the opt-outs, give or take a third."""

WEEK: Final = timedelta(days=7)


def _mean(parts: Sequence[tuple[float, float]]) -> float:
    """Log of the mean of capitals, each given as weight and log."""
    peak = max(logarithm for _, logarithm in parts)
    return peak + math.log(sum(weight * math.exp(logarithm - peak) for weight, logarithm in parts))


def _epoch_mismatch(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Weigh one epoch: the counts of the arms against the shares they were to have (they sum to 1)."""
    units, arms = sum(counts), len(counts)
    parts: list[tuple[float, float]] = []
    bets = [(arm, tilt) for arm in range(arms) for tilt in (_TILT, -_TILT)]
    for arm, tilt in bets:
        share = min(shares[arm] * (1 + tilt), (1 + shares[arm]) / 2)
        rest = (1 - share) / (1 - shares[arm])
        log_e = counts[arm] * math.log(share / shares[arm]) + (units - counts[arm]) * math.log(rest)
        parts.append((_TILTED / len(bets), log_e))
    broad = math.lgamma(_CONCENTRATION) - math.lgamma(_CONCENTRATION + units)
    for number, share in zip(counts, shares, strict=True):
        weight = _CONCENTRATION * share
        broad += math.lgamma(weight + number) - math.lgamma(weight) - number * math.log(share)
    return _mean([*parts, (1 - _TILTED, broad)])


def mismatch_log_e(
    assigned: Mapping[int, Mapping[str, int]],
    allocations: Mapping[int, Mapping[str, int]],
    variants: Sequence[str],
) -> float:
    """Weigh the evidence that suppliers were not shared as they should have been; log e-value.

    M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022), with bets that
    are densest where a mismatch is small. Epochs multiply; an epoch without known shares says nothing.
    """
    total = 0.0
    for epoch, counts in assigned.items():
        wanted = allocations.get(epoch)
        if wanted is None:
            continue
        shares = [max(wanted.get(variant, 0) / ALL_BASIS_POINTS, _LEAST_SHARE) for variant in variants]
        whole = sum(shares)
        numbers = [counts.get(variant, 0) for variant in variants]
        if sum(numbers) and len(variants) > 1:
            total += _epoch_mismatch(numbers, [share / whole for share in shares])
    return total


def got_and_due(
    assigned: Mapping[int, Mapping[str, int]],
    allocations: Mapping[int, Mapping[str, int]],
    variants: Sequence[str],
) -> dict[str, tuple[int, float]]:
    """Count how many suppliers each variant got, and how many it should have got, in epochs with known shares."""
    told = dict.fromkeys(variants, (0, 0.0))
    for epoch, counts in assigned.items():
        wanted = allocations.get(epoch)
        if wanted is None:
            continue
        everybody = sum(counts.values())
        for variant, (got, due) in told.items():
            share = wanted.get(variant, 0) / ALL_BASIS_POINTS
            told[variant] = got + counts.get(variant, 0), due + everybody * share
    return told


def _columns(blocks: Sequence[Block], variant: str, what: str) -> tuple[list[int], list[int]]:
    counts = [block.counts.get(variant, _NONE) for block in blocks]
    return [count.units for count in counts], [getattr(count, what) for count in counts]


def _rest(
    blocks: Sequence[Block], variant: str, variants: Sequence[str], what: str
) -> tuple[list[int], list[int]]:
    """Add up all other variants, block by block."""
    others = [_columns(blocks, other, what) for other in variants if other != variant]
    return (
        [sum(numbers) for numbers in zip(*(units for units, _ in others), strict=True)],
        [sum(numbers) for numbers in zip(*(events for _, events in others), strict=True)],
    )


def harm_log_e(blocks: Sequence[Block], variant: str, variants: Sequence[str], what: str) -> float:
    """Weigh the evidence that a variant has more of `what` (opt_outs, failed) than all others together.

    One-sided; to be compared with log(number of variants / alpha), since each of them is tested.
    """
    units, events = _columns(blocks, variant, what)
    other_units, other_events = _rest(blocks, variant, variants, what)
    return lead_log_e(units, events, other_units, other_events, HARM_EXPECTED)


def decay_log_e(blocks: Sequence[Block], winner: str, variants: Sequence[str], deviation: float) -> float:
    """Weigh the evidence that the winner fell behind those who kept the holdout; log e-value.

    `blocks` are those since the switch, oldest first. A winner may decay after a good month, which would have
    to be lost first; so a share 1/(j (j + 1)) of the capital starts to bet only with week j. The shares sum
    to less than 1, so the guarantee stays.
    """
    if not blocks:
        return 0.0
    expected = NormalDist(0.0, deviation)
    first, last = blocks[0].hour, blocks[-1].hour
    weeks: list[float] = []
    for week in range((last - first) // WEEK + 1):
        since = [block for block in blocks if block.hour >= first + week * WEEK]
        units, converted = _columns(since, winner, "converted")
        other_units, other_converted = _rest(since, winner, variants, "converted")
        weeks.append(lead_log_e(other_units, other_converted, units, converted, expected))
    return weigh_weeks(weeks)


def weigh_weeks(logs: Sequence[float]) -> float:
    """Put the capital together that begins to bet with each week: 1/(j (j + 1)) of it with week j."""
    parts = [(1 / ((week + 1) * (week + 2)), log_e) for week, log_e in enumerate(logs)]
    unspent = 1 - sum(weight for weight, _ in parts)
    return _mean([*parts, (unspent, 0.0)])
