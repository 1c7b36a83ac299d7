"""Tests of `app.post_audit.steps.bugs.policy`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.post_audit.steps.bugs.facts import Tier
from app.post_audit.steps.bugs.policy import BugsPolicy


def test_the_defaults_are_the_documented_ones() -> None:
    policy = BugsPolicy()
    assert dict(policy.severity_weights) == {"critical": 10, "high": 5, "medium": 2, "low": 1}
    assert dict(policy.tier_weights) == {"paying": 3, "top_100": 2, "new": 1.5, "other": 1}
    assert [age.days for age in policy.allowed_age.values()] == [1, 3, 14, 30]
    assert set(policy.impact_weights) == {"all_users", "paying_users", "top_100", "new_users"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"severity_weights": {"critical": 10.0}}, "every severity"),
        ({"unknown_severity": "p1"}, "every severity"),
        ({"tier_weights": {Tier.PAYING: 3.0}}, "every tier"),
        ({"impact_weights": {"all_users": 0.0}}, "positive"),
        ({"impact_weights": {"all_users": float("inf")}}, "positive"),
        ({"recent": timedelta(0)}, "longer than nothing"),
        (
            {"allowed_age": dict.fromkeys(("critical", "high", "medium", "low"), timedelta(0))},
            "longer than nothing",
        ),
        ({"money_factor": 0.5}, "smaller"),
        ({"recent_step": -0.1}, "smaller"),
    ],
)
def test_a_policy_that_could_hide_a_bug_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BugsPolicy(**wrong)
