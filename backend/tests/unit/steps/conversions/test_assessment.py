"""Tests of `app.post_audit.steps.conversions.assessment`: the words for a status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.assessment import Obstacle, Status
from tests.unit.steps.conversions.examples import AS_OF, POLICY, MakeExperiment


@pytest.mark.parametrize(
    ("status", "days", "word"),
    [
        (Status.COLLECTING, None, "collecting"),
        (Status.COLLECTING, 91.0, "collecting"),
        (Status.COLLECTING, 0.2, "about 1 day left"),
        (Status.COLLECTING, 1.2, "about 2 days left"),
        (Status.READY, None, "ready to switch"),
        (Status.DECIDED, None, "switched"),
    ],
)
def test_a_status_has_a_word(
    make_experiment: MakeExperiment, status: Status, days: float | None, word: str
) -> None:
    found = replace(assess(make_experiment(), AS_OF, (), POLICY), status=status, days_left=days)
    assert found.word == word


def test_an_obstacle_and_a_revert_are_named(make_experiment: MakeExperiment) -> None:
    found = assess(make_experiment(), AS_OF, (), POLICY)
    blocked = replace(found, status=Status.BLOCKED, obstacle=Obstacle.STALE)
    assert blocked.word == "blocked: no new invites"
    reverted = replace(found, experiment=make_experiment(judged_from_epoch=2), status=Status.COLLECTING)
    assert reverted.word == "reverted"
