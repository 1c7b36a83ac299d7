"""Tests of `app.post_audit.steps.bugs.facts`: the shape that the database answers with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.step import parse_facts
from app.post_audit.steps.bugs.facts import BugFacts, BugsFacts, Hold, Reporter, Tier

ANSWER: dict[str, Any] = {
    "as_of": "2025-11-09T06:00:00+00:00",
    "bugs": [
        {
            "id": "7",
            "title": "Wallet shows ₹0",
            "status": "open",
            "page": None,
            "priority_score": 12.5,
            "score_factors": [{"factor": "severity", "value": 2, "text": "Severity medium: 2."}],
            "severities": ["medium"],
            "reporters": [{"id": "u1", "tier": "paying"}],
            "reports": 1,
            "first_reported_at": "2025-11-08T06:00:00+00:00",
            "separated_from": ["3"],
            "hold": {
                "undone": {"status": "duplicate"},
                "until": "2025-11-16T06:00:00+00:00",
                "decision_id": 4,
            },
        }
    ],
}


def test_an_answer_becomes_facts() -> None:
    facts = parse_facts(BugsFacts, ANSWER)
    assert facts == BugsFacts(
        as_of=datetime(2025, 11, 9, 6, tzinfo=UTC),
        bugs=(
            BugFacts(
                id="7",
                title="Wallet shows ₹0",
                status="open",
                priority_score=12.5,
                score_factors=[{"factor": "severity", "value": 2, "text": "Severity medium: 2."}],
                severities=("medium",),
                reporters=(Reporter(id="u1", tier=Tier.PAYING),),
                first_reported_at=datetime(2025, 11, 8, 6, tzinfo=UTC),
                separated_from=frozenset({"3"}),
                hold=Hold(
                    undone={"status": "duplicate"}, until=datetime(2025, 11, 16, 6, tzinfo=UTC), decision_id=4
                ),
            ),
        ),
    )


def test_another_shape_is_refused() -> None:
    with pytest.raises(UnexpectedAnswer, match=r"bugs\.0\.title"):
        parse_facts(BugsFacts, {"as_of": ANSWER["as_of"], "bugs": [{"id": "7", "status": "open"}]})
