"""What every measurement of the A/B engine shares: its seed, its traffic, and the bound of a share."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from app.post_audit.replay.conversions import proven_path
from app.post_audit.steps.conversions.evidence import Bets
from app.post_audit.steps.conversions.facts import Block, Counts
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = [
    "BETS",
    "CHUNK",
    "DAY",
    "POLICY",
    "SEED",
    "START",
    "UNITS",
    "Ints",
    "Row",
    "block",
    "flat",
    "paths",
    "upper",
]

Row = tuple[str, str, bool | None]
Ints = NDArray[np.int64]

SEED, UNITS, DAY = 20251109, 1_667, 12
POLICY = ConversionsPolicy()
BETS = Bets(
    log_ratio_deviation=POLICY.log_ratio_deviation,
    prior_rate=POLICY.prior_rate,
    prior_units=POLICY.prior_units,
)
START = datetime(2025, 10, 1, tzinfo=UTC)
CHUNK = 60_000


def upper(hits: int, runs: int) -> float:
    """The one-sided upper 95 % bound of a share (Clopper and Pearson's, by bisection)."""
    low, high = hits / runs, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        logs = [
            math.lgamma(runs + 1)
            - math.lgamma(k + 1)
            - math.lgamma(runs - k + 1)
            + k * math.log(middle)
            + (runs - k) * math.log1p(-middle)
            for k in range(hits + 1)
        ]
        low, high = (middle, high) if sum(map(math.exp, logs)) > 0.05 else (low, middle)
    return high


def paths(rates: NDArray[np.float64], units: Ints, runs: int, seed: int) -> Ints:
    """Which arm is proved after each look; rates and units have the shape (arms, looks)."""
    generator = np.random.default_rng(seed)
    size = max(1, CHUNK // units.shape[1])
    found = []
    for begin in range(0, runs, size):
        shape = (min(size, runs - begin), *units.shape)
        converted = generator.binomial(units, rates, shape)
        found.append(proven_path(np.broadcast_to(units, shape), converted, POLICY))
    return np.concatenate(found)


def flat(rates: tuple[float, ...], looks: int, units: int) -> tuple[NDArray[np.float64], Ints]:
    """Constant rates and sizes."""
    return np.repeat(np.array(rates)[:, None], looks, axis=1), np.full((len(rates), looks), units)


def block(look: int, counts: dict[str, tuple[int, int]]) -> Block:
    """Give {variant: (units, events)} as a block of the facts."""
    return Block(
        hour=START + timedelta(hours=2 * look),
        epoch=1,
        counts={name: Counts(units=n, converted=k, opt_outs=k) for name, (n, k) in counts.items()},
    )
