"""Tests of `app.post_audit.steps.conversions.switch`: shares add up, and each change has its way back."""

from __future__ import annotations

from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.switch import change_allocation, switch, without, won
from tests.unit.steps.conversions.examples import AS_OF, CLEAR, POLICY, MakeExperiment


def test_the_others_share_the_holdout(make_experiment: MakeExperiment) -> None:
    three = make_experiment(CLEAR | {"variant_c": (6_000, 240)})
    assert won(three, "variant_b", 501)["allocation_basis_points"] == {
        "variant_a": 251,
        "variant_b": 9_499,
        "variant_c": 250,
    }


def test_the_share_of_a_stopped_variant_goes_to_those_that_are_left(make_experiment: MakeExperiment) -> None:
    shares = {"variant_a": 3_000, "variant_b": 6_000, "variant_c": 1_000}
    three = make_experiment(
        CLEAR | {"variant_c": (6_000, 240)}, allocation_basis_points=shares, active_variant="variant_b"
    )
    state = without(assess(three, AS_OF, (), POLICY), {"variant_b"})
    assert state["active_variant"] in {"variant_a", "variant_c"}
    assert state["allocation_basis_points"] == {"variant_a": 7_500, "variant_b": 0, "variant_c": 2_500}


def test_a_new_allocation_begins_an_epoch_and_so_does_its_undo(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR)
    made = change_allocation(experiment, "It changes.", won(experiment, "variant_b", 500), (), POLICY)
    assert (made.change.before["allocation_epoch"], made.change.after["allocation_epoch"]) == (1, 2)
    assert [message.payload.get("allocation_epoch") for message in made.undo_messages] == [3, None]


def test_a_weak_lead_changes_nothing(make_experiment: MakeExperiment) -> None:
    assert switch(assess(make_experiment(), AS_OF, (), POLICY), (), POLICY) is None
