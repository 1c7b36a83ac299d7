"""What people are told of bugs, in how many words, and how often."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.post_audit.steps.bugs.facts import BugFacts, Reporter, Tier
from tests.unit.steps.bugs.examples import NOW, bug, decided, hold, settled


def test_many_merges_are_told_in_few_sentences() -> None:
    pairs = [
        bug(10 * group + place, title=f"Title number {word}")
        for group, word in enumerate(("one", "two", "three", "four", "five"), 1)
        for place in (1, 2)
    ]
    texts = [reason.text for reason in decided(*pairs).reasons if reason.code.startswith("bugs.merged")]
    assert len(texts) == 4
    assert texts[-1] == "2 repeats merged into 2 other bugs in the same way."


def test_two_held_scores_are_told_in_the_plural() -> None:
    first, second = settled(bug(1), bug(2, title="Page is blank"))
    decision = decided(
        bug(1, hold=hold(first.score_factors)), bug(2, title="Page is blank", hold=hold(second.score_factors))
    )
    assert "2 scores rest: they were taken back" in decision.reasons[-1].text


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
