"""Tests of `app.post_audit.steps.live_fomo.policy`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.post_audit.steps.live_fomo.policy import LiveFomoPolicy


def test_a_policy_that_leaves_shown_rows_unchecked_is_refused() -> None:
    with pytest.raises(ValueError, match="as many differences"):
        LiveFomoPolicy(shown_limit=600)
    with pytest.raises(ValueError, match="not negative"):
        LiveFomoPolicy(settle=timedelta(seconds=-1))
