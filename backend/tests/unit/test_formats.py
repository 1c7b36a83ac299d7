"""Tests of `app.post_audit.formats`: what people read, letter by letter."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.formats import count, counted, duration, ist, ist_time, percent, ratio_in_words, rupees


def _plain(text: str) -> str:
    """Make no-break spaces visible as underscores."""
    return text.replace("\N{NO-BREAK SPACE}", "_")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 open bugs"), (1, "1 open bug"), (2, "2 open bugs"), (1_200, "1,200 open bugs")],
)
def test_things_are_counted_in_words(number: int, text: str) -> None:
    assert counted(number, "open bug") == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1_000, "1,000"),
        (20_000, "20,000"),
        (100_000, "1,00,000"),
        (1_842_500, "18,42,500"),
        (123_456_789, "12,34,56,789"),
        (-100_000, "-1,00,000"),
    ],
)
def test_count_groups_three_digits_then_pairs(number: int, text: str) -> None:
    assert count(number) == text


@given(st.integers())
def test_count_loses_no_digit(number: int) -> None:
    assert int(count(number).replace(",", "")) == number


@pytest.mark.parametrize(
    ("paise", "text"),
    [
        (0, "₹0"),
        (5, "₹0.05"),
        (100, "₹1"),
        (86_250, "₹862.50"),
        (1_000_000, "₹10,000"),
        (184_250_000, "₹18,42,500"),
        (-5_050, "-₹50.50"),
    ],
)
def test_rupees_show_paise_only_when_not_whole(paise: int, text: str) -> None:
    assert rupees(paise) == text


@pytest.mark.parametrize(
    ("ratio", "decimals", "text"),
    [
        (0.914, 0, "91_%"),
        (0.914, 1, "91.4_%"),
        (0, 0, "0_%"),
        (-0.0001, 0, "0_%"),
        (1.5, 0, "150_%"),
        (-0.25, 2, "-25.00_%"),
    ],
)
def test_percent_keeps_its_sign_on_the_same_line(ratio: float, decimals: int, text: str) -> None:
    assert _plain(percent(ratio, decimals)) == text


@pytest.mark.parametrize("ratio", [math.nan, math.inf])
def test_percent_of_nothing_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        percent(ratio)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2025, 11, 12, 9, 2, tzinfo=UTC), "12 Nov, 14:32 IST"),
        (datetime(2025, 12, 31, 18, 30, tzinfo=UTC), "1 Jan, 00:00 IST"),
        (datetime(2025, 5, 3, 1, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))), "3 May, 01:05 IST"),
    ],
)
def test_ist_is_the_day_and_time_in_india(moment: datetime, text: str) -> None:
    assert ist(moment) == text
    assert ist_time(moment) == text.partition(", ")[2]


@pytest.mark.parametrize("write", [ist, ist_time])
def test_a_moment_without_a_time_zone_is_refused(write: object) -> None:
    assert callable(write)
    with pytest.raises(ValueError, match="no time zone"):
        write(datetime(2025, 11, 12, 9, 2))  # noqa: DTZ001 - the missing zone is the case


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0_s"),
        (0.0004, "0_s"),
        (0.042, "42_ms"),
        (0.9999, "1_s"),
        (1.5, "1.5_s"),
        (5, "5_s"),
        (9.96, "10.0_s"),
        (45.3, "45_s"),
        (59.7, "1_min"),
        (125, "2_min 5_s"),
        (1_800, "30_min"),
        (3_599.8, "1_h"),
        (10_800, "3_h"),
        (10_799, "3_h"),
        (7_500, "2_h 5_min"),
        (86_399, "1_d"),
        (187_200, "2_d 4_h"),
        (-90, "-1_min 30_s"),
        (-0.4, "-400_ms"),
        (-0.0001, "0_s"),
    ],
)
def test_duration_names_its_two_largest_units(seconds: float, text: str) -> None:
    assert _plain(duration(seconds)) == text


@pytest.mark.parametrize("seconds", [math.nan, math.inf])
def test_an_endless_duration_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="is not a length of time"):
        duration(seconds)


@pytest.mark.parametrize(
    ("e_value", "text"),
    [
        (0.2, "1 time in 1"),
        (1.9, "1 time in 1"),
        (9.8, "1 time in 9"),
        (20, "1 time in 20"),
        (99.9, "1 time in 99"),
        (1_234, "1 time in 1,200"),
        (128_000.0, "1 time in 1,20,000"),
        (math.inf, "1 time in 10,00,000"),
    ],
)
def test_ratio_in_words_never_claims_more_than_the_evidence(e_value: float, text: str) -> None:
    assert ratio_in_words(e_value) == text


@given(st.floats(min_value=1, allow_nan=False))
def test_the_odds_told_are_never_above_the_e_value(e_value: float) -> None:
    told = int(ratio_in_words(e_value).removeprefix("1 time in ").replace(",", ""))
    assert told <= e_value


@pytest.mark.parametrize("e_value", [math.nan, -1.0])
def test_what_is_no_e_value_is_refused(e_value: float) -> None:
    with pytest.raises(ValueError, match="is not an e-value"):
        ratio_in_words(e_value)
