"""Rules that others decide A/B tests by, written from their papers, to stand beside ours in the same run.

All take sums of conversions by look, of the shape (runs, 2, looks), and the units sent to each arm by look, of
the shape (looks,), and say at which looks the arms are told apart, of the shape (runs, looks).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["TUNED_FOR", "always_valid_lift", "mixture_test", "peeked_z", "rate_of_the_last_look"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Decided = NDArray[np.bool_]

TUNED_FOR = 5_000
"""Units in all at which GrowthBook's interval is narrowest, as it comes."""

LEAST = 100
"""Units of each arm before anything is decided, as in our policy."""


def _rates(sums: Ints, sent: Ints) -> tuple[Floats, Floats]:
    rates = sums / sent
    return rates[:, 0], rates[:, 1]


def peeked_z(sums: Ints, sent: Ints, *, critical: float = 1.96) -> Decided:
    """The z-test of two proportions at 5 %, asked again at every look as if it were the only one."""
    first, second = _rates(sums, sent)
    pooled = (first + second) / 2
    spread = np.sqrt(2 * pooled * (1 - pooled) / sent)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(spread > 0, np.abs(first - second) / spread, 0.0)
    decided: Decided = (z >= critical) & (sent >= LEAST)
    return decided


def always_valid_lift(sums: Ints, sent: Ints, *, alpha: float = 0.05, tuned_for: int = TUNED_FOR) -> Decided:
    """The sequential interval of GrowthBook: zero lies outside of the interval of the relative lift.

    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
    sequences" (arXiv 2103.06476): the half width is
    sigma * sqrt(2 (n rho^2 + 1) / (n rho)^2 * log(sqrt(n rho^2 + 1) / alpha)) with
    rho = sqrt((-2 log alpha + log(1 - 2 log alpha)) / N) for the N where it is to be narrowest. The variance of the
    lift is that of the delta method.
    """
    first, second = _rates(sums, sent)
    n = 2.0 * sent
    rho_squared = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / tuned_for
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = second / first - 1
        variance = second * (1 - second) / (sent * first**2) + first * (1 - first) * second**2 / (
            sent * first**4
        )
        factor = (
            2 * (n * rho_squared + 1) / (n**2 * rho_squared) * np.log(np.sqrt(n * rho_squared + 1) / alpha)
        )
        outside = np.abs(lift) > np.sqrt(n * variance * factor)
    decided: Decided = outside & (first > 0) & (second > 0) & (sent >= LEAST)
    return decided


def mixture_test(sums: Ints, sent: Ints, *, alpha: float = 0.05, deviation: float = 0.004) -> Decided:
    """The mixture sequential probability ratio test: its likelihood ratio reaches 1 / alpha.

    Johari, Koomen, Pekelis, Walsh, "Peeking at A/B tests" (KDD 2017), for two proportions by their normal limit, with a
    normal mixture of the difference. A deviation of .004 is its best for the rates that are measured here.
    """
    first, second = _rates(sums, sent)
    variance = (first * (1 - first) + second * (1 - second)) / sent
    mixed = deviation**2
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = 0.5 * np.log(variance / (variance + mixed)) + mixed * (first - second) ** 2 / (
            2 * variance * (variance + mixed)
        )
    decided: Decided = (log_ratio >= math.log(1 / alpha)) & (variance > 0) & (sent >= LEAST)
    return decided


def rate_of_the_last_look(sums: Ints) -> NDArray[np.int64]:
    """The usual rule: the arm with the higher rate since the look before is the active one, of the shape (runs, looks).

    The first arm is active where both are alike.
    """
    since = np.diff(sums, axis=2, prepend=0)
    active: NDArray[np.int64] = (since[:, 1] > since[:, 0]).astype(np.int64)
    return active
