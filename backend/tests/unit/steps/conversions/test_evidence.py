"""Tests of `app.post_audit.steps.conversions.evidence`: what its guarantee rests on, and how soon it ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.post_audit.steps.conversions.evidence import Bets, Capital, compare, evidence_path

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


@given(series(), st.integers(0, 12))
def test_going_on_is_the_same_as_all_at_once(blocks: list[Block], cut: int) -> None:
    whole = compare(*columns(blocks), BETS)
    begun = Capital.empty().after(BETS, *columns(blocks[:cut]))
    parts = begun.after(BETS, *columns(blocks[cut:])).comparison()
    assert parts.favours == whole.favours
    assert parts.log_e == pytest.approx(whole.log_e, rel=1e-9, abs=1e-6)
    if blocks:
        first_units, first_converted, second_units, second_converted = columns(blocks)
        path = evidence_path([first_units], [first_converted], [second_units], [second_converted], BETS)
        assert float(path.log_e[0, -1]) == pytest.approx(whole.log_e, rel=1e-9, abs=1e-6)
