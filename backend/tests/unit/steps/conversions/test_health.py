"""Tests of `app.post_audit.steps.conversions.health`: how often each test is wrong, and how soon right."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.conversions.facts import Block, Counts
from app.post_audit.steps.conversions.health import decay_log_e, harm_log_e, mismatch_log_e

ARMS = ("a", "b")
EVEN = {1: {"a": 5_000, "b": 5_000}}
START = datetime(2025, 10, 1, tzinfo=UTC)


def block(day: float, **counts: tuple[int, int]) -> Block:
    """Give {variant: (units, converted)}; as many opted out as converted."""
    return Block(
        hour=START + timedelta(days=day),
        epoch=1,
        counts={name: Counts(units=n, converted=k, opt_outs=k) for name, (n, k) in counts.items()},
    )


def test_shares_that_are_kept_are_hardly_ever_told_as_not_kept() -> None:
    random = np.random.default_rng(1)
    false = 0
    for _ in range(300):
        of_a = np.cumsum(random.binomial(500, 0.5, 40))
        false += any(
            mismatch_log_e({1: {"a": int(a), "b": 500 * (look + 1) - int(a)}}, EVEN, ARMS) >= math.log(1_000)
            for look, a in enumerate(of_a)
        )
    assert false <= 2


@pytest.mark.parametrize(("units", "of_a"), [(20_000, 10_500), (200, 170)])
def test_shares_that_stray_are_told(units: int, of_a: int) -> None:
    assert mismatch_log_e({1: {"a": of_a, "b": units - of_a}}, EVEN, ARMS) > math.log(1_000)


def test_an_epoch_without_known_shares_says_nothing() -> None:
    assert mismatch_log_e({2: {"a": 1_000, "b": 10}}, EVEN, ARMS) == 0.0
    assert mismatch_log_e({1: {}}, EVEN, ARMS) == 0.0
    assert mismatch_log_e({1: {"a": 10}}, EVEN, ("a",)) == 0.0


def test_a_variant_that_should_get_nobody_may_get_a_late_one() -> None:
    shares = {1: {"a": 10_000, "b": 0}}
    assert mismatch_log_e({1: {"a": 20_000, "b": 2}}, shares, ARMS) < math.log(1_000)
    assert mismatch_log_e({1: {"a": 20_000, "b": 200}}, shares, ARMS) > math.log(1_000)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10_000))
def test_a_mismatch_is_always_a_number(a: int, b: int, share: int) -> None:
    shares = {1: {"a": share, "b": 10_000 - share}}
    assert math.isfinite(mismatch_log_e({1: {"a": a, "b": b}}, shares, ARMS))


def test_twice_the_opt_outs_are_told_and_equal_ones_are_not() -> None:
    twice = [block(day, a=(2_000, 6), b=(2_000, 12)) for day in range(8)]
    assert harm_log_e(twice, "b", ARMS, "opt_outs") > math.log(200)
    assert harm_log_e(twice, "a", ARMS, "opt_outs") < 0
    assert harm_log_e(twice, "b", ARMS, "failed") == 0.0


def test_opt_outs_of_hours_without_the_others_prove_nothing() -> None:
    assert harm_log_e([block(0, b=(2_000, 500))], "b", ARMS, "opt_outs") == 0.0


def test_a_winner_that_decays_after_good_weeks_is_still_found() -> None:
    good = [block(day, a=(2_000, 80), b=(38_000, 1_900)) for day in range(28)]
    bad = [block(28 + day, a=(2_000, 80), b=(38_000, 1_140)) for day in range(10)]
    assert decay_log_e(good, "b", ARMS, 0.2) < 0
    assert decay_log_e(good + bad, "b", ARMS, 0.2) > math.log(20)
    assert decay_log_e([], "b", ARMS, 0.2) == 0.0
