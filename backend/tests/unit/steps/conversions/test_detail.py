"""Tests of `app.post_audit.steps.conversions.detail`: what the pages of experiments show."""

from __future__ import annotations

import pytest

from app.post_audit.errors import NotFound
from app.post_audit.steps.conversions.detail import PastSwitch, detail, overview
from tests.unit.steps.conversions.examples import AS_OF, CLEAR, POLICY, MakeExperiment, MakeFacts, told


def test_an_experiment_without_suppliers_has_no_rates(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    facts = make_facts(make_experiment({"variant_a": (0, 0), "variant_b": (0, 0)}, blocks=()))
    found = told(detail(facts, POLICY, "1"))
    assert (found["status"], found["e_value"], found["history"]) == ("unknown", None, [])
    assert (found["evidence"]["history"], found["sharing"]["status"]) == ([], "unknown")
    assert [variant["rate"] for variant in found["variants"]] == [None, None]


def test_shares_and_decisions_are_told(make_facts: MakeFacts, make_experiment: MakeExperiment) -> None:
    shares = {"variant_a": 5_000, "variant_b": 5_000}
    experiment = make_experiment(
        CLEAR,
        winner="variant_b",
        assigned={1: {"variant_a": 9_000, "variant_b": 6_000}},
        epoch_allocations={1: shares},
    )
    past = PastSwitch(
        decision_id=7,
        kind="step",
        at=AS_OF,
        headline="It switched.",
        actor="protocol",
        state="applied",
        before={},
        after={"winner": "variant_b"},
    )
    found = told(detail(make_facts(experiment), POLICY, "1", [past]))
    assert (found["sharing"]["status"], found["sharing"]["blocks_switches"]) == ("strayed", True)
    assert found["sharing"]["due"] == {"variant_a": 7_500, "variant_b": 7_500}
    assert found["switches"][0]["decision_id"] == 7
    assert found["allocation"]["holdout_basis_points"] == 5_000


def test_each_experiment_is_found_or_named(make_facts: MakeFacts, make_experiment: MakeExperiment) -> None:
    facts = make_facts(make_experiment(CLEAR), make_experiment(CLEAR, id=2))
    assert [one["id"] for one in told(overview(facts, POLICY))["experiments"]] == [1, 2]
    assert told(detail(facts, POLICY, "2"))["id"] == 2
    with pytest.raises(NotFound, match="the id 3"):
        detail(facts, POLICY, "3")
