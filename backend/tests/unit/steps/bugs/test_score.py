"""Tests of `app.post_audit.steps.bugs.score`."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.bugs.facts import BugFacts, Reporter, Tier
from app.post_audit.steps.bugs.policy import BugsPolicy
from app.post_audit.steps.bugs.score import Score, distinct_reporters, score, severity_of

NOW = datetime(2025, 11, 9, 6, 0, tzinfo=UTC)
POLICY = BugsPolicy()


def reporters(*tiers: Tier) -> tuple[Reporter, ...]:
    return tuple(Reporter(id=f"u{number}", tier=tier) for number, tier in enumerate(tiers))


def plain() -> BugFacts:
    """A bug whose every factor but severity (2) and reach (1) is 1."""
    return BugFacts(id="1", title="Page is blank", status="open", severities=("medium",))


def scored(bug: BugFacts) -> Score:
    return score(bug, NOW, POLICY)


def factor(bug: BugFacts, name: str) -> tuple[float, str]:
    found = next(one for one in scored(bug).factors if one.name == name)
    assert found.reason.numbers["value"] == found.value
    return found.value, found.reason.text


bugs = st.builds(
    BugFacts,
    id=st.just("1"),
    title=st.sampled_from(["Wallet shows ₹0", "Page is blank", "Claimed twice"]),
    status=st.just("open"),
    page=st.sampled_from([None, "/wallet", "/about"]),
    severities=st.lists(st.sampled_from(["critical", "high", "medium", "low", "p1"])).map(tuple),
    impacts=st.lists(st.sampled_from(["all_users", "new_users", "nobody"])).map(tuple),
    reporters=st.lists(
        st.builds(Reporter, id=st.text(max_size=3), tier=st.sampled_from(Tier)), max_size=20
    ).map(tuple),
    recent_reports=st.integers(0, 50),
    first_reported_at=st.none()
    | st.datetimes(datetime(2020, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is given
    reopened_at=st.none() | st.just(NOW),
)


@given(bugs)
def test_the_score_is_the_product_of_its_factors(bug: BugFacts) -> None:
    result = scored(bug)
    assert result.value == round(math.prod(one.value for one in result.factors), 3)
    assert [one.name for one in result.factors] == [
        "severity",
        "reach",
        "money",
        "velocity",
        "regression",
        "age",
    ]
    assert all(one.value >= 1 for one in result.factors)


@given(bugs, st.sampled_from(Tier))
def test_one_more_report_never_makes_a_bug_smaller(bug: BugFacts, tier: Tier) -> None:
    more = replace(
        bug,
        reporters=(*bug.reporters, Reporter(id="somebody new", tier=tier)),
        recent_reports=bug.recent_reports + 1,
    )
    assert scored(more).value >= scored(bug).value


@given(
    st.lists(st.lists(st.builds(Reporter, id=st.text("abc", max_size=2), tier=st.sampled_from(Tier)))),
    st.integers(1, 4),
)
def test_cutting_groups_off_before_putting_them_together_changes_nothing(
    groups: list[list[Reporter]], maximum: int
) -> None:
    policy = BugsPolicy(maximum_reporters=maximum)
    cut = [distinct_reporters([group], policy) for group in groups]
    assert distinct_reporters(cut, policy) == distinct_reporters(groups, policy)


@given(st.sampled_from(["critical", "high", "medium", "low"]), st.sampled_from(sorted(POLICY.impact_weights)))
def test_in_the_table_alone_severity_goes_before_impact(severity: str, impact: str) -> None:
    order = ["low", "medium", "high", "critical"]
    bug = replace(plain(), severities=(severity,), impacts=(impact,))
    for lesser in order[: order.index(severity)]:
        widest = replace(plain(), severities=(lesser,), impacts=("all_users",))
        assert scored(bug).value > scored(widest).value


def test_the_formula_by_hand() -> None:
    bug = replace(
        plain(),
        page="/wallet",
        severities=("critical",),
        reporters=reporters(Tier.PAYING, Tier.TOP_100, Tier.NEW, Tier.OTHER),
        recent_reports=4,
        first_reported_at=NOW - timedelta(hours=12),
        reopened_at=NOW - timedelta(hours=1),
    )
    reach = round(math.log2(2 + 3 + 2 + 1.5 + 1), 4)
    assert scored(bug).value == round(10 * reach * 2 * 1.4 * 1.5 * 1.5, 3)
    assert [one.reason.text for one in scored(bug).factors] == [
        "Severity critical: 10.",
        "4 reporters, weight 7.5: log2(2 + 7.5) = 3.248.",
        "Money is at stake (wallet): × 2.",
        "4 reports in 3 days: × 1.4.",
        "Reported again after a fix: × 1.5.",
        "Open for 12\u00a0h of the 1 day allowed: × 1.5.",
    ]


def test_without_reporters_the_impact_stands_for_them() -> None:
    assert factor(replace(plain(), impacts=("new_users", "all_users")), "reach") == (
        4.0,
        "Impact all_users stands for a weight of 14: log2(2 + 14) = 4.",
    )
    assert factor(plain(), "reach") == (1.0, "No reporter is known, weight 0: log2(2 + 0) = 1.")
    assert factor(replace(plain(), impacts=("everybody",)), "reach")[0] == 1.0


def test_the_first_report_does_not_take_away_what_the_impact_says() -> None:
    bug = replace(plain(), impacts=("all_users",), reporters=reporters(Tier.OTHER))
    assert factor(bug, "reach")[0] == 4.0


def test_one_person_counts_once_and_in_the_weightiest_tier() -> None:
    twice = (
        Reporter(id="u", tier=Tier.OTHER),
        Reporter(id="u", tier=Tier.PAYING),
        Reporter(id="u", tier=Tier.NEW),
    )
    assert distinct_reporters([twice], POLICY) == (Reporter(id="u", tier=Tier.PAYING),)


@pytest.mark.parametrize(
    ("page", "title", "money"),
    [
        ("/wallet", "Page is blank", 2),
        ("/payments/77", "Page is blank", 2),
        (None, "Claimed twice", 2),
        ("/about", "Credits are gone", 2),
        ("/about", "Page is blank", 1),
        ("/about", "Disclaimer is blank", 1),
        ("/accreditation", "Page is blank", 1),
    ],
)
def test_money_doubles(page: str | None, title: str, money: float) -> None:
    assert factor(replace(plain(), page=page, title=title), "money")[0] == money


@pytest.mark.parametrize(("recent", "velocity"), [(0, 1.0), (1, 1.1), (10, 2.0), (500, 2.0)])
def test_recent_reports_count_up_to_ten(recent: int, velocity: float) -> None:
    assert factor(replace(plain(), recent_reports=recent), "velocity")[0] == velocity


@pytest.mark.parametrize(
    ("severity", "age", "expected"),
    [
        ("critical", timedelta(days=1), 2.0),
        ("high", timedelta(days=3), 2.0),
        ("medium", timedelta(days=7), 1.5),
        ("low", timedelta(days=15), 1.5),
        ("low", timedelta(days=900), 2.0),
        ("low", timedelta(days=-1), 1.0),
    ],
)
def test_age_counts_up_to_what_is_allowed(severity: str, age: timedelta, expected: float) -> None:
    bug = replace(plain(), severities=(severity,), first_reported_at=NOW - age)
    assert factor(bug, "age")[0] == expected


def test_an_unknown_severity_says_so() -> None:
    assert factor(replace(plain(), severities=("p1", "urgent")), "severity") == (
        2.0,
        "Severity “p1, urgent” is not known and counts as medium: 2.",
    )
    assert factor(replace(plain(), severities=()), "severity")[1] == "Severity medium: 2."


def test_the_highest_severity_of_all_repeats_counts() -> None:
    assert severity_of(replace(plain(), severities=("low", "critical", "high")), POLICY) == "critical"


def test_a_person_overrides_severity_and_score() -> None:
    bug = replace(plain(), severities=("low",), severity_override="Critical", override_by="asha")
    assert factor(bug, "severity") == (10.0, "Severity critical, set by asha: 10.")
    assert severity_of(replace(bug, severity_override="worst"), POLICY) == "medium"
    locked = scored(replace(bug, score_override=77.5))
    assert (locked.value, locked.is_set, locked.severity) == (77.5, True, "critical")
    assert [one.reason.text for one in locked.factors] == ["asha set the score to 77.5."]
    assert locked.factors[0].as_json() == {
        "factor": "set_by_person",
        "value": 77.5,
        "text": "asha set the score to 77.5.",
    }
