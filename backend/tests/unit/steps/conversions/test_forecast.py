"""Tests of `app.post_audit.steps.conversions.forecast`: time to a decision, and what uneven shares brought."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.forecast import conversions_gained, days_to_decision
from app.post_audit.steps.conversions.ledger import Ledger
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from tests.unit.steps.conversions.examples import AS_OF, MakeExperiment


def test_twice_the_missing_evidence_takes_twice_the_time(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment({"variant_a": (5_000, 200), "variant_b": (5_000, 240)})
    worse, better = assess(experiment, AS_OF, (), ConversionsPolicy()).results
    once = days_to_decision(experiment, Ledger(), better, worse, 1.0)
    assert once is not None
    assert days_to_decision(experiment, Ledger(), better, worse, 2.0) == pytest.approx(2 * once)
    equal = replace(better, converted=200)
    assert days_to_decision(experiment, Ledger(), equal, worse, 1.0) is None
    nobody = replace(better, converted=0)
    assert days_to_decision(experiment, Ledger(), nobody, replace(worse, converted=0), 1.0) is None


def test_the_gain_is_what_even_shares_would_not_have_brought(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment({"variant_a": (9_000, 450), "variant_b": (1_000, 40)})
    results = assess(experiment, AS_OF, (), ConversionsPolicy()).results
    assert conversions_gained(results) == pytest.approx(4_000 * 0.05 - 4_000 * 0.04)
