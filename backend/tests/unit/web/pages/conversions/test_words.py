from __future__ import annotations

from typing import Any

import pytest

from app.post_audit.web.pages.charts import bands_options, evidence_options, odds
from app.post_audit.web.pages.conversions.words import (
    STATUS,
    chart_headline,
    evidence_headline,
    headline,
    lead,
    lede,
)

SPACE = "\N{NO-BREAK SPACE}"


def experiment(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - an experiment's own values
    return {
        "status": "collecting",
        "leader": "b",
        "rival": "a",
        "e_value": 9.8,
        "threshold": 20.0,
        "reasons": [{"text": "The first reason."}],
        "allocation": {"holdout_basis_points": None},
        "variants": [
            {"id": "a", "letter": "A", "rate": 0.0399},
            {"id": "b", "letter": "B", "rate": 0.0502},
        ],
        "comparisons": [{"first": "a", "second": "b", "ratio_interval": [0.617, 1.02]}],
        **more,
    }


def test_the_verdict_comes_first() -> None:
    assert headline(experiment()) == "B brings more claims than A, but it is not certain yet."
    assert "B becomes the message" in lede(experiment(), "act")
    assert "waits for your word" in lede(experiment(), "propose")
    assert "paused" in lede(experiment(), "paused")


@pytest.mark.parametrize("status", STATUS)
def test_every_status_has_a_short_verdict(status: str) -> None:
    assert 0 < len(headline(experiment(status=status)).split()) <= 12


def test_the_lead_is_told_from_the_leader_whichever_way_it_was_compared() -> None:
    found = lead(experiment())
    assert found is not None
    assert (found.leader, found.rival, found.lift_words) == ("B", "A", f"+26{SPACE}%")
    assert (found.low_words, found.high_words) == (f"\N{MINUS SIGN}2{SPACE}%", f"+62{SPACE}%")
    assert chart_headline(experiment()) == f"B is 26{SPACE}% ahead; it could still be 2{SPACE}% behind"
    turned = experiment(comparisons=[{"first": "b", "second": "a", "ratio_interval": [1.1, None]}])
    other = lead(turned)
    assert other is not None
    assert (other.low_words, other.high_words) == (f"+10{SPACE}%", "no bound")
    assert chart_headline(turned) == f"B is 26{SPACE}% ahead, and at least 10{SPACE}%"


def test_nobody_leads_where_nobody_can_be_compared() -> None:
    assert lead(experiment(leader=None)) is None
    assert lead(experiment(variants=[{"id": "b", "letter": "B", "rate": None}])) is None


@pytest.mark.parametrize(
    ("e_value", "said"),
    [
        (None, "There is no evidence yet"),
        (0.4, "The evidence has hardly begun"),
        (9.8, "The evidence is three quarters of the way"),
        (20.0, "The evidence is enough"),
        (150_000.0, "The evidence is enough"),
    ],
)
def test_how_far_the_evidence_has_come(e_value: float | None, said: str) -> None:
    assert evidence_headline(experiment(e_value=e_value)) == said


def test_odds_are_never_told_stronger_than_they_are() -> None:
    assert (odds(9.8), odds(154_762.0), odds(0.2)) == ("1 in 9", "1 in 1,50,000", "1 in 1")


def test_the_pictures_hold_what_was_measured() -> None:
    history = [
        {
            "time": f"2025-11-1{day}T00:00:00Z",
            "e_value": value,
            "variants": {
                "b": {"total_rate": 0.05, "interval": [0.04, 0.06]},
                "a": {"total_rate": None, "interval": None},
            },
        }
        for day, value in ((0, 1.0), (1, 100.0))
    ]
    evidence = evidence_options(history, 20.0, projected_at=None)
    assert [point[1] for point in evidence["series"][0]["data"]] == [0.0, 2.0]
    variants = [{"id": "a", "letter": "A"}, {"id": "b", "letter": "B"}]
    bands = bands_options(history, variants, leader="b")["series"]
    # a lower bound, the width above it, and the rate; nothing of the variant that nobody can judge
    assert [[point[1] for point in series["data"]] for series in bands] == [
        [4.0, 4.0],
        [2.0, 2.0],
        [5.0, 5.0],
    ]
