"""The A/B engine over invented traffic: how often, how soon and how rightly it decides.

Uses the functions of the step and none of its own, so what is measured here is what runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.post_audit.errors import InputError
from app.post_audit.ports import JSON
from app.post_audit.replay.conversions import proven_path
from app.post_audit.replay.units import LEAST_VARIANTS, MOST_VARIANTS
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["Traffic", "first_looks", "simulate"]

_CELLS_AT_ONCE: Final = 60_000
"""Runs × looks that are simulated together: 24 MB for each array of bets."""
_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Invented traffic: the true rate of each arm, and how many units each of them gets between two looks."""

    rates: tuple[float, ...]
    units_a_look: int
    looks: int

    def __post_init__(self) -> None:
        """Refuse what is no experiment."""
        if not LEAST_VARIANTS <= len(self.rates) <= MOST_VARIANTS:
            raise InputError(
                f"{len(self.rates)} rates were given.", cure=f"Give {LEAST_VARIANTS} to {MOST_VARIANTS}."
            )
        if not all(0 <= rate <= 1 for rate in self.rates) or self.units_a_look < 1 or self.looks < 1:
            raise InputError("A rate lies between 0 and 1; units and looks are at least 1.")


def first_looks(path: _Ints) -> _Floats:
    """Give the number of the first look at which some arm is proved; infinity where none ever is."""
    decided = path >= 0
    return np.where(decided.any(axis=1), decided.argmax(axis=1) + 1.0, np.inf)


def _chunks(runs: int, looks: int) -> Iterable[int]:
    size = max(1, _CELLS_AT_ONCE // looks)
    return (min(size, runs - begin) for begin in range(0, runs, size))


def _flips(path: _Ints) -> _Ints:
    """Count, run by run, how often another arm is proved than the one before."""
    flips = np.zeros(len(path), dtype=np.int64)
    for place, row in enumerate(path):
        proved = row[row >= 0]
        flips[place] = int((np.diff(proved) != 0).sum())
    return flips


def _upper_bound(hits: int, runs: int) -> float:
    """Give the upper 95 % bound of a share (Wilson's, one-sided): what the share may be, seeing so many."""
    z, share = 1.645, hits / runs
    centre = share + z * z / (2 * runs)
    spread = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    return (centre + spread) / (1 + z * z / runs)


def simulate(traffic: Traffic, policy: ConversionsPolicy, *, runs: int, seed: int) -> dict[str, JSON]:
    """Run experiments of invented traffic and tell how often, how soon and how rightly they are decided.

    `lost_conversions` compares with sending the best arm from the start, the winner getting all but the
    holdout once it is proved. A switch is false where another arm is as good or better.
    """
    if runs < 1:
        raise InputError("At least one run is needed.")
    generator = np.random.default_rng(seed)
    rates = np.array(traffic.rates)
    winners: list[_Ints] = []
    looks: list[_Floats] = []
    flips: list[_Ints] = []
    for size in _chunks(runs, traffic.looks):
        shape = (size, len(rates), traffic.looks)
        converted = generator.binomial(traffic.units_a_look, rates[:, None], shape)
        path = proven_path(np.full(shape, traffic.units_a_look), converted, policy)
        first = first_looks(path)
        at = np.minimum(first, traffic.looks).astype(np.int64) - 1
        winners.append(np.where(np.isfinite(first), path[np.arange(size), at], -1))
        looks.append(first)
        flips.append(_flips(path))
    winner, look = np.concatenate(winners), np.concatenate(looks)
    best = rates.max()
    sole = int((rates == best).sum()) == 1
    right = (winner >= 0) & sole & (rates[winner] == best)
    false = (winner >= 0) & ~right
    decided = np.minimum(look, traffic.looks)
    holdout = policy.holdout_basis_points / 10_000
    others = (rates.sum() - rates[winner]) / (len(rates) - 1)
    after = np.where(winner >= 0, best - (1 - holdout) * rates[winner] - holdout * others, 0.0)
    a_look = traffic.units_a_look * len(rates)
    lost = a_look * (decided * (best - rates.mean()) + (traffic.looks - decided) * after)
    median = float(np.median(look))
    return {
        "runs": runs,
        "seed": seed,
        "rates": list(traffic.rates),
        "false_switches": float(false.mean()),
        "false_switches_upper_95": _upper_bound(int(false.sum()), runs),
        "right_switches": float(right.mean()),
        "median_units_per_arm": median * traffic.units_a_look if math.isfinite(median) else None,
        "median_flips": float(np.median(np.concatenate(flips))),
        "lost_conversions_mean": float(lost.mean()),
        "lost_conversions_even_shares": float(a_look * traffic.looks * (best - rates.mean())),
    }
