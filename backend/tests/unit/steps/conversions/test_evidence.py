"""Tests of `app.post_audit.steps.conversions.evidence`: what its guarantee rests on, and how soon it ends."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.post_audit.steps.conversions.evidence import (
    Bets,
    compare,
    difference_interval,
    evidence_path,
    lead_log_e,
    rate_interval,
    ratio_interval,
)

BETS = Bets(log_ratio_deviation=0.2, prior_rate=0.04, prior_units=50)
ALPHA = 0.05
EVERY_TWO_HOURS_OF_14_DAYS = 168
SENDS_IN_TWO_HOURS = 1_667  # 20,000 a day and arm

Block = tuple[int, int, int, int]


@st.composite
def arm(draw: st.DrawFn, least: int = 0) -> tuple[int, int]:
    units = draw(st.integers(least, 100_000))
    return units, draw(st.integers(0, units))


@st.composite
def series(draw: st.DrawFn) -> list[Block]:
    return [(*draw(arm()), *draw(arm())) for _ in range(draw(st.integers(0, 12)))]


def columns(blocks: list[Block]) -> tuple[list[int], list[int], list[int], list[int]]:
    first_units, first_converted, second_units, second_converted = (
        [block[place] for block in blocks] for place in range(4)
    )
    return first_units, first_converted, second_units, second_converted


def simulate(
    rates: tuple[float, float], *, runs: int, blocks: int, units: int, seed: int
) -> tuple[float, float]:
    """Return the share of runs that ever reach 1/alpha, and the median of units per arm until then."""
    random = np.random.default_rng(seed)
    sizes = np.full((runs, blocks), units)
    first, second = (random.binomial(units, rate, (runs, blocks)) for rate in rates)
    reached = evidence_path(sizes, first, sizes, second, BETS).log_e >= math.log(1 / ALPHA)
    until: NDArray[np.float64] = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf) * units
    return float(reached.any(axis=1).mean()), float(np.median(until))


def test_equal_arms_are_rarely_told_apart_however_often_one_looks() -> None:
    false, _ = simulate(
        (0.04, 0.04), runs=400, blocks=EVERY_TWO_HOURS_OF_14_DAYS, units=SENDS_IN_TWO_HOURS, seed=20251109
    )
    # Three standard errors of 400 runs above alpha; the long-run share is 2.6 %.
    assert false <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 400)


def test_equal_arms_stay_equal_when_the_rate_falls_while_the_shares_change() -> None:
    runs, blocks = 400, 84
    random = np.random.default_rng(7)
    rate = np.linspace(0.05, 0.03, blocks)
    first_units = np.linspace(1_667, 333, blocks).astype(int) + np.zeros((runs, 1), dtype=int)
    second_units = 3_334 - first_units
    path = evidence_path(
        first_units,
        random.binomial(first_units, rate),
        second_units,
        random.binomial(second_units, rate),
        BETS,
    )
    assert (path.log_e >= math.log(1 / ALPHA)).any(axis=1).mean() <= ALPHA


def test_four_against_five_percent_is_decided_near_eight_thousand_sends() -> None:
    decided, median = simulate((0.04, 0.05), runs=200, blocks=60, units=833, seed=5)
    assert decided == 1.0
    assert 6_000 <= median <= 10_000


@pytest.mark.parametrize("rate", [0.001, 0.5, 0.98])
def test_it_holds_for_rates_far_from_the_assumed_one(rate: float) -> None:
    false, _ = simulate((rate, rate), runs=200, blocks=84, units=500, seed=3)
    assert false <= ALPHA


def test_without_data_there_is_no_evidence() -> None:
    nothing = compare([], [], [], [], BETS)
    assert (nothing.log_e, nothing.favours) == (0.0, 0)
    empty = compare([0, 0], [0, 0], [0, 0], [0, 0], BETS)
    assert (empty.log_e, empty.favours) == (0.0, 0)


@given(series())
def test_it_is_always_a_number(blocks: list[Block]) -> None:
    found = compare(*columns(blocks), BETS)
    assert math.isfinite(found.log_e)
    assert found.favours in {-1, 0, 1}


@given(series())
def test_it_is_the_same_whichever_arm_is_named_first(blocks: list[Block]) -> None:
    first_units, first_converted, second_units, second_converted = columns(blocks)
    forward = evidence_path([first_units], [first_converted], [second_units], [second_converted], BETS)
    backward = evidence_path([second_units], [second_converted], [first_units], [first_converted], BETS)
    np.testing.assert_allclose(forward.log_e, backward.log_e, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(forward.lean, -backward.lean, rtol=1e-9, atol=1e-6)


@given(series(), arm(least=1), st.integers(0, 12), st.booleans())
def test_a_block_with_an_empty_arm_changes_nothing(
    blocks: list[Block], lonely: tuple[int, int], place: int, first_is_empty: bool
) -> None:
    lonely_block = (0, 0, *lonely) if first_is_empty else (*lonely, 0, 0)
    place = min(place, len(blocks))
    longer = [*blocks[:place], lonely_block, *blocks[place:]]
    assert compare(*columns(longer), BETS) == compare(*columns(blocks), BETS)


@given(st.floats(0.001, 0.999), st.integers(1, 12), st.integers(1, 12), st.floats(0.001, 0.999))
def test_no_block_grows_on_average_when_the_arms_are_equal(
    assumed: float, first_units: int, second_units: int, true_rate: float
) -> None:
    """The exact mean over every outcome of one block: what makes the e-value one."""
    bets = Bets(log_ratio_deviation=0.5, prior_rate=assumed, prior_units=10)
    first, second = (
        grid.ravel() for grid in np.meshgrid(range(first_units + 1), range(second_units + 1), indexing="ij")
    )
    path = evidence_path(
        np.full((first.size, 1), first_units),
        first[:, None],
        np.full((first.size, 1), second_units),
        second[:, None],
        bets,
    )
    ways = np.array(
        [
            math.comb(first_units, int(a)) * math.comb(second_units, int(b))
            for a, b in zip(first, second, strict=True)
        ]
    )
    converted = first + second
    chance = ways * true_rate**converted * (1 - true_rate) ** (first_units + second_units - converted)
    assert float((np.exp(path.log_e[:, 0]) * chance).sum()) <= 1 + 1e-9


def test_it_favours_the_arm_that_is_better_within_the_blocks() -> None:
    # Within each block the first arm is better; in total it looks worse (5.0 against 6.6 %).
    found = compare([1_000, 20_000], [110, 940], [20_000, 10_000], [1_600, 370], BETS)
    assert found.favours == 1
    assert found.log_e > math.log(20)


def test_the_interval_of_a_rate_holds_at_every_look_at_once() -> None:
    random = np.random.default_rng(11)
    missed = 0
    for _ in range(200):
        converted = np.cumsum(random.binomial(300, 0.04, 10))
        looks = (rate_interval(int(k), 300 * (place + 1), ALPHA) for place, k in enumerate(converted))
        missed += any(not low <= 0.04 <= high for low, high in looks)
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
