"""Tests of `app.post_audit.steps.conversions.numbers`: what JSON can hold, and null for what is not known."""

from __future__ import annotations

import json

from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.numbers import e_value, experiment_numbers, finite
from tests.unit.steps.conversions.examples import AS_OF, CLEAR, POLICY, MakeExperiment


def test_the_greatest_evidence_stays_a_number() -> None:
    assert finite(10_000.0) == finite(700.0) < float("inf")
    assert finite(0.0) == 1.0


def test_what_is_not_known_is_null(make_experiment: MakeExperiment) -> None:
    empty = make_experiment({"variant_a": (0, 0), "variant_b": (0, 0)}, last_invite_at=None)
    found = experiment_numbers(assess(empty, AS_OF, (), POLICY))
    assert (found["e_value"], found["leader"], found["last_invite_at"]) == (None, None, None)
    json.dumps(found, allow_nan=False)


def test_the_evidence_is_that_of_the_leader(make_experiment: MakeExperiment) -> None:
    assessment = assess(make_experiment(CLEAR), AS_OF, (), POLICY)
    assert experiment_numbers(assessment)["e_value"] == e_value(assessment) > 20
