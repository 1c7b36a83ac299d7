"""Tests of `app.post_audit.steps.bugs`: how the facts are gathered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.ports import JSON
from app.post_audit.steps.bugs import STEP

NOW = datetime(2025, 11, 9, 6, tzinfo=UTC)


class Pages:
    """A database that has one bug on each page."""

    def __init__(self, answers: Mapping[object, JSON]) -> None:
        self.answers = answers
        self.asked: list[Mapping[str, object]] = []

    def call(self, function: str, **arguments: object) -> JSON:
        assert function == "post_audit_read_bugs"
        self.asked.append(arguments)
        return self.answers[arguments["after"]]

    def describe(self) -> str:
        return "a test"

    def close(self) -> None:
        self.asked.clear()


def page(number: str, following: str | None) -> JSON:
    return {"bugs": [{"id": number, "title": "x", "status": "open"}], "next": following}


def test_all_pages_are_read() -> None:
    database = Pages({None: page("1", "1"), "1": page("2", "2"), "2": page("3", None)})
    facts = STEP.gather(database, STEP.policy, NOW)
    assert ([bug.id for bug in facts.bugs], facts.as_of) == (["1", "2", "3"], NOW)
    assert database.asked[0] == {
        "as_of": NOW,
        "recent_hours": 72,
        "maximum_reporters": 1_000,
        "after": None,
        "limit": 2_000,
    }


@pytest.mark.parametrize("answer", [None, [], {"bugs": None}])
def test_an_answer_that_is_no_page_is_refused(answer: JSON) -> None:
    with pytest.raises(UnexpectedAnswer, match="no page of bugs"):
        STEP.gather(Pages({None: answer}), STEP.policy, NOW)
