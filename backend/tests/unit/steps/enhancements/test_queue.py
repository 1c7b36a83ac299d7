"""What the queue makes of the database's answers; what the database does is tested over a real one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from app.post_audit.errors import InvalidArgument, UnexpectedAnswer
from app.post_audit.formats import IST
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.tasks import Action, Filters

if TYPE_CHECKING:
    from app.post_audit.ports import JSON

TASK: dict[str, Any] = {
    "id": "clx1",
    "title": "Open redirect",
    "description": "",
    "priority": "high",
    "category": "security",
    "status": "pending",
    "disposition": None,
    "estimated_hours": None,
    "source": "CodeQL",
    "target": "",
    "location": None,
    "line": None,
    "component": None,
    "rule": None,
    "severity": "high",
    "occurrences": 1,
    "owner": None,
    "lease_expires_at": None,
    "accepted_until": None,
    "duplicate_of": None,
    "note": None,
    "first_seen_at": "2025-10-01T00:00:00+00:00",
    "last_seen_at": "2025-11-09T00:00:00+00:00",
    "updated_at": "2025-11-09T00:00:00+00:00",
    "completed_at": None,
    "version": "abc",
    "score": 129.8,
    "score_parts": {"base": 96.0, "ageing": 7.8, "closeness": 26.0},
    "due_at": "2025-10-31T00:00:00+00:00",
    "late": True,
}


class Answers:
    """A database that gives one answer after the other and remembers what it was asked."""

    def __init__(self, *answers: JSON) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def call(self, function: str, **arguments: object) -> JSON:
        self.asked.append({"function": function, **arguments})
        return self.answers.pop(0)

    def describe(self) -> str:
        return "answers"

    def close(self) -> None:
        """Nothing is open."""


def page(*tasks: JSON, following: JSON = None) -> JSON:
    return {"tasks": tasks, "count": 2, "next": following, "as_of": "2025-11-09T00:00:00+00:00"}


def test_a_score_is_explained() -> None:
    (task,) = queue.list_tasks(Answers(page(TASK)), Filters()).tasks
    assert task.reasons == (
        "96: high (60) x security (1.6).",
        "7.8: seen since 1 Oct, 05:30 IST.",
        "26: late; its 30 days ended 31 Oct, 05:30 IST.",
    )
    in_time = TASK | {"late": False, "score_parts": {"base": 96.0, "ageing": 0.0, "closeness": 3.0}}
    (task,) = queue.list_tasks(Answers(page(in_time)), Filters()).tasks
    assert task.reasons[1:] == ("3: its 30 days end 31 Oct, 05:30 IST.",)


def test_what_has_no_score_has_no_reasons() -> None:
    bare = {
        name: value for name, value in TASK.items() if name not in {"score", "score_parts", "due_at", "late"}
    }
    (task,) = queue.claim(Answers({"tasks": [bare]}), "w").tasks
    assert (task.score, task.reasons) == (None, ())


def test_every_page_is_asked_for_and_counted_never() -> None:
    place: JSON = {"as_of": "x", "key": -1.5, "id": 3}
    database = Answers(page(TASK, following=place), page(TASK))
    assert len(list(queue.every_task(database, Filters()))) == 2
    assert [asked["after"] for asked in database.asked] == [None, place]
    assert [asked["counted"] for asked in database.asked] == [False, False]


@pytest.mark.parametrize("after", ["x", "[]", '{"id": {}}'])
def test_a_place_that_is_none_is_refused_here(after: str) -> None:
    with pytest.raises(InvalidArgument, match="not a place"):
        queue.list_tasks(Answers(), Filters(), after=after)


@pytest.mark.parametrize(
    ("until", "sent"),
    [
        (None, None),
        (date(2026, 3, 31), datetime(2026, 4, 1, tzinfo=IST)),
        (datetime(2026, 3, 31, 12), datetime(2026, 3, 31, 12, tzinfo=IST)),  # noqa: DTZ001 - without a zone on purpose
        (datetime(2026, 3, 31, 12, tzinfo=UTC), datetime(2026, 3, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_day_means_its_end_in_india(until: date | None, sent: datetime | None) -> None:
    database = Answers({"tasks": [], "refused": []})
    queue.act(database, ["1"], Action.ACCEPT, "asha", until=until)
    assert database.asked[0]["until"] == sent
    assert database.asked[0]["action"] == "accept"


def test_an_answer_of_another_shape_is_named() -> None:
    with pytest.raises(UnexpectedAnswer, match="Claimed"):
        queue.claim(Answers({"tasks": [{}]}), "w")
