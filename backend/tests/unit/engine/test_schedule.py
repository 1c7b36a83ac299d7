from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.engine import tick_of

moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
intervals = st.integers(1, 7 * 24 * 3600).map(lambda seconds: timedelta(seconds=seconds))


@given(moments, intervals)
def test_a_moment_lies_in_its_tick_and_all_moments_of_a_tick_have_its_name(
    moment: datetime, interval: timedelta
) -> None:
    tick, following = tick_of(moment, interval)
    assert moment < following <= moment + interval
    assert tick_of(following - timedelta(microseconds=1), interval)[0] == tick
    assert tick_of(following - interval, interval)[0] == tick
    assert tick_of(following, interval)[0] != tick


def test_two_hours_cut_the_day_at_even_hours_of_utc() -> None:
    moment = datetime(2025, 11, 9, 13, 59, tzinfo=UTC)
    assert tick_of(moment, timedelta(hours=2)) == (
        "schedule:2025-11-09T12:00:00+00:00/7200s",
        datetime(2025, 11, 9, 14, tzinfo=UTC),
    )
