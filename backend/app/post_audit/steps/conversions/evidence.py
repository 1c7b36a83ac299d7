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
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Bets", "Comparison", "Floats", "Path", "compare", "evidence_path", "rate_interval"]

Floats = NDArray[np.float64]

# Bets on each side of "no difference". They sit at the quantiles of the normal, so they are densest around
# zero, where large samples need them: 50 a side lie 0.005 apart there, the resolution of about 300,000
# conversions.
_BETS_A_SIDE: Final = 50

# Halvings of an interval shorter than 1: beyond the 53 bits of a float nothing moves.
_HALVINGS: Final = 60


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

    normal = NormalDist(0.0, bets.log_ratio_deviation)
    side = np.array([normal.inv_cdf(0.5 + (bet + 0.5) / (2 * _BETS_A_SIDE)) for bet in range(_BETS_A_SIDE)])
    lift = np.exp(side / 2).reshape((-1,) + (1,) * base.ndim)
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


def rate_interval(converted: int, units: int, alpha: float) -> tuple[float, float]:
    """Say where a rate may lie: the true one is inside at every look at once, with probability 1 - alpha.

    H. Robbins' mixture (1970): a rate stays inside while the data are less than 1/alpha times as likely under
    a uniform mixture of all rates. Holds for one constant rate; where it drifts, read it as the average's.
    """
    if units == 0:
        return 0.0, 1.0
    missed = units - converted
    log_mixture = math.lgamma(converted + 1) + math.lgamma(missed + 1) - math.lgamma(units + 2)
    limit = -math.log(alpha)

    def excluded(rate: float) -> bool:
        return log_mixture - converted * math.log(rate) - missed * math.log1p(-rate) >= limit

    def edge(outside: float, inside: float) -> float:
        for _ in range(_HALVINGS):
            middle = (outside + inside) / 2
            if excluded(middle):
                outside = middle
            else:
                inside = middle
        return outside

    observed = converted / units
    low = 0.0 if converted == 0 else edge(0.0, observed)
    high = 1.0 if missed == 0 else edge(1.0, observed)
    return low, high
