"""The conversion coin: given that somebody converted, which arm was it? Sums over blocks that can be gone on with.

With rate ratio r = e^x, a conversion of a block is one of the first arm with probability n1 r / (n1 r + n2). Only
arms of one block are compared, so drifting rates and changed allocations do no harm. The log likelihood of all
conversions is x k1 - sum over blocks of k log(n1 e^x + n2): for a fixed set of points x it is enough to keep one
sum each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from app.post_audit.steps.conversions.evidence import Floats, log_mean_exp, quantiles

__all__ = ["Coin", "lead", "lead_log_e", "lead_points", "ratio_between", "ratio_points"]

# Bets on one side, where only that side matters.
_LEAD_BETS: Final = 25

# Points at which an end of a ratio may lie, on each side of 1: 0.0005 apart there in log ratio, 2.4 % of their
# distance further out. An end is the next point outward, so this widens an interval and never narrows it.
_ENDS_A_SIDE: Final = 256
_FARTHEST: Final = 5.0
_FINEST: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coin:
    """The sums: conversions of the first arm, of both, and for each point the weighted log sizes."""

    first: float
    total: float
    sizes: Floats

    @classmethod
    def empty(cls, points: Floats) -> Coin:
        """Begin before the first block."""
        return cls(first=0.0, total=0.0, sizes=np.zeros_like(points))

    def after(
        self,
        points: Floats,
        units_first: ArrayLike,
        converted_first: ArrayLike,
        units_second: ArrayLike,
        converted_second: ArrayLike,
    ) -> Coin:
        """Go on with more blocks (blocks,); those that compare nothing are left out."""
        n_first, k_first, n_second, k_second = (
            np.asarray(counts, dtype=np.float64)
            for counts in (units_first, converted_first, units_second, converted_second)
        )
        usable = (n_first > 0) & (n_second > 0) & (k_first + k_second > 0)
        if not usable.any():
            return self
        n_first, k_first, n_second, k_second = (
            counts[usable] for counts in (n_first, k_first, n_second, k_second)
        )
        converted = k_first + k_second
        sizes = np.log(np.exp(points)[:, None] * n_first + n_second) @ converted
        return Coin(
            first=self.first + float(k_first.sum()),
            total=self.total + float(converted.sum()),
            sizes=self.sizes + sizes,
        )

    def likelihood(self, points: Floats) -> Floats:
        """Log likelihood at each point, up to a constant."""
        logs: Floats = points * self.first - self.sizes
        return logs


@lru_cache(maxsize=8)
def lead_points(expected: NormalDist) -> Floats:
    """Give the points of `lead`: 0, and the bets above it."""
    floor = expected.cdf(0.0)
    places = (np.arange(_LEAD_BETS) + 0.5) / _LEAD_BETS
    return np.array([0.0, *(expected.inv_cdf(floor + place * (1 - floor)) for place in places)])


def lead(coin: Coin, points: Floats) -> float:
    """Weigh the one-sided evidence that the first arm's rate is the greater one; log e-value.

    A bet on r > 1 multiplies its capital by the likelihood ratio of each conversion against r = 1. For
    Bernoulli outcomes the mean of that is at most 1 wherever the first arm's average rate is not the greater
    one, whatever the rates are and however they drift, because log(1 + x) <= x.
    """
    logs = coin.likelihood(points)
    return float(log_mean_exp(logs[1:]) - logs[0])


def lead_log_e(
    units_first: ArrayLike,
    converted_first: ArrayLike,
    units_second: ArrayLike,
    converted_second: ArrayLike,
    expected: NormalDist,
) -> float:
    """Weigh four series of counts (blocks,) as `lead` does; `expected` is what log r is bet to be, above 0."""
    points = lead_points(expected)
    series = (units_first, converted_first, units_second, converted_second)
    return lead(Coin.empty(points).after(points, *series), points)


@lru_cache(maxsize=8)
def ratio_points(deviation: float) -> Floats:
    """Give the points of `ratio_between`: the possible ends, in order, then the bets of the mixture."""
    side = _FINEST * np.sinh(np.linspace(0.0, math.asinh(_FARTHEST / _FINEST), _ENDS_A_SIDE + 1))
    mixed = quantiles(deviation)
    return np.concatenate([-side[:0:-1], side, mixed, -mixed])


def ratio_between(coin: Coin, points: Floats, alpha: float) -> tuple[float, float]:
    """Say where the ratio of two rates (first by second) may lie, at every look at once.

    A ratio stays inside while the data are less than 1/alpha times as likely under the normal mixture of
    ratios. An end beyond a factor of 148 is told as open: 0, or infinity.
    """
    if coin.total == 0:
        return 0.0, math.inf
    logs = coin.likelihood(points)
    ends = 2 * _ENDS_A_SIDE + 1
    limit = float(log_mean_exp(logs[ends:])) + math.log(alpha)
    # The likelihood is concave: what is inside lies together, around the greatest.
    inside = np.flatnonzero(logs[:ends] > limit)
    greatest = int(logs[:ends].argmax())
    below = min(int(inside[0]) if len(inside) else greatest, greatest) - 1
    above = max(int(inside[-1]) if len(inside) else greatest, greatest) + 1
    low = 0.0 if coin.first == 0 or below < 0 else math.exp(points[below])
    high = math.inf if coin.first == coin.total or above >= ends else math.exp(points[above])
    return low, high
