"""Tests of `app.post_audit.steps.conversions.coin`: what its guarantee rests on, and that sums can be gone on with."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.conversions.coin import Coin, lead_log_e, ratio_between, ratio_points

POINTS = ratio_points(0.2)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.001, 0.999))
def test_a_lead_does_not_grow_on_average_when_the_arms_are_equal(
    first_units: int, second_units: int, true_rate: float
) -> None:
    mean = 0.0
    for first in range(first_units + 1):
        for second in range(second_units + 1):
            chance = float(math.comb(first_units, first) * math.comb(second_units, second))
            converted = first + second
            chance *= true_rate**converted * (1 - true_rate) ** (first_units + second_units - converted)
            found = lead_log_e([first_units], [first], [second_units], [second], NormalDist(0.5, 0.4))
            mean += chance * math.exp(found)
    assert mean <= 1 + 1e-9


@given(st.integers(0, 6))
def test_going_on_is_the_same_as_all_at_once(cut: int) -> None:
    random = np.random.default_rng(3)
    units = random.integers(0, 900, (2, 6))
    converted = random.binomial(units, 0.05)
    series = [units[0], converted[0], units[1], converted[1]]
    whole = Coin.empty(POINTS).after(POINTS, *series)
    begun = Coin.empty(POINTS).after(POINTS, *(counts[:cut] for counts in series))
    parts = begun.after(POINTS, *(counts[cut:] for counts in series))
    assert (parts.first, parts.total) == (whole.first, whole.total)
    np.testing.assert_allclose(parts.sizes, whole.sizes, rtol=1e-12)


def test_a_ratio_that_many_conversions_fix_lies_between_two_points() -> None:
    coin = Coin.empty(POINTS).after(POINTS, [10**9], [4 * 10**8], [10**9], [4 * 10**8])
    low, high = ratio_between(coin, POINTS, 0.05)
    assert low < 1 < high
    assert high / low < 1.01


def test_an_end_beyond_all_points_is_open() -> None:
    coin = Coin.empty(POINTS).after(POINTS, [1_000], [1], [1_000], [900])
    low, high = ratio_between(coin, POINTS, 0.05)
    assert low == 0.0
    assert 0 < high < 1
