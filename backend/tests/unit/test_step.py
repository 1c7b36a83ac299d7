from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.step import Change, Decision, Outcome, Reason, ReasonCode, parse_facts

REASON = Reason(code="test", text="Because.")
CHANGE = Change(subject="capacity:sms", before={"quota": 1}, after={"quota": 2})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    as_of: datetime
    used: int


def test_a_reason_fills_its_sentence_and_keeps_its_numbers() -> None:
    reason = ReasonCode("capacity.used", "{used:,} of {quota:,} are used.")(used=17_000, quota=20_000)
    assert (reason.text, reason.numbers) == ("17,000 of 20,000 are used.", {"used": 17_000, "quota": 20_000})


@pytest.mark.parametrize(
    ("sent", "text"), [(0, "0 messages were sent."), (1, "1 message was sent."), (2, "2 messages were sent.")]
)
def test_a_reason_speaks_of_one_and_of_many(sent: int, text: str) -> None:
    assert ReasonCode("sent", "{sent} {sent:message was|messages were} sent.")(sent=sent).text == text


def test_a_reason_without_its_number_is_refused() -> None:
    with pytest.raises(KeyError):
        ReasonCode("capacity.used", "{used} of {quota} are used.")(used=1)


@pytest.mark.parametrize(
    ("outcome", "headline", "reasons", "changes"),
    [
        (Outcome.NOTHING, "", (REASON,), ()),
        (Outcome.NOTHING, "Nothing changed.", (), ()),
        (Outcome.NOTHING, "Nothing changed.", (REASON,), (CHANGE,)),
        (Outcome.UNKNOWN, "Nothing is known.", (REASON,), (CHANGE,)),
        (Outcome.ACT, "Raised.", (REASON,), ()),
    ],
    ids=[
        "no headline",
        "no reason",
        "nothing with changes",
        "unknown with changes",
        "acting without changes",
    ],
)
def test_a_decision_that_cannot_be_explained_cannot_be_made(
    outcome: Outcome, headline: str, reasons: tuple[Reason, ...], changes: tuple[Change, ...]
) -> None:
    with pytest.raises(ValueError, match="a decision"):
        Decision(outcome=outcome, headline=headline, reasons=reasons, changes=changes)


def test_facts_are_read_from_the_databases_answer() -> None:
    facts = parse_facts(Facts, {"as_of": "2025-11-09T12:30:00+00:00", "used": 3})
    assert facts == Facts(as_of=datetime(2025, 11, 9, 12, 30, tzinfo=UTC), used=3)


@pytest.mark.parametrize(
    "answer", [None, [], {"as_of": "2025-11-09T12:30:00Z"}, {"as_of": "soon", "used": 3}]
)
def test_an_answer_of_another_shape_is_refused_naming_the_place(answer: object) -> None:
    with pytest.raises(UnexpectedAnswer, match="Facts"):
        parse_facts(Facts, answer)  # type: ignore[arg-type]
