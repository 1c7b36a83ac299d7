"""Tests of `app.post_audit.steps.conversions.intervals`: what lies inside, at every look at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.conversions.evidence import Bets
from app.post_audit.steps.conversions.intervals import (
    difference_interval,
    rate_interval,
    rate_intervals,
    ratio_interval,
)

BETS = Bets(log_ratio_deviation=0.2, prior_rate=0.04, prior_units=50)
ALPHA = 0.05


@st.composite
def arm(draw: st.DrawFn) -> tuple[int, int]:
    units = draw(st.integers(0, 100_000))
    return units, draw(st.integers(0, units))


def test_the_interval_of_a_rate_holds_at_every_look_at_once() -> None:
    random = np.random.default_rng(11)
    missed = 0
    for _ in range(200):
        converted = np.cumsum(random.binomial(300, 0.04, 10))
        low, high = rate_intervals(converted, 300 * np.arange(1, 11), ALPHA)
        missed += bool(((low > 0.04) | (high < 0.04)).any())
    assert missed / 200 <= ALPHA


@given(arm())
def test_the_interval_holds_the_observed_rate(counts: tuple[int, int]) -> None:
    units, converted = counts
    low, high = rate_interval(converted, units, ALPHA)
    assert 0.0 <= low <= high <= 1.0
    if units:
        assert low <= converted / units <= high


def test_the_interval_narrows_with_data() -> None:
    assert rate_interval(0, 0, ALPHA) == (0.0, 1.0)
    low, high = rate_interval(301, 5_999, ALPHA)
    assert (low, high) == pytest.approx((0.0411, 0.0603), abs=1e-4)
    lower, higher = rate_interval(3_010, 59_990, ALPHA)
    assert low < lower < 0.0502 < higher < high


def test_ratio_and_difference_hold_at_every_look_while_rates_drift() -> None:
    random = np.random.default_rng(17)
    blocks, runs, missed = 30, 150, 0
    rate = np.linspace(0.05, 0.03, blocks)
    first_units = np.linspace(1_000, 200, blocks).astype(int)
    second_units = 2_000 - first_units
    for _ in range(runs):
        first, second = random.binomial(first_units, rate), random.binomial(second_units, 1.1 * rate)
        looks = (
            ratio_interval(first_units[:look], first[:look], second_units[:look], second[:look], BETS, ALPHA)
            for look in range(3, blocks, 3)
        )
        missed += any(not low <= 1 / 1.1 <= high for low, high in looks)
    assert missed / runs <= ALPHA


def test_the_ends_of_a_ratio_are_open_without_conversions() -> None:
    assert ratio_interval([100], [0], [100], [0], BETS, ALPHA) == (0.0, math.inf)
    low, high = ratio_interval([100], [0], [100], [9], BETS, ALPHA)
    assert low == 0.0
    assert math.isfinite(high)
    low, high = ratio_interval([100], [9], [100], [0], BETS, ALPHA)
    assert low > 0
    assert high == math.inf


@pytest.mark.parametrize(
    ("ratio", "rate", "difference"),
    [
        ((1.1, 1.5), (0.04, 0.06), (0.004, 0.03)),
        ((0.5, 0.9), (0.04, 0.06), (-0.03, -0.004)),
        ((0.9, 1.1), (0.04, 0.06), (-0.006, 0.006)),
        ((0.5, math.inf), (0.0, 0.06), (-0.03, 1.0)),
    ],
)
def test_a_difference_is_the_rate_times_the_ratio_less_one(
    ratio: tuple[float, float], rate: tuple[float, float], difference: tuple[float, float]
) -> None:
    assert difference_interval(ratio, rate) == pytest.approx(difference)
