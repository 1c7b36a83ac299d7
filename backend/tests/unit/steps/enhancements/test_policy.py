from __future__ import annotations

from datetime import timedelta

import pytest

from app.post_audit.steps.enhancements.policy import EnhancementsPolicy, Scoring


def test_limits_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        EnhancementsPolicy(maximum_findings=0)
    with pytest.raises(ValueError, match="above zero"):
        EnhancementsPolicy(maximum_bytes=-1)
    with pytest.raises(ValueError, match="above zero"):
        EnhancementsPolicy(stale_after=timedelta(0))


def test_no_priority_is_forgotten() -> None:
    with pytest.raises(ValueError, match="critical, high, medium and low"):
        Scoring(days_to_fix={"critical": 7})


def test_a_task_never_falls_as_it_ages() -> None:
    with pytest.raises(ValueError, match="not below zero"):
        Scoring(late_points_per_day=-1)
    with pytest.raises(ValueError, match="a day is the least"):
        Scoring(days_to_fix={"critical": 0, "high": 30, "medium": 90, "low": 120})
