"""Tests of `app.post_audit.steps.conversions.policy`."""

from __future__ import annotations

from typing import Any

import pytest

from app.post_audit.steps.conversions.policy import ConversionsPolicy


def test_the_defaults_are_the_known_ones() -> None:
    policy = ConversionsPolicy()
    assert (policy.alpha, policy.minimum_units, policy.attribution_window_hours) == (0.05, 100, 72)
    assert (policy.holdout_basis_points, policy.hold_days, policy.log_ratio_deviation) == (500, 7, 0.16)


@pytest.mark.parametrize(
    "fields",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"minimum_units": 0},
        {"attribution_window_hours": 0},
        {"holdout_basis_points": -1},
        {"holdout_basis_points": 5_000},
        {"prior_rate": 0.0},
        {"prior_rate": 1.0},
        {"prior_units": 0.0},
        {"log_ratio_deviation": 0.0},
    ],
    ids=str,
)
def test_a_policy_without_meaning_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        ConversionsPolicy(**fields)
