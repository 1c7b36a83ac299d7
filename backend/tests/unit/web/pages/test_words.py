from __future__ import annotations

from typing import Any

import pytest

from app.post_audit.web.pages.words import (
    asked_because,
    change_words,
    house_headline,
    number_word,
    question,
    standing,
    value_words,
)


@pytest.mark.parametrize(
    ("waiting", "broken", "headline"),
    [
        (0, [], "Everything is in order."),
        (1, [], "One decision waits for you."),
        (2, ["one message is unconfirmed"], "Two decisions wait for you, and one message is unconfirmed."),
        (0, ["the step bugs failed"], "The step bugs failed."),
        (12, ["a", "b"], "12 decisions wait for you, and two things are broken."),
    ],
)
def test_the_headline_says_what_waits_and_what_is_broken(
    waiting: int, broken: list[str], headline: str
) -> None:
    said, _ = house_headline(waiting, broken, has_run=True)
    assert said == headline
    assert len(said.split()) <= 12


def test_before_the_first_run_nothing_is_in_order() -> None:
    assert house_headline(0, [], has_run=False)[0] == "Nothing has run yet."


def decision(state: str, outcome: str = "act", **counts: int) -> dict[str, Any]:
    return {"state": state, "outcome": outcome, "counts": counts}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (decision("applied", applied=3), "acted"),
        (decision("applied", applied=3, proposed=1), "waits"),
        (decision("applying", pending=1), "acting"),
        (decision("proposed", proposed=1), "waits"),
        (decision("superseded"), "replaced"),
        (decision("undone", undone=1), "undone"),
        (decision("noted", "nothing"), "no change"),
        (decision("noted", "unknown"), "unknown"),
        (decision("noted", "blocked"), "blocked"),
    ],
)
def test_what_a_step_came_to(found: dict[str, Any], expected: str) -> None:
    assert standing("decided", found) == expected


def test_a_step_without_a_decision_is_failed_or_paused() -> None:
    assert (standing("failed", None), standing("paused", None)) == ("failed", "paused")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("spent_paise", 738_300, "₹7,383"),
        ("daily_quota", 1_842_500, "18,42,500"),
        ("allocation_basis_points", {"a": 500, "b": 9500}, "a 5\N{NO-BREAK SPACE}%, b 95\N{NO-BREAK SPACE}%"),
        ("winner", None, "none"),
        ("present", True, "yes"),
        ("evidence", [{"detail": "One."}, {"detail": "Two."}], "One. Two."),
        ("names", ["a", "b"], "a, b"),
        ("names", [], "none"),
        ("rate", 0.0405, "0.0405"),
    ],
)
def test_a_value_has_the_unit_of_its_name(name: str, value: object, expected: str) -> None:
    assert value_words(name, value) == expected


def test_a_change_is_said_from_and_to_and_what_stays_is_left_out() -> None:
    change = {
        "before": {"daily_quota": 20_000, "batch_size": 500},
        "after": {"daily_quota": 30_000, "batch_size": 500},
    }
    assert change_words(change) == "daily quota 20,000 → 30,000"


def waiting(subject: str, before: dict[str, Any], after: dict[str, Any], number: int = 1) -> dict[str, Any]:
    change = {
        "subject": subject,
        "before": before,
        "after": after,
        "needs_approval": {"text": "It is claimed."},
    }
    return {
        "headline": "Something is decided.",
        "counts": {"proposed": number},
        "changes": [change] * number,
        "reasons": [{"text": "The first reason."}, {"text": "8 of them wait for a person."}],
    }


def test_a_person_is_asked_a_question() -> None:
    raised = waiting("capacity:whatsapp", {"daily_quota": 30_000}, {"daily_quota": 45_000})
    assert question(raised) == "Raise WhatsApp to 45,000 a day?"
    lowered = waiting("capacity:sms", {"daily_quota": 30_000}, {"daily_quota": 20_000})
    assert question(lowered) == "Lower SMS to 20,000 a day?"
    suppliers = waiting("supplier:7", {"state": "live"}, {"state": "quarantined"}, 8)
    assert question(suppliers) == "Are these 8 suppliers invented?"
    assert question(waiting("experiment:1", {}, {})) == "Something is decided."


def test_a_person_is_told_first_why_they_are_asked() -> None:
    one = waiting("supplier:7", {}, {})
    assert asked_because(one) == ["8 of them wait for a person.", "It is claimed.", "The first reason."]
    several = waiting("supplier:7", {}, {}, 2)
    assert asked_because(several) == ["8 of them wait for a person.", "The first reason."]


def test_small_numbers_are_words() -> None:
    assert [number_word(number) for number in (0, 1, 9, 10, 100_000)] == [
        "no",
        "one",
        "nine",
        "10",
        "1,00,000",
    ]
