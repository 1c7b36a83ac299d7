"""Tests of `app.post_audit.steps.conversions.stats`: the known keys, and the decision's own judgement."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.post_audit.errors import NotFound
from app.post_audit.steps.conversions.decide import decide
from app.post_audit.steps.conversions.facts import Facts
from app.post_audit.steps.conversions.stats import stats
from tests.unit.steps.conversions.examples import CLEAR, POLICY, MakeExperiment, MakeFacts


def answer(facts: Facts, hours: int = 24, experiment_id: str | None = None) -> dict[str, Any]:
    told = stats(facts, POLICY, hours=hours, experiment_id=experiment_id)
    found: dict[str, Any] = json.loads(json.dumps(told, allow_nan=False))
    return found


def test_the_known_keys_are_there(make_facts: MakeFacts, make_experiment: MakeExperiment) -> None:
    facts = make_facts(make_experiment(CLEAR, immature={"variant_a": 3, "variant_b": 4}))
    found = answer(facts)
    assert (found["active_variant"], found["winner"]) == ("variant_a", None)
    first, second = found["stats"]
    assert (first["variant"], first["total_sent"], first["total_converted"]) == ("variant_a", 6_000, 240)
    assert first["conversion_rate"] == pytest.approx(0.04)
    assert second["data_points"][0] == {
        "time": "2025-11-05T09:00:00+00:00",
        "conversion_rate": pytest.approx(0.07),
        "sent": 600,
        "converted": 42,
    }
    assert len(second["data_points"]) == 10
    assert (second["label"], second["immature"], found["immature"]) == ("50 Inquiries Focus", 4, 7)


def test_it_says_what_the_decision_says(make_facts: MakeFacts, make_experiment: MakeExperiment) -> None:
    facts = make_facts(make_experiment(CLEAR))
    found, decision = answer(facts), decide(facts, POLICY)
    (numbers,) = json.loads(json.dumps(decision.numbers))["experiments"]
    for key in ("status", "leader", "e_value", "threshold", "window_hours"):
        assert found[key] == numbers[key]
    for told, recorded in zip(found["stats"], numbers["variants"], strict=True):
        assert (told["rate"], told["interval"]) == (recorded["rate"], recorded["interval"])
    assert found["sentence"] == " ".join(reason.text for reason in decision.reasons)


def test_hours_reach_back_from_what_can_be_judged(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    # Ten hours from 96 h ago on; with a window of 72 h the last that can be judged ended 72 h ago.
    facts = make_facts(make_experiment(CLEAR))
    assert answer(facts)["counted_until"] == "2025-11-06T09:00:00+00:00"
    assert [len(answer(facts, hours=hours)["stats"][0]["data_points"]) for hours in (24, 20, 14, 1)] == [
        10,
        6,
        0,
        0,
    ]
    late = answer(facts, hours=1)["stats"][0]
    assert (late["total_sent"], late["conversion_rate"]) == (0, None)
    assert (late["units"], late["converted"]) == (6_000, 240)


def test_hours_of_several_allocations_are_one_point(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    experiment = make_experiment(CLEAR, parts=1)
    (block,) = experiment.blocks
    facts = make_facts(replace(experiment, blocks=(block, replace(block, epoch=2))))
    (point,) = answer(facts)["stats"][0]["data_points"]
    assert (point["sent"], point["converted"]) == (12_000, 480)


def test_without_an_experiment_nothing_is_known(make_facts: MakeFacts) -> None:
    found = answer(make_facts())
    assert (found["stats"], found["active_variant"], found["winner"]) == ([], None, None)
    assert found["status"] == "unknown"


def test_an_experiment_is_found_by_its_id(make_facts: MakeFacts, make_experiment: MakeExperiment) -> None:
    other = make_experiment({"variant_a": (0, 0), "variant_b": (0, 0)}, id="second", name="Second")
    facts = make_facts(make_experiment(CLEAR), other)
    assert answer(facts)["experiment"]["id"] == 1
    found = answer(facts, experiment_id="second")
    assert (found["experiment"]["name"], found["status"], found["e_value"]) == ("Second", "unknown", None)
    assert len(found["experiments"]) == 2
    with pytest.raises(NotFound, match="third"):
        answer(facts, experiment_id="third")


def test_an_unjudged_hour_is_no_point(make_facts: MakeFacts, make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR, parts=1)
    (block,) = experiment.blocks
    alone = replace(
        block, hour=block.hour + timedelta(hours=1), counts={"variant_a": block.counts["variant_a"]}
    )
    found = answer(make_facts(replace(experiment, blocks=(block, alone))))
    assert [len(variant["data_points"]) for variant in found["stats"]] == [2, 1]
