"""Tests of `app.post_audit.steps.conversions.comparisons`: pairs, whichever way they are named."""

from __future__ import annotations

import math

import pytest

from app.post_audit.steps.conversions.comparisons import effects_of, result_of, series_of
from app.post_audit.steps.conversions.ledger import Ledger, fold
from tests.unit.steps.conversions.examples import AS_OF, CLEAR, POLICY, MakeExperiment


def test_an_effect_is_turned_round_with_its_names(make_experiment: MakeExperiment) -> None:
    there = make_experiment(CLEAR)
    back = make_experiment(CLEAR, variants=there.variants[::-1])
    (first,), (second,) = (
        effects_of(one, fold(Ledger(), one.closed_blocks(AS_OF), one, POLICY), POLICY)
        for one in (there, back)
    )
    assert (first.first, second.first) == ("variant_a", "variant_b")
    assert (first.log_e, first.favours) == (second.log_e, second.favours)
    assert second.ratio == pytest.approx((1 / first.ratio[1], 1 / first.ratio[0]))
    assert first.difference[1] < 0 < second.difference[0]


def test_without_blocks_nothing_is_known_of_a_pair(make_experiment: MakeExperiment) -> None:
    (effect,) = effects_of(make_experiment(CLEAR), Ledger(), POLICY)
    assert (effect.log_e, effect.favours, effect.ratio) == (0.0, None, (0.0, math.inf))


def test_a_result_adds_up_what_is_told_and_what_is_remembered(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR)
    past = fold(Ledger(), experiment.blocks, experiment, POLICY)
    found = result_of(experiment, experiment.variants[0], 0.05, past)
    assert (found.units, found.converted) == (12_000, 480)
    assert [sum(units) for units, _ in series_of(experiment, AS_OF).values()] == [6_000, 6_000]
