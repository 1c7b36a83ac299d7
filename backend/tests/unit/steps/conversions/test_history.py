"""An experiment over time: by hour while it is young, by day when it is old, and bands that only narrow."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.post_audit.steps.conversions.detail import detail
from tests.unit.steps.conversions.examples import CLEAR, POLICY, MakeExperiment, MakeFacts, told


def test_the_bands_narrow_and_the_evidence_grows(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    found = told(detail(make_facts(make_experiment(CLEAR)), POLICY, "1"))
    widths = [
        high - low for low, high in (point["variants"]["variant_a"]["interval"] for point in found["history"])
    ]
    assert widths == sorted(widths, reverse=True)
    evidence = [point["e_value"] for point in found["evidence"]["history"]]
    assert evidence[-1] == pytest.approx(found["e_value"])
    assert found["headline"] == "50 Inquiries Focus becomes the active message."


def test_a_long_history_is_told_by_day(make_facts: MakeFacts, make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(CLEAR)
    spread = tuple(
        replace(block, hour=block.hour - timedelta(days=place))
        for place, block in enumerate(experiment.blocks)
    )
    found = told(detail(make_facts(replace(experiment, blocks=spread)), POLICY, "1"))
    assert (found["bucket_hours"], len(found["history"])) == (24, 10)
    assert found["history"][-1]["time"].endswith("00:00:00+00:00")
