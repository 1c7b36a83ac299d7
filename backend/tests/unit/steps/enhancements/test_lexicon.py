from __future__ import annotations

import pytest

from app.post_audit.steps.enhancements.lexicon import (
    State,
    category_of,
    severity_of_level,
    severity_of_score,
    severity_of_word,
    state_of_word,
)


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("CRITICAL", "critical"),
        (" Blocker ", "critical"),
        ("P1", "high"),
        ("moderate", "medium"),
        ("Info", "low"),
        ("9.8", "critical"),
        ("7", "high"),
        ("4.0", "medium"),
        ("0", "low"),
        ("11", None),
        ("purple", None),
        ("", None),
    ],
)
def test_words_and_scores(word: str, severity: str | None) -> None:
    assert severity_of_word(word) == severity


@pytest.mark.parametrize("score", [-0.1, 10.1, float("nan")])
def test_a_number_that_is_no_score(score: float) -> None:
    assert severity_of_score(score) is None


def test_levels_of_sarif() -> None:
    levels = ["error", "warning", "note", "none", "whatever"]
    assert [severity_of_level(level) for level in levels] == ["high", "medium", "low", "low", "medium"]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("In Progress", State("in_progress")),
        ("Won't fix", State("cancelled", "reported")),
        ("False Positive", State("cancelled", "false_positive")),
        ("DONE", State("completed", "reported")),
        ("maybe", None),
    ],
)
def test_states(word: str, state: State | None) -> None:
    assert state_of_word(word) == state


@pytest.mark.parametrize(
    ("texts", "category"),
    [
        (("", "Hard-coded password"), "secrets"),
        (("CVE-2020-1234",), "dependencies"),
        (("sql-injection", "database"), "security"),
        (("", "The page is slow"), "performance"),
        (("x", "y"), "general"),
    ],
)
def test_categories(texts: tuple[str, ...], category: str) -> None:
    assert category_of(*texts) == category
