"""Tests of `app.post_audit.steps.conversions.by_hand`: what a person may ask for, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.post_audit.errors import InvalidArgument, StateMoved
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.by_hand import (
    end_experiment,
    require_version,
    stop_variant,
    switch_to,
)
from tests.unit.steps.conversions.examples import AS_OF, CLEAR, POLICY, MakeExperiment


def test_who_saw_another_state_is_refused(make_experiment: MakeExperiment) -> None:
    require_version(make_experiment(), 3)
    with pytest.raises(StateMoved, match="has changed since it was shown"):
        require_version(make_experiment(), 2)


def test_a_switch_with_the_evidence_holds_nothing(make_experiment: MakeExperiment) -> None:
    assessment = assess(make_experiment(CLEAR), AS_OF, (), POLICY)
    made = switch_to(assessment, "variant_b", "Asha", POLICY)
    (change,) = made.decision.changes
    assert (change.after["winner"], change.after["allocation_epoch"], made.held) == ("variant_b", 2, None)
    assert made.decision.reasons[0].text.startswith("Asha chose 50 Inquiries Focus")
    against = switch_to(assessment, "variant_a", "Asha", POLICY)
    assert against.held == {"winner": "variant_b"}
    assert against.decision.reasons[1].code == "conversions.rests"


def test_a_variant_stops_and_the_last_one_does_not(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR)
    assessment = assess(experiment, AS_OF, (), POLICY)
    (change,) = stop_variant(assessment, "variant_b", "Asha", POLICY).decision.changes
    assert change.after["allocation_basis_points"] == {"variant_a": 10_000, "variant_b": 0}
    alone = replace(experiment, allocation_basis_points={"variant_a": 10_000, "variant_b": 0})
    with pytest.raises(InvalidArgument, match="only message"):
        stop_variant(assess(alone, AS_OF, (), POLICY), "variant_a", "Asha", POLICY)
    with pytest.raises(InvalidArgument, match="nobody already"):
        stop_variant(assess(alone, AS_OF, (), POLICY), "variant_b", "Asha", POLICY)


def test_an_end_gives_everybody_the_active_message(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR)
    (change,) = end_experiment(assess(experiment, AS_OF, (), POLICY), "Asha", POLICY).decision.changes
    assert (change.before["status"], change.after["status"]) == ("running", "stopped")
    assert change.after["allocation_basis_points"] == {"variant_a": 10_000, "variant_b": 0}
    none = assess(replace(experiment, active_variant=None), AS_OF, (), POLICY)
    with pytest.raises(InvalidArgument, match="no active message"):
        end_experiment(none, "Asha", POLICY)


def test_what_is_not_there_or_done_already_is_refused(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR)
    assessment = assess(experiment, AS_OF, (), POLICY)
    with pytest.raises(InvalidArgument, match="no variant variant_x"):
        switch_to(assessment, "variant_x", "Asha", POLICY)
    placed = replace(experiment, active_variant="variant_b", winner="variant_b")
    with pytest.raises(InvalidArgument, match="active message already"):
        switch_to(assess(placed, AS_OF, (), POLICY), "variant_b", "Asha", POLICY)
