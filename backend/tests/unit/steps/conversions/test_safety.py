"""Tests of `app.post_audit.steps.conversions.safety`: windows, running time, and what a person decided."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.post_audit.steps.conversions.facts import Hold
from app.post_audit.steps.conversions.safety import (
    find_hold,
    is_sent,
    least_hours,
    may_stay,
    runs_long_enough,
    wider_window,
)
from tests.unit.steps.conversions.examples import AS_OF, POLICY, MakeExperiment


@pytest.mark.parametrize(("slowest", "wider"), [(0.0, None), (72.0, None), (73.0, 96), (400.0, 336)])
def test_the_window_grows_to_whole_days_with_a_margin(
    make_experiment: MakeExperiment, slowest: float, wider: int | None
) -> None:
    assert wider_window(make_experiment(claim_hours={"variant_a": slowest}), POLICY) == wider


def test_claims_near_the_end_of_the_window_ask_for_two_of_it(make_experiment: MakeExperiment) -> None:
    assert least_hours(make_experiment(claim_hours={"variant_a": 54.0}), POLICY) == 72
    assert least_hours(make_experiment(claim_hours={"variant_a": 55.0}), POLICY) == 144


def test_a_start_that_is_not_known_does_not_hold_up(make_experiment: MakeExperiment) -> None:
    assert runs_long_enough(make_experiment(started_at=None), AS_OF, POLICY)
    assert not runs_long_enough(make_experiment(started_at=AS_OF - timedelta(hours=71)), AS_OF, POLICY)


def test_a_hold_is_of_this_experiment_of_this_wish_and_of_now(make_experiment: MakeExperiment) -> None:
    experiment, later = make_experiment(), AS_OF + timedelta(hours=1)
    hold = Hold(subject="experiment:1", undone={"winner": "variant_a"}, until=later, decision_id=1)
    assert find_hold(experiment, AS_OF, (hold,), winner="variant_a") is hold
    assert find_hold(experiment, AS_OF, (hold,), winner="variant_b") is None
    assert find_hold(experiment, later, (hold,), winner="variant_a") is None


def test_a_harmful_variant_may_stay_where_its_stop_was_taken_back(make_experiment: MakeExperiment) -> None:
    shares = {"variant_a": 10_000, "variant_b": 0}
    hold = Hold(
        subject="experiment:1",
        undone={"allocation_basis_points": shares},
        until=AS_OF + timedelta(days=1),
        decision_id=1,
    )
    assert may_stay(make_experiment(), AS_OF, (hold,), "variant_b")
    assert not may_stay(make_experiment(), AS_OF, (hold,), "variant_a")
    assert not is_sent(make_experiment(allocation_basis_points=shares), "variant_b")
