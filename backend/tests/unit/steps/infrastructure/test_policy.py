"""Tests of `app.post_audit.steps.infrastructure.policy`."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from app.post_audit.steps.infrastructure.policy import InfrastructurePolicy


def test_the_defaults_are_the_documented_ones() -> None:
    policy = InfrastructurePolicy()

    assert (policy.scale_at, policy.scale_by) == (Decimal("0.80"), Decimal("0.50"))
    assert (policy.maximum_daily_quota, policy.maximum_batch_size) == (100_000, 5_000)
    assert policy.cost_alert_paise == 1_000_000
    assert policy.day_zone == "Asia/Kolkata"


@pytest.mark.parametrize(
    ("scale_at", "scale_by"), [("0", "0.5"), ("1.1", "0.5"), ("0.8", "0"), ("0.8", "-0.5")]
)
def test_a_policy_that_could_lower_a_quota_is_refused(scale_at: str, scale_by: str) -> None:
    with pytest.raises(ValueError, match="grows by a positive share"):
        InfrastructurePolicy(scale_at=Decimal(scale_at), scale_by=Decimal(scale_by))


@pytest.mark.parametrize(("begins", "ends"), [(-1, 9), (10, 10), (10, 25)])
def test_sending_hours_outside_a_day_are_refused(begins: int, ends: int) -> None:
    with pytest.raises(ValueError, match="sending hours"):
        InfrastructurePolicy(sending_from=timedelta(hours=begins), sending_until=timedelta(hours=ends))
