"""Tests of `app.post_audit.steps.conversions` itself: what it asks of the database, and the step's shape."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.ports import JSON
from app.post_audit.step import Outcome
from app.post_audit.steps.conversions import STEP, gather, gather_history, prepare
from app.post_audit.steps.conversions.facts import Facts
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from tests.unit.steps.conversions.examples import AS_OF


@dataclass
class Answering:
    """A database that answers everything alike and remembers what it was asked."""

    answer: JSON
    refreshes: int = 1
    asked: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def call(self, function: str, **arguments: object) -> JSON:
        self.asked.append((function, arguments))
        if function == "post_audit_maintain_conversions":
            self.refreshes -= 1
            return {"complete": self.refreshes <= 0, "noted": True, "counted": 4_000}
        return self.answer

    def describe(self) -> str:
        return "a database that answers everything alike"

    def close(self) -> None:
        self.asked.clear()


def test_it_reads_with_the_window_of_the_policy() -> None:
    database = Answering({"as_of": AS_OF.isoformat(), "experiments": [], "holds": []})
    facts = gather(database, ConversionsPolicy(attribution_window_hours=48), AS_OF)
    assert facts == Facts(as_of=AS_OF, experiments=(), holds=())
    assert database.asked == [
        ("post_audit_maintain_conversions", {"default_window_hours": 48, "milliseconds": 300}),
        (
            "post_audit_read_conversions",
            {"as_of": AS_OF, "default_window_hours": 48, "remembered": True},
        ),
    ]


def test_a_run_counts_everything_before_it_looks_and_says_how_far_it_is() -> None:
    database = Answering({"as_of": AS_OF.isoformat(), "experiments": [], "holds": []}, refreshes=3)
    told: list[str] = []
    STEP.run(database, AS_OF, told.append)
    assert told == [f"Counting invites: {number} suppliers so far" for number in ("4,000", "8,000")]
    assert [function for function, _ in database.asked] == [
        *["post_audit_maintain_conversions"] * 4,
        "post_audit_read_conversions",
    ]


def test_a_run_that_cannot_count_everything_goes_on_without() -> None:
    database = Answering({}, refreshes=1_000)
    assert len(list(prepare(database, ConversionsPolicy(counting_calls=5)))) == 5
    assert len(database.asked) == 5


def test_a_look_back_counts_nothing() -> None:
    database = Answering({"as_of": AS_OF.isoformat(), "experiments": [], "holds": []})
    gather_history(database, ConversionsPolicy(), AS_OF)
    assert [function for function, _ in database.asked] == ["post_audit_read_conversions"]


def test_an_answer_of_another_shape_is_refused() -> None:
    with pytest.raises(UnexpectedAnswer, match="experiments"):
        gather(Answering({"as_of": AS_OF.isoformat(), "holds": []}), ConversionsPolicy(), AS_OF)


def test_the_step_gathers_and_decides() -> None:
    database = Answering({"as_of": AS_OF.isoformat(), "experiments": [], "holds": []})
    assert STEP.name == "conversions"
    assert STEP.run(database, AS_OF).outcome is Outcome.UNKNOWN
