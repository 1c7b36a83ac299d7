"""Tests of `app.post_audit.steps.conversions.ledger`: parts give what the whole gives, and it survives being kept."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.facts import Block, Counts, Experiment
from app.post_audit.steps.conversions.ledger import Ledger, fold, ledger_of, to_memory
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from tests.unit.steps.conversions.examples import AS_OF, POLICY, MakeExperiment


def long(make_experiment: MakeExperiment, *, hours: int = 400) -> Experiment:
    """A switched experiment of some weeks: two epochs, opt-outs, and a variant that is missing now and then."""
    random = np.random.default_rng(4)
    blocks = []
    for hour in range(hours):
        epoch = 1 + (hour >= hours // 4)
        counts = {}
        for name, rate in (("variant_a", 0.05), ("variant_b", 0.04)):
            units = int(random.integers(0, 60))
            converted, opted = int(random.binomial(units, rate)), int(random.binomial(units, 0.01))
            counts[name] = Counts(units=units, converted=converted, opt_outs=opted)
        blocks.append(Block(hour=AS_OF - timedelta(hours=80 + hours - hour), epoch=epoch, counts=counts))
    return make_experiment(
        blocks=tuple(blocks), winner="variant_b", active_variant="variant_b", allocation_epoch=2
    )


@given(st.integers(0, 400))
def test_judging_from_what_is_remembered_is_the_same(make_experiment: MakeExperiment, cut: int) -> None:
    whole = long(make_experiment)
    past = fold(Ledger(), whole.blocks[:cut], whole, POLICY)
    kept = json.loads(json.dumps(to_memory(past, whole, POLICY), allow_nan=False))
    short = replace(whole, blocks=whole.blocks[cut:], memory=kept)
    first, second = (assess(one, AS_OF, (), POLICY) for one in (whole, short))
    assert second.status is first.status
    assert second.results == first.results
    assert second.log_e == pytest.approx(first.log_e)
    assert second.effects[0].ratio == first.effects[0].ratio
    assert second.days_left == pytest.approx(first.days_left)
    assert second.breaches == first.breaches


def test_it_is_not_used_under_another_question(make_experiment: MakeExperiment) -> None:
    experiment = long(make_experiment, hours=40)
    kept = to_memory(fold(Ledger(), experiment.blocks, experiment, POLICY), experiment, POLICY)
    remembering = replace(experiment, memory=kept, blocks=())
    assert ledger_of(remembering, POLICY) is not None
    assert ledger_of(replace(remembering, attribution_window_hours=96), POLICY) is None
    assert ledger_of(remembering, ConversionsPolicy(log_ratio_deviation=0.3)) is None
    assert ledger_of(replace(remembering, memory={"of": "another release"}), POLICY) is None
    with pytest.raises(ValueError, match="another question"):
        assess(replace(remembering, winner=None), AS_OF, (), POLICY)


def test_nothing_is_folded_of_nothing(make_experiment: MakeExperiment) -> None:
    empty = Ledger()
    assert fold(empty, (), make_experiment(), POLICY) is empty
    alone = make_experiment({"variant_a": (100, 4)})
    assert fold(empty, alone.blocks, alone, POLICY) is empty
    assert empty.total("variant_a") == Counts(units=0, converted=0)
