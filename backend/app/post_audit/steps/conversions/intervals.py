"""Where rates, their ratio and their difference may lie: intervals that hold at every look at once."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from app.post_audit.steps.conversions.coin import Coin, ratio_between, ratio_points
from app.post_audit.steps.conversions.evidence import Bets, Floats, log_mean_exp

__all__ = ["difference_interval", "rate_interval", "rate_intervals", "ratio_interval"]

# Log odds ratios from a half percent to a factor of 55 on each side: dense enough that the loss against the best of
# them stays below half a unit of log e at every sample size.
_TILTS: Final = 32

# Halvings of an interval: to 10 digits.
_HALVINGS: Final = 36


def ratio_interval(  # noqa: PLR0913, PLR0917 - the four series of `compare`
    units_first: ArrayLike,
    converted_first: ArrayLike,
    units_second: ArrayLike,
    converted_second: ArrayLike,
    bets: Bets,
    alpha: float,
) -> tuple[float, float]:
    """Say where the ratio of the rates of two series of counts (blocks,) may lie (`coin.ratio_between`)."""
    points = ratio_points(bets.log_ratio_deviation)
    series = (units_first, converted_first, units_second, converted_second)
    return ratio_between(Coin.empty(points).after(points, *series), points, alpha)


def difference_interval(ratio: tuple[float, float], second_rate: tuple[float, float]) -> tuple[float, float]:
    """Say where the difference of two rates (first less second) may lie.

    It is p (r - 1); with `ratio` and `second_rate` each holding at alpha/2, this holds at alpha. Where the
    ratio changes over time, read both as averages.
    """
    (least, greatest), (low_rate, high_rate) = ratio, second_rate
    low = (least - 1) * (low_rate if least > 1 else high_rate)
    high = (greatest - 1) * (high_rate if greatest > 1 else low_rate) if math.isfinite(greatest) else 1.0
    return max(low, -1.0), min(high, 1.0)


def rate_interval(converted: int, units: int, alpha: float) -> tuple[float, float]:
    """Say where a rate may lie: the true one is inside at every look at once, with probability 1 - alpha."""
    low, high = rate_intervals([converted], [units], alpha)
    return float(low[0]), float(high[0])


def rate_intervals(converted: ArrayLike, units: ArrayLike, alpha: float) -> tuple[Floats, Floats]:
    """Give the lower and the upper ends of `rate_interval` for many pairs of counts (pairs,) together.

    For each of a fixed grid of log odds ratios b, exp(b k - n log(1 + p (e^b - 1))) is at most 1 on average
    where p is the mean of the units' rates: the logarithm is concave in p, so drift only lowers it. So this
    holds for the running mean of a rate that drifts (the sub-Bernoulli bound of S. Howard, A. Ramdas et al.,
    "Time-uniform Chernoff bounds via nonnegative supermartingales", Probability Surveys 17, 2020).
    """
    k, n = (np.asarray(counts, dtype=np.float64) for counts in (converted, units))
    observed = k / np.maximum(n, 1.0)
    limit = math.log(2 / alpha)
    tilts = np.geomspace(0.005, 4.0, _TILTS)[:, None]

    def edge(outside: Floats, signed: Floats) -> Floats:
        """Halve the way from what is excluded to what was seen; the grid of bets is the first axis."""
        inside, growth, gained = observed, np.expm1(signed), signed * k
        for _ in range(_HALVINGS):
            middle = (outside + inside) / 2
            excluded = log_mean_exp(gained - n * np.log1p(middle * growth)) >= limit
            outside, inside = np.where(excluded, middle, outside), np.where(excluded, inside, middle)
        return outside

    low = np.where(k == 0, 0.0, edge(np.zeros_like(k), tilts))
    high = np.where(k == n, 1.0, edge(np.ones_like(k), -tilts))
    return low, high
