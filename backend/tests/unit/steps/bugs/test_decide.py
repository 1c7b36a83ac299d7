"""Tests of `app.post_audit.steps.bugs.decide`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.step import Change, Decision, Outcome
from app.post_audit.steps.bugs.decide import decide
from app.post_audit.steps.bugs.facts import BugFacts, BugsFacts, Hold, Reporter, Tier
from app.post_audit.steps.bugs.fingerprint import fingerprint
from app.post_audit.steps.bugs.policy import BugsPolicy

NOW = datetime(2025, 11, 9, 6, 0, tzinfo=UTC)
POLICY = BugsPolicy()
OURS = "v1:" + "a" * 64


def bug(number: int = 1, **fields: Any) -> BugFacts:  # noqa: ANN401 - any field of a bug
    start: dict[str, Any] = {
        "id": str(number),
        "title": "Wallet shows ₹0 after claim",
        "page": "/wallet",
        "status": "open",
        "severities": ("medium",),
        "impacts": ("all_users",),
        "first_reported_at": NOW - timedelta(days=30, hours=-number),
    }
    return BugFacts(**(start | fields))


def decided(*bugs: BugFacts, policy: BugsPolicy = POLICY) -> Decision:
    return decide(BugsFacts(as_of=NOW, bugs=bugs), policy)


def changes(decision: Decision) -> dict[str, Mapping[str, Any]]:
    return {change.subject: change.after for change in decision.changes}


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


def after(facts: tuple[BugFacts, ...], decision: Decision) -> tuple[BugFacts, ...]:
    """What the database tells next when the changes have been carried out."""
    known = {one.id: one for one in facts}
    for change in decision.changes:
        number = change.subject.removeprefix("bug:")
        if change.after.get("status") == "duplicate":
            gone, into = known.pop(number), known[str(change.after["duplicate_of"])]
            known[into.id] = replace(
                into,
                severities=tuple({*into.severities, *gone.severities}),
                impacts=tuple({*into.impacts, *gone.impacts}),
                reporters=(*into.reporters, *gone.reporters),
                reports=into.reports + gone.reports,
                recent_reports=into.recent_reports + gone.recent_reports,
                repeats=into.repeats + gone.repeats + 1,
                first_reported_at=min(
                    (x.first_reported_at for x in (into, gone) if x.first_reported_at), default=None
                ),
                reopened_at=max((x.reopened_at for x in (into, gone) if x.reopened_at), default=None),
                alerted_at=max((x.alerted_at for x in (into, gone) if x.alerted_at), default=None),
            )
    for change in decision.changes:
        number = change.subject.removeprefix("bug:")
        if number in known and "status" not in change.after:
            fields: Any = change.after
            known[number] = replace(known[number], **fields)
    return tuple(known.values())


def settled(*bugs: BugFacts) -> tuple[BugFacts, ...]:
    """Bugs with their scores and fingerprints written."""
    return after(bugs, decided(*bugs))


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


def test_a_stored_fingerprint_of_ours_counts_and_another_system_s_is_left_alone() -> None:
    edited = decided(bug(1, fingerprint=OURS), bug(2, fingerprint=OURS, title="Renamed by a developer"))
    assert changes(edited)["bug:2"] == {"status": "duplicate", "duplicate_of": "1"}
    foreign = decided(bug(1, fingerprint="theirs-1"), bug(2, fingerprint="theirs-2"))
    assert changes(foreign)["bug:2"]["duplicate_of"] == "1"
    assert "fingerprint" not in changes(foreign)["bug:1"]


def test_the_same_title_alone_merges_nothing() -> None:
    decision = decided(
        bug(1, page=None, description="It stays white"), bug(2, page=None, description="The list has no rows")
    )
    assert all("status" not in change.after for change in decision.changes)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"status": "in_progress"}, id="somebody works on it"),
        pytest.param({"score_override": 5.0}, id="somebody scored it"),
        pytest.param({"severity_override": "low"}, id="somebody judged it"),
        pytest.param({"separated_from": frozenset({"1"})}, id="somebody took it apart"),
        pytest.param(
            {
                "hold": Hold(
                    undone={"status": "duplicate", "duplicate_of": "1"},
                    until=NOW + timedelta(days=1),
                    decision_id=3,
                )
            },
            id="somebody declined it",
        ),
    ],
)
def test_what_a_person_did_stands(second: dict[str, Any]) -> None:
    first = (
        bug(1, status="in_progress") if "separated_from" not in second and "hold" not in second else bug(1)
    )
    decision = decided(first, bug(2, **second))
    assert all("status" not in change.after for change in decision.changes)
    assert "bugs.kept_apart" in codes(decision)


def test_the_one_taken_apart_stays_so_from_either_side() -> None:
    decision = decided(bug(1, separated_from=frozenset({"2"})), bug(2))
    assert all("status" not in change.after for change in decision.changes)


def test_what_somebody_works_on_takes_the_others_in() -> None:
    assert changes(decided(bug(1), bug(2, status="in_progress")))["bug:1"]["duplicate_of"] == "2"


def test_an_unknown_state_is_open_and_its_name_is_what_is_compared() -> None:
    decision = decided(bug(1), bug(2, status="New"))
    assert decision.changes[0].before == {"status": "New", "duplicate_of": None}


def test_many_merges_are_told_in_few_sentences() -> None:
    pairs = [
        bug(10 * group + place, title=f"Title number {word}")
        for group, word in enumerate(("one", "two", "three", "four", "five"), 1)
        for place in (1, 2)
    ]
    texts = [reason.text for reason in decided(*pairs).reasons if reason.code.startswith("bugs.merged")]
    assert len(texts) == 4
    assert texts[-1] == "2 repeats merged into 2 other bugs in the same way."


def hold(values: object, points: float = 40.0) -> Hold:
    return Hold(
        undone={"priority_score": points, "score_factors": values},
        until=NOW + timedelta(days=5),
        decision_id=3,
    )


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


def test_two_held_scores_are_told_in_the_plural() -> None:
    first, second = settled(bug(1), bug(2, title="Page is blank"))
    decision = decided(
        bug(1, hold=hold(first.score_factors)), bug(2, title="Page is blank", hold=hold(second.score_factors))
    )
    assert "2 scores rest: they were taken back" in decision.reasons[-1].text


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


def critical(number: int = 1, **fields: Any) -> BugFacts:  # noqa: ANN401 - any field of a bug
    return bug(number, severities=("critical",), **({"title": f"Failure {chr(96 + number)}"} | fields))


def test_people_are_told_of_a_critical_bug() -> None:
    decision = decided(
        critical(
            title="Claim of ravi@firm.in fails",
            page="/claims",
            reporters=(Reporter(id="u1", tier=Tier.PAYING), Reporter(id="u2", tier=Tier.NEW)),
            reports=3,
            impacts=(),
            first_reported_at=NOW,
        )
    )
    (message,) = decision.messages
    assert (message.alert, message.subject, message.payload["bugs"]) == (True, "bug_alert:1", ["1"])
    assert message.payload["text"] == (
        "Critical bug: Claim of [email] fails\nPage: /claims\nReported: 3 times, 2 reporters\n"
        "Since: 9 Nov, 11:30 IST\nBug 1, 54.0 points"
    )


def test_what_is_not_known_is_said_to_be_so() -> None:
    (message,) = decided(critical(page=None, first_reported_at=None, reopened_at=NOW)).messages
    text = str(message.payload["text"])
    assert "Page: not known" in text
    assert "Reported: 1 time, no named reporter, again after a fix" in text
    assert "Since: not known" in text


@pytest.mark.parametrize(
    ("alerted_at", "reopened_at", "messages"),
    [
        pytest.param(None, None, 1, id="never told"),
        pytest.param(NOW, None, 0, id="told"),
        pytest.param(NOW - timedelta(1), NOW, 1, id="came back after it was told"),
        pytest.param(NOW, NOW - timedelta(1), 0, id="told after it came back"),
    ],
)
def test_people_are_told_once(
    alerted_at: datetime | None, reopened_at: datetime | None, messages: int
) -> None:
    decision = decided(critical(alerted_at=alerted_at, reopened_at=reopened_at))
    assert len(decision.messages) == messages


def test_a_bug_is_not_told_of_again_by_its_repeat() -> None:
    same = {"title": "Failure"}
    assert decided(critical(1, **same), critical(2, alerted_at=NOW, **same)).messages == ()


def test_many_critical_bugs_do_not_flood_the_group() -> None:
    messages = decided(*(critical(number) for number in range(1, 18))).messages
    assert [message.subject for message in messages] == [
        *(f"bug_alert:{n}" for n in range(1, 6)),
        "bug_alert:more",
    ]
    lines = str(messages[-1].payload["text"]).splitlines()
    assert lines[0] == "12 more bugs of severity critical:"
    assert (len(lines), lines[-1]) == (12, "and 2 more.")
    assert messages[-1].payload["bugs"] == [str(number) for number in range(6, 18)]
    assert (
        len(str(decided(*(critical(n) for n in range(1, 7))).messages[-1].payload["text"]).splitlines()) == 2
    )


def test_a_long_title_is_cut_for_the_headline() -> None:
    assert decided(bug(title="one two three four five six seven eight")).headline == (
        "“one two three four five six…” hurts most; 1 score updated."
    )
    assert len(decided(bug(title="x" * 200)).headline) < 100


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
