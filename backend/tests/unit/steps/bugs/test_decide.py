"""Tests of `app.post_audit.steps.bugs.decide`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.step import Change, Outcome
from app.post_audit.steps.bugs.facts import BugFacts, Reporter, Tier
from app.post_audit.steps.bugs.fingerprint import fingerprint
from app.post_audit.steps.bugs.policy import BugsPolicy
from tests.unit.steps.bugs.examples import NOW, OURS, after, bug, codes, decided, hold, settled


def test_nothing_is_open() -> None:
    decision = decided()
    assert (decision.outcome, decision.headline, codes(decision)) == (
        Outcome.NOTHING,
        "No bug is open.",
        ["bugs.none_open"],
    )
    assert decision.numbers["by_severity"] == {"critical": 0, "high": 0, "medium": 0, "low": 0}


def test_repeats_are_merged_into_the_oldest_and_the_whole_is_scored() -> None:
    repeats = [bug(number, title=f"WALLET shows ₹{number} after claim!") for number in (5, 3, 2, 4)]
    decision = decided(*repeats, bug(1), bug(9, title="Page is blank", page="/about"))
    assert decision.outcome is Outcome.ACT
    assert decision.headline == "“Wallet shows ₹0 after claim” hurts most; 4 repeats merged."
    assert len(decision.headline.split()) <= 12
    assert decision.changes[0] == Change(
        subject="bug:2",
        before={"status": "open", "duplicate_of": None},
        after={"status": "duplicate", "duplicate_of": "1"},
    )
    assert [change.subject for change in decision.changes] == [f"bug:{n}" for n in (2, 3, 4, 5, 1, 9)]
    assert decision.independent
    assert "undo" in decision.next
    assert codes(decision) == [
        "bugs.hurts_most",
        "bugs.severity",
        "bugs.reach_of_impact",
        "bugs.money",
        "bugs.velocity",
        "bugs.no_regression",
        "bugs.age",
        "bugs.runner_up",
        "bugs.merged",
        "bugs.scores",
    ]
    top: Any = decision.numbers["top"]
    assert (top[0]["id"], top[0]["repeats"], top[0]["reports"]) == ("1", 4, 5)
    assert decision.numbers["merges"] == [{"bug": str(number), "into": "1"} for number in (2, 3, 4, 5)]
    assert (decision.numbers["open"], decision.numbers["merged"], decision.numbers["rescored"]) == (2, 4, 2)


def test_the_score_is_written_with_its_factors_and_the_fingerprint() -> None:
    change = decided(bug()).changes[0]
    assert change.before == {"priority_score": None, "score_factors": None, "fingerprint": None}
    product = 1.0
    factors: Any = change.after["score_factors"]
    for factor in factors:
        product *= factor["value"]
    assert change.after["priority_score"] == round(product, 3)
    assert change.after["fingerprint"] == fingerprint(
        title="Wallet shows ₹0 after claim", page="/wallet", error_code=None, description=None
    )


def test_a_second_look_at_the_same_facts_changes_nothing() -> None:
    bugs = settled(
        bug(1, severities=("low",), impacts=(), reporters=(Reporter(id="a", tier=Tier.NEW),)),
        bug(2, severities=("critical",), recent_reports=3, reporters=(Reporter(id="a", tier=Tier.PAYING),)),
        bug(3, title="Page is blank", page=None),
    )
    decision = decided(*bugs)
    assert (decision.outcome, decision.changes) == (Outcome.NOTHING, ())
    assert decision.headline == "“Wallet shows ₹0 after claim” hurts most of 2 open bugs."
    assert decision.next == "Begin with bug 1."


some_bugs = st.lists(
    st.builds(
        bug,
        number=st.just(0),
        title=st.sampled_from(["Wallet shows ₹0", "wallet SHOWS ₹5!", "Page is blank"]),
        page=st.sampled_from(["/wallet", "/wallet/?a=1", None]),
        severities=st.lists(st.sampled_from(["critical", "low", "p1"]), max_size=2).map(tuple),
        status=st.sampled_from(["open", "in_progress", "new"]),
        impacts=st.sampled_from([(), ("all_users",), ("new_users",)]),
        reporters=st.lists(
            st.builds(Reporter, id=st.sampled_from("abc"), tier=st.sampled_from(Tier)), max_size=3
        ).map(tuple),
        recent_reports=st.integers(0, 4),
        first_reported_at=st.none() | st.integers(0, 40).map(lambda days: NOW - timedelta(days=days)),
        reopened_at=st.none() | st.just(NOW),
        score_override=st.none() | st.just(50.0),
        fingerprint=st.sampled_from([None, OURS, "theirs"]),
    ),
    max_size=7,
).map(lambda bugs: tuple(replace(one, id=str(number)) for number, one in enumerate(bugs, 1)))


@given(some_bugs)
def test_whatever_is_carried_out_once_is_settled(bugs: tuple[BugFacts, ...]) -> None:
    first = decided(*bugs)
    assert decided(*after(bugs, first)).changes == ()


@given(some_bugs)
def test_nothing_is_changed_twice_or_merged_into_what_goes_away(bugs: tuple[BugFacts, ...]) -> None:
    decision = decided(*bugs)
    subjects = [change.subject for change in decision.changes]
    assert len(subjects) == len(set(subjects))
    gone = {change.subject for change in decision.changes if "status" in change.after}
    assert not gone & {f"bug:{change.after.get('duplicate_of')}" for change in decision.changes}
    taken = {f"bug:{one.id}" for one in bugs if one.score_override is not None or one.status == "in_progress"}
    assert not gone & taken


@given(some_bugs, st.randoms(use_true_random=False))
def test_the_order_in_which_bugs_come_does_not_matter(bugs: tuple[BugFacts, ...], random: Any) -> None:  # noqa: ANN401
    shuffled = list(bugs)
    random.shuffle(shuffled)
    assert decided(*shuffled) == decided(*bugs)


def test_a_changed_score_is_written_once_it_differs_enough() -> None:
    (settled_bug,) = settled(bug(impacts=(), reporters=(Reporter(id="a", tier=Tier.OTHER),)))
    assert decided(replace(settled_bug, priority_score=settled_bug.priority_score * 1.04)).changes == ()  # type: ignore[operator]
    two = replace(settled_bug, reporters=(*settled_bug.reporters, Reporter(id="b", tier=Tier.OTHER)))
    decision = decided(two)
    assert decision.changes[0].before == {
        "priority_score": settled_bug.priority_score,
        "score_factors": settled_bug.score_factors,
    }
    assert decision.headline == "“Wallet shows ₹0 after claim” hurts most; 1 score updated."
    assert decision.reasons[-1].text == (
        "1 score is new or differs by more than 0.5 points or 5\N{NO-BREAK SPACE}%."
    )


def test_a_score_without_its_factors_is_written_anew() -> None:
    (settled_bug,) = settled(bug())
    assert decided(replace(settled_bug, score_factors=None)).changes[0].after["score_factors"]


def test_a_score_that_was_taken_back_rests_until_more_than_its_age_changes() -> None:
    (scored,) = settled(bug())
    taken_back = bug(hold=hold(scored.score_factors))
    rests = decided(taken_back)
    assert (rests.outcome, rests.changes) == (Outcome.NOTHING, ())
    assert rests.reasons[-1].text == (
        "1 score rests: it was taken back or declined before; that holds until the facts change."
    )
    older = decided(replace(taken_back, first_reported_at=NOW))
    assert older.changes == ()
    worse = decided(replace(taken_back, severities=("critical",)))
    assert worse.outcome is Outcome.ACT


@pytest.mark.parametrize("factors", [None, [], "none", [{"factor": "reach"}, {"value": 2}, 3]])
def test_a_hold_whose_factors_cannot_be_read_holds_nothing(factors: object) -> None:
    assert decided(bug(hold=hold(factors))).outcome is Outcome.ACT


def test_what_is_too_much_for_one_run_follows_in_the_next() -> None:
    bugs = (bug(1), bug(2), bug(3), bug(4, title="Other"))
    some = decided(*bugs, policy=BugsPolicy(maximum_changes=3))
    assert [change.subject for change in some.changes] == ["bug:2", "bug:3", "bug:1"]
    assert some.reasons[-1].text == "1 change follows in the next run; one run makes at most 3."
    few = decided(*bugs, policy=BugsPolicy(maximum_changes=1))
    assert few.headline == "“Wallet shows ₹0 after claim” hurts most; 1 repeat merged."
    assert few.reasons[-1].text == "3 changes follow in the next run; one run makes at most 1."
    assert (few.numbers["merged"], few.numbers["rescored"]) == (1, 0)
    assert few.numbers["merges"] == [{"bug": "2", "into": "1"}]


def test_ten_bugs_are_shown() -> None:
    decision = decided(*(bug(number, title=f"Failure {chr(96 + number)}") for number in range(1, 15)))
    top: Any = decision.numbers["top"]
    assert len(top) == 10
    assert decision.numbers["by_severity"] == {"critical": 0, "high": 0, "medium": 14, "low": 0}


def test_a_score_set_by_a_person_leads_and_says_so() -> None:
    decision = decided(
        bug(1, severities=("critical",)),
        bug(2, title="Page is blank", severities=("low",), score_override=999.0, override_by="asha"),
    )
    assert decision.reasons[1].text == "asha set the score to 999."
    top: Any = decision.numbers["top"]
    assert (top[0]["id"], top[0]["is_set_by_person"]) == ("2", True)
