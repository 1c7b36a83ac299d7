"""Reasons are filled as people read them, and keep their bare numbers."""

from __future__ import annotations

import math

import pytest

from app.post_audit.step import ReasonCode
from app.post_audit.steps.conversions.sentences import odds_of, say


def test_counts_are_grouped_and_fractions_are_percent() -> None:
    code = ReasonCode("conversions.planted", "{name}: {units} {units:supplier|suppliers}, {rate}.")
    reason = say(code, name="Invite", units=120_000, rate=0.0417)
    assert reason.text == "Invite: 1,20,000 suppliers, 4.17\N{NO-BREAK SPACE}%."
    assert reason.numbers == {"name": "Invite", "units": 120_000, "rate": 0.0417}
    assert say(code, name="Invite", units=1, rate=1.0).text.startswith("Invite: 1 supplier,")


@pytest.mark.parametrize(
    ("log_e", "tests", "odds"),
    [
        (math.log(40.5), 1, "1 time in 40"),
        (math.log(40.5), 2, "1 time in 20"),
        (1e6, 1, "1 time in 10,00,000"),
    ],
)
def test_evidence_is_told_as_odds_shared_among_what_was_tested(log_e: float, tests: int, odds: str) -> None:
    assert odds_of(log_e, tests) == odds
