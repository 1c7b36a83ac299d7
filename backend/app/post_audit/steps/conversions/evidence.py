"""How strong the evidence is that two conversion rates differ, valid however often one looks.

Source: R. Turner, A. Ly, P. Grünwald, "Generic e-variables for exact sequential k-sample tests", Journal of
Statistical Planning and Inference 230 (2024) 106116; the stratified form is arXiv 2302.11401.

The data come in blocks, in each of which both arms ran side by side. Before a block is opened, bets are
laid on the log rate ratio (a normal mixture around "no difference") around the base rate that earlier
blocks showed. The block multiplies each bet's capital by likelihood(bet) / likelihood(null), where the null
rate is the bet's own average weighted by the arms' sizes. If both arms have one rate, whatever it is and
however it drifts from block to block, no factor exceeds 1 on average. So the mean capital, the e-value,
reaches 1/alpha at most with probability alpha, ever; and because only arms of one block are compared,
neither drifting rates nor a changed allocation can fake a lead.

What that asks of the caller: a block's sizes must not hang on its outcomes, and blocks come in time order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Bets",
    "Comparison",
    "Floats",
    "Path",
    "compare",
    "difference_interval",
    "evidence_path",
    "lead_log_e",
    "rate_interval",
    "rate_intervals",
    "ratio_interval",
]

Floats = NDArray[np.float64]

# Bets on each side of "no difference". They sit at the quantiles of the normal, so they are densest around
# zero, where large samples need them: 50 a side lie 0.005 apart there, the resolution of about 300,000
# conversions.
_BETS_A_SIDE: Final = 50

# Bets on one side, where only that side matters.
_LEAD_BETS: Final = 25

# Log odds ratios from a half percent to a factor of 55 on each side: dense enough that the loss against the best of
# them stays below half a unit of log e at every sample size.
_TILTS: Final = 32

# Halvings of an interval: to 10 digits.
_HALVINGS: Final = 36

# No log rate ratio lies beyond: e^25 is more than any number of suppliers.
_FARTHEST: Final = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bets:
    """What is bet on before any data.

    The standard deviation of the log rate ratio, and the base rate (0 to 1) with its weight in units.
    """

    log_ratio_deviation: float
    prior_rate: float
    prior_units: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Evidence after each block, in the shape of the counts.

    `log_e` is the log e-value against "equal"; `lean` is above zero where it speaks for the first arm and
    below where it speaks for the second.
    """

    log_e: Floats
    lean: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Evidence after the last block: the log e-value, and whom it favours.

    `favours` is 1 for the first arm, -1 for the second, 0 for neither.
    """

    log_e: float
    favours: int


def _log_mean_exp(logarithms: Floats) -> Floats:
    """Take the log of the mean of exponentials over the first axis, without overflow."""
    peak = logarithms.max(axis=0)
    mean: Floats = peak + np.log(np.exp(logarithms - peak).mean(axis=0))
    return mean


def _quantiles(deviation: float) -> Floats:
    """Give the bets on one side: evenly weighted quantiles of the upper half of a normal around 0."""
    normal = NormalDist(0.0, deviation)
    return np.array([normal.inv_cdf(0.5 + (bet + 0.5) / (2 * _BETS_A_SIDE)) for bet in range(_BETS_A_SIDE)])


def _before(counts: Floats) -> Floats:
    """Total the last axis up to each block leaving out the block itself."""
    totals: Floats = np.cumsum(counts, axis=-1) - counts
    return totals


def evidence_path(
    units_first: ArrayLike,
    converted_first: ArrayLike,
    units_second: ArrayLike,
    converted_second: ArrayLike,
    bets: Bets,
) -> Path:
    """Follow the evidence block by block.

    Counts have one shape (..., blocks), blocks in time order; leading axes are independent repetitions. A
    block in which one arm is empty compares nothing and changes nothing, not even the base rate.
    """
    n_first, k_first, n_second, k_second = (
        np.asarray(counts, dtype=np.float64)
        for counts in (units_first, converted_first, units_second, converted_second)
    )
    usable = (n_first > 0) & (n_second > 0)
    n_first, k_first, n_second, k_second = (
        np.where(usable, counts, 0.0) for counts in (n_first, k_first, n_second, k_second)
    )
    units = n_first + n_second
    base = (bets.prior_rate * bets.prior_units + _before(k_first + k_second)) / (
        bets.prior_units + _before(units)
    )
    share_first = n_first / np.maximum(units, 1.0)
    share_second = np.where(usable, 1.0 - share_first, 1.0)

    lift = np.exp(_quantiles(bets.log_ratio_deviation) / 2).reshape((-1,) + (1,) * base.ndim)
    # A bet never goes further than halfway from the base rate to certainty, so that every logarithm exists.
    ceiling = (1.0 + base) / 2

    def capital(up: Floats, down: Floats) -> Floats:
        """Log capital after each block of the bets that the rates stand `up` to `down` around `base`."""
        scale = base / (share_first * up + share_second * down)
        first = np.minimum(scale * up, ceiling)
        second = np.minimum(scale * down, ceiling)
        null = share_first * first + share_second * second
        gained = (
            k_first * np.log(first / null)
            + (n_first - k_first) * np.log((1 - first) / (1 - null))
            + k_second * np.log(second / null)
            + (n_second - k_second) * np.log((1 - second) / (1 - null))
        )
        return _log_mean_exp(np.cumsum(np.where(usable, gained, 0.0), axis=-1))

    for_first = capital(lift, 1 / lift)
    for_second = capital(1 / lift, lift)
    return Path(log_e=np.logaddexp(for_first, for_second) - math.log(2), lean=for_first - for_second)


def compare(
    units_first: ArrayLike,
    converted_first: ArrayLike,
    units_second: ArrayLike,
    converted_second: ArrayLike,
    bets: Bets,
) -> Comparison:
    """Weigh the evidence after the last block of two series of counts (blocks,); none without blocks."""
    first, second = np.asarray(units_first), np.asarray(units_second)
    usable = (first > 0) & (second > 0)
    if not usable.any():
        return Comparison(log_e=0.0, favours=0)
    # Left out, not only set to zero, so that the last bit does not hang on them either.
    path = evidence_path(
        first[usable],
        np.asarray(converted_first)[usable],
        second[usable],
        np.asarray(converted_second)[usable],
        bets,
    )
    return Comparison(log_e=float(path.log_e[-1]), favours=int(np.sign(path.lean[-1])))


def _coin(
    units_first: ArrayLike, converted_first: ArrayLike, units_second: ArrayLike, converted_second: ArrayLike
) -> tuple[Floats, Floats, Floats, float]:
    """Keep the blocks that compare something: their sizes, their conversions, and those of the first arm."""
    n_first, k_first, n_second, k_second = (
        np.asarray(counts, dtype=np.float64)
        for counts in (units_first, converted_first, units_second, converted_second)
    )
    usable = (n_first > 0) & (n_second > 0) & (k_first + k_second > 0)
    return (
        n_first[usable],
        n_second[usable],
        (k_first + k_second)[usable],
        float(k_first[usable].sum()),
    )


def _coin_likelihood(
    log_ratio: Floats, n_first: Floats, n_second: Floats, converted: Floats, for_first: float
) -> Floats:
    """Log likelihood, up to a constant, of whose conversions they were, for each log rate ratio given."""
    sizes = np.exp(log_ratio)[:, None] * n_first + n_second
    likelihood: Floats = log_ratio * for_first - np.log(sizes) @ converted
    return likelihood


def lead_log_e(
    units_first: ArrayLike,
    converted_first: ArrayLike,
    units_second: ArrayLike,
    converted_second: ArrayLike,
    expected: NormalDist,
) -> float:
    """Weigh the one-sided evidence that the first arm's rate is the greater one; log e-value.

    The "conversion coin": given that somebody converted, it was one of the first arm with probability
    n1 r / (n1 r + n2), where r is the rate ratio. A bet on r > 1 multiplies its capital by the likelihood
    ratio of each conversion against r = 1. For Bernoulli outcomes the mean of that is at most 1 wherever the
    first arm's average rate is not the greater one, whatever the rates are and however they drift, because
    log(1 + x) <= x. `expected` is what log r is bet to be; bets at or below 0 are not laid.
    """
    n_first, n_second, converted, for_first = _coin(
        units_first, converted_first, units_second, converted_second
    )
    floor = expected.cdf(0.0)
    places = (np.arange(_LEAD_BETS) + 0.5) / _LEAD_BETS
    bets = np.array([expected.inv_cdf(floor + place * (1 - floor)) for place in places])
    against = _coin_likelihood(np.zeros(1), n_first, n_second, converted, for_first)
    return float(_log_mean_exp(_coin_likelihood(bets, n_first, n_second, converted, for_first) - against))


def ratio_interval(  # noqa: PLR0913, PLR0917 - the four series of `compare`
    units_first: ArrayLike,
    converted_first: ArrayLike,
    units_second: ArrayLike,
    converted_second: ArrayLike,
    bets: Bets,
    alpha: float,
) -> tuple[float, float]:
    """Say where the ratio of two rates (first by second) may lie, at every look at once.

    The coin of `lead_log_e`, inverted: a ratio stays inside while the data are less than 1/alpha times as
    likely under the normal mixture of ratios. Only arms of one block are compared, so drifting rates and
    changed allocations do no harm. The upper end is infinite where the second arm has no conversion.
    """
    n_first, n_second, converted, for_first = _coin(
        units_first, converted_first, units_second, converted_second
    )
    total = float(converted.sum())
    if total == 0:
        return 0.0, math.inf
    mixed = _quantiles(bets.log_ratio_deviation)
    mixture = _log_mean_exp(
        _coin_likelihood(np.concatenate([mixed, -mixed]), n_first, n_second, converted, for_first)
    )
    limit = float(mixture) + math.log(alpha)

    def share(log_ratio: float) -> float:
        weighted = math.exp(log_ratio) * n_first
        return float((weighted / (weighted + n_second)) @ converted)

    def excluded(log_ratio: float) -> bool:
        point = np.array([log_ratio])
        return float(_coin_likelihood(point, n_first, n_second, converted, for_first)[0]) <= limit

    # The likelihood is concave in the log ratio; its peak is where the coin's expected share is the seen one.
    peak = _halve(-_FARTHEST, _FARTHEST, lambda point: share(point) < for_first)
    low = 0.0 if for_first == 0 else math.exp(_halve(-_FARTHEST, peak, excluded))
    high = math.inf if for_first == total else math.exp(_halve(_FARTHEST, peak, excluded))
    return low, high


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
            excluded = _log_mean_exp(gained - n * np.log1p(middle * growth)) >= limit
            outside, inside = np.where(excluded, middle, outside), np.where(excluded, inside, middle)
        return outside

    low = np.where(k == 0, 0.0, edge(np.zeros_like(k), tilts))
    high = np.where(k == n, 1.0, edge(np.ones_like(k), -tilts))
    return low, high


def _halve(outside: float, inside: float, excluded: Callable[[float], bool]) -> float:
    """Find the edge between what is excluded and what is not, from the outside."""
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        if excluded(middle):
            outside = middle
        else:
            inside = middle
    return outside
