from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.post_audit.web.pages.enhancements.words import (
    age_words,
    due_words,
    grouped,
    headline,
    lede,
    place_of,
)

NOW = datetime(2025, 11, 12, 9, 2, tzinfo=UTC)


def task(days: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - a task's own values
    return {"id": 1, "due_at": (NOW + timedelta(days=days)).isoformat(), **more}


def counts(**found: int) -> dict[str, int]:
    return {"all": 0, "late": 0, "late_nobody": 0, "review": 0, **found}


@pytest.mark.parametrize(
    ("found", "said", "more"),
    [
        (
            counts(all=37, late=4, late_nobody=2),
            "4 tasks are late. Two of them have no owner.",
            "33 more are open, 5 of them due this week.",
        ),
        (counts(all=1, late=1, late_nobody=1), "1 task is late. It has no owner.", "Nothing else is open."),
        (counts(all=3, late=3), "3 tasks are late. All have an owner.", "Nothing else is open."),
        (
            counts(all=3, late=3, late_nobody=3),
            "3 tasks are late. None has an owner.",
            "Nothing else is open.",
        ),
        (counts(all=11), "11 tasks are open, and none is late.", "5 of them are due this week."),
        (counts(), "Nothing is left to do.", "The queue is empty."),
        (
            counts(review=2),
            "Only findings to review are left.",
            "Confirm or dismiss them, and the queue is empty.",
        ),
    ],
)
def test_the_headline_says_what_is_late_and_whose(found: dict[str, int], said: str, more: str) -> None:
    assert (headline(found), lede(found, 5)) == (said, more)
    assert len(said.split()) <= 12


def test_tasks_are_grouped_by_when_they_are_due_late_first() -> None:
    tasks = [task(20, id=1), task(-1, id=2), task(3, id=3), task(-5, id=4), task(0, id=5)]
    groups = grouped(tasks, NOW)
    assert [(group.name, [one["id"] for one in group.tasks]) for group in groups] == [
        ("Late", [4, 2]),
        ("Due this week", [5, 3]),
        ("Later", [1]),
    ]
    assert grouped([], NOW) == []


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (-3, ("late 3\N{NO-BREAK SPACE}d", "late")),
        (-0.25, ("late 6\N{NO-BREAK SPACE}h", "late")),
        (0.1, ("today 16:56", "soon")),
        (2, ("Fri 14 Nov", "")),
    ],
)
def test_when_a_task_is_due(days: float, expected: tuple[str, str]) -> None:
    assert due_words(task(days), NOW) == expected


def test_age_is_told_in_its_largest_unit() -> None:
    assert (
        age_words({"first_seen_at": (NOW - timedelta(days=5, hours=3)).isoformat()}, NOW)
        == "5\N{NO-BREAK SPACE}d"
    )
    assert age_words({"first_seen_at": NOW.isoformat()}, NOW) == "new"


def test_where_a_task_lies() -> None:
    there = {"source": "Bandit", "location": "a.py", "component": None, "line": 3}
    assert place_of(there) == "Bandit · a.py:3"
    assert place_of({**there, "location": None, "line": None, "component": "left-pad"}) == "Bandit · left-pad"
    assert place_of({**there, "source": None, "location": None}) == ""
