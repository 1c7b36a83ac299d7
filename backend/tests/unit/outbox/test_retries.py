from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.outbox import RetryPolicy

POLICY = RetryPolicy()
DAY = 86_400.0


def test_tries_come_at_growing_distances_and_end_after_a_day() -> None:
    middle = [POLICY.wait(attempt, 0, None, lambda: 0.5) for attempt in range(1, 9)]
    assert middle == [5, 15, 45, 135, 405, 1215, 1800, 1800]
    assert POLICY.wait(1, DAY, None) is None
    assert POLICY.wait(60, 0, None) is None


@given(st.integers(1, 59), st.floats(0, 1, exclude_max=True))
def test_every_wait_is_spread_by_a_quarter_and_never_longer_than_the_longest(
    attempt: int, dice: float
) -> None:
    middle = POLICY.wait(attempt, 0, None, lambda: 0.5)
    wait = POLICY.wait(attempt, 0, None, lambda: dice)
    assert wait is not None
    assert middle is not None
    assert 0.75 * middle <= wait <= 1.25 * middle <= 1.25 * POLICY.longest_seconds


@given(st.floats(0, 1e9), st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_receiver_that_says_when_is_obeyed_up_to_half_an_hour_however_often_it_says_so(
    asked: float, attempt: int, dice: float
) -> None:
    wait = POLICY.wait(attempt, DAY - 1, asked, lambda: dice)
    assert wait is not None
    assert min(asked, 1800) < wait <= min(asked, 1800) + 0.4 + 1e-6


@pytest.mark.parametrize(
    ("wait", "asked", "hold"),
    [(5.0, None, 5.0), (1800.0, None, 30.0), (600.2, 600.0, 600.2), (None, None, 30.0), (None, 5.0, 30.0)],
)
def test_a_receiver_that_is_down_is_asked_by_others_after_half_a_minute(
    wait: float | None, asked: float | None, hold: float
) -> None:
    assert POLICY.hold(wait, asked) == hold
