"""Tests of `app.post_audit.steps.conversions.assess`: every status, and what must not change it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.assessment import Assessment, Status
from app.post_audit.steps.conversions.facts import Block, Counts, Experiment, Hold
from tests.unit.steps.conversions.examples import AS_OF, CLEAR, POLICY, MakeExperiment


def judge(experiment: Experiment, *holds: Hold) -> Assessment:
    return assess(experiment, AS_OF, holds, POLICY)


def hold(winner: str, until: datetime, subject: str = "experiment:1") -> Hold:
    return Hold(subject=subject, undone={"winner": winner}, until=until, decision_id=4)


def test_nobody_invited_is_unknown_and_not_zero(make_experiment: MakeExperiment) -> None:
    found = judge(make_experiment({"variant_a": (0, 0), "variant_b": (0, 0)}))
    assert found.status is Status.UNKNOWN
    assert [result.rate for result in found.results] == [None, None]
    assert found.leader is None


def test_one_message_alone_is_unknown(make_experiment: MakeExperiment) -> None:
    assert judge(make_experiment({"variant_a": (5_000, 200)})).status is Status.UNKNOWN
    assert judge(make_experiment({})).status is Status.UNKNOWN


def test_only_immature_suppliers_are_collecting(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment({"variant_a": (0, 0), "variant_b": (0, 0)}, immature={"variant_a": 7})
    found = judge(experiment)
    assert found.status is Status.COLLECTING
    assert [result.immature for result in found.results] == [7, 0]


@pytest.mark.parametrize(("units", "status"), [(99, Status.COLLECTING), (100, Status.READY)])
def test_each_variant_needs_a_hundred_mature_suppliers(
    make_experiment: MakeExperiment, units: int, status: Status
) -> None:
    found = judge(make_experiment({"variant_a": (100, 1), "variant_b": (units, 99)}, parts=1))
    assert found.status is status
    assert found.leader is not None
    assert found.leader.variant.id == "variant_b"


def test_a_weak_lead_is_collecting(make_experiment: MakeExperiment) -> None:
    found = judge(make_experiment())
    assert found.status is Status.COLLECTING
    assert found.log_e < 0
    assert found.threshold == pytest.approx(20)


def test_a_clear_lead_is_ready(make_experiment: MakeExperiment) -> None:
    found = judge(make_experiment(CLEAR))
    assert found.status is Status.READY
    assert found.leader is found.proven is found.results[1]
    assert found.rival is found.results[0]


def test_a_third_variant_raises_the_threshold_and_all_must_be_beaten(make_experiment: MakeExperiment) -> None:
    found = judge(make_experiment(CLEAR | {"variant_c": (6_000, 400)}))
    assert found.status is Status.COLLECTING
    assert found.rival is found.results[2]
    assert found.threshold == pytest.approx(40)
    assert judge(make_experiment(CLEAR | {"variant_c": (6_000, 250)})).status is Status.READY


def test_the_recorded_and_active_winner_is_decided(make_experiment: MakeExperiment) -> None:
    decided = make_experiment(CLEAR, active_variant="variant_b", winner="variant_b")
    assert judge(decided).status is Status.DECIDED
    assert judge(replace(decided, winner=None)).status is Status.READY
    assert judge(replace(decided, active_variant="variant_a")).status is Status.READY


def test_a_switch_taken_back_rests_until_its_date(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR)
    resting = hold("variant_b", AS_OF + timedelta(days=3))
    found = judge(experiment, resting)
    assert (found.status, found.hold) == (Status.HELD, resting)
    assert judge(experiment, hold("variant_b", AS_OF)).status is Status.READY


def test_another_winner_or_another_experiment_is_not_held(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR)
    later = AS_OF + timedelta(days=3)
    assert judge(experiment, hold("variant_a", later)).status is Status.READY
    assert judge(experiment, hold("variant_b", later, "experiment:2")).status is Status.READY


def shifted_shares(make_experiment: MakeExperiment) -> Experiment:
    """B is better in both hours; A has the greater total, for it was sent while everybody claimed more."""
    blocks = tuple(
        Block(
            hour=AS_OF - timedelta(hours=90 - epoch),
            epoch=epoch,
            counts={
                "variant_a": Counts(units=a[0], converted=a[1]),
                "variant_b": Counts(units=b[0], converted=b[1]),
            },
        )
        for epoch, a, b in [(1, (20_000, 1_600), (1_000, 110)), (2, (10_000, 370), (20_000, 940))]
    )
    return make_experiment(blocks=blocks)


def test_totals_that_contradict_the_hours_are_blocked(make_experiment: MakeExperiment) -> None:
    found = judge(shifted_shares(make_experiment))
    assert found.status is Status.BLOCKED
    assert found.leader is found.results[0]
    assert found.proven is found.results[1]
    assert found.log_e <= 0


def test_totals_that_are_equal_are_blocked_too(make_experiment: MakeExperiment) -> None:
    experiment = shifted_shares(make_experiment)
    # Sent while the other message was not: no comparison, but both totals become 1 in 10.
    lonely = Block(
        hour=AS_OF - timedelta(hours=95),
        epoch=1,
        counts={"variant_b": Counts(units=10_000, converted=2_050)},
    )
    other = replace(lonely, epoch=2, counts={"variant_a": Counts(units=2_000, converted=1_230)})
    found = judge(replace(experiment, blocks=(*experiment.blocks, lonely, other)))
    assert [result.rate for result in found.results] == [0.1, 0.1]
    assert found.status is Status.BLOCKED


def test_the_hour_that_is_still_maturing_counts_but_proves_nothing(make_experiment: MakeExperiment) -> None:
    fresh = Block(
        hour=AS_OF - timedelta(hours=72, minutes=30),
        epoch=1,
        counts={
            "variant_a": Counts(units=6_000, converted=240),
            "variant_b": Counts(units=6_000, converted=480),
        },
    )
    found = judge(make_experiment(blocks=(fresh,)))
    assert (found.status, found.log_e) == (Status.COLLECTING, 0.0)
    assert [result.units for result in found.results] == [6_000, 6_000]


def test_invites_of_a_variant_that_is_gone_are_left_out(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR)
    blocks = tuple(
        replace(block, counts=block.counts | {"retired": Counts(units=9, converted=9)})  # type: ignore[operator]
        for block in experiment.blocks
    )
    assert judge(replace(experiment, blocks=blocks)).log_e == judge(experiment).log_e


@given(st.permutations(range(10)), st.permutations(range(3)))
def test_no_order_matters(make_experiment: MakeExperiment, hours: list[int], variants: list[int]) -> None:
    experiment = make_experiment(CLEAR | {"variant_c": (6_000, 300)})
    mixed = replace(
        experiment,
        blocks=tuple(experiment.blocks[place] for place in hours),
        variants=tuple(experiment.variants[place] for place in variants),
    )
    found, plain = judge(mixed), judge(experiment)
    assert (found.status, found.leader, found.rival) == (plain.status, plain.leader, plain.rival)
    assert found.log_e == plain.log_e
