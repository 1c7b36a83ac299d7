"""Tests of `app.post_audit.steps.conversions.facts`: the answer of the database, read or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.step import parse_facts
from app.post_audit.steps.conversions.facts import Block, Counts, Facts


def answer(**experiment: object) -> dict[str, Any]:
    """Give the database's answer with one experiment, as JSON."""
    defaults = {
        "id": 1,
        "name": "Invite message",
        "active_variant": "variant_a",
        "winner": None,
        "variants": [
            {
                "id": "variant_a",
                "label": "Rs 5,000 Credit Airdrop",
                "message": "Claim.",
                "cost_paise": 500_000,
            },
            {"id": "variant_b", "label": "50 Inquiries Focus"},
        ],
        "allocation_basis_points": {"variant_a": 5_000, "variant_b": 5_000},
        "allocation_epoch": 1,
        "version": 0,
        "attribution_window_hours": 72,
        "started_at": "2025-11-01T00:00:00+00:00",
        "last_invite_at": None,
        "blocks": [
            {
                "hour": "2025-11-01T10:00:00+00:00",
                "epoch": 1,
                "counts": {"variant_a": {"units": 4, "converted": 1}},
            }
        ],
        "immature": {"variant_b": 2},
    }
    return {
        "as_of": "2025-11-09T09:00:00+00:00",
        "experiments": [defaults | experiment],
        "holds": [
            {
                "subject": "experiment:1",
                "undone": {"winner": "variant_b"},
                "until": "2025-11-12T09:00:00+00:00",
                "decision_id": 4,
            }
        ],
    }


def test_an_answer_is_read() -> None:
    facts = parse_facts(Facts, answer())
    (experiment,) = facts.experiments
    assert facts.as_of == datetime(2025, 11, 9, 9, tzinfo=UTC)
    assert experiment.subject == "experiment:1"
    assert experiment.blocks[0].counts == {"variant_a": Counts(units=4, converted=1)}
    assert (experiment.variants[1].message, experiment.variants[1].cost_paise) == ("", None)
    assert experiment.variant("variant_b") == experiment.variants[1]
    assert experiment.variant("variant_z") is None
    assert experiment.variant(None) is None
    assert facts.holds[0].undone == {"winner": "variant_b"}


def test_the_id_keeps_its_type() -> None:
    assert parse_facts(Facts, answer(id="clx9")).experiments[0].subject == "experiment:clx9"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"attribution_window_hours": 0}, "attribution_window_hours"),
        ({"immature": {"variant_a": -1}}, "immature"),
        ({"started_at": "2025-11-01T00:00:00"}, "started_at"),
        ({"variants": [{"id": "variant_a", "label": "A"}] * 2}, "same id"),
        (
            {
                "blocks": [
                    {
                        "hour": "2025-11-01T10:00:00Z",
                        "epoch": 1,
                        "counts": {"variant_a": {"units": 1, "converted": 2}},
                    }
                ]
            },
            "2 converted of only 1",
        ),
    ],
    ids=["window", "negative", "no time zone", "twice", "more converted than units"],
)
def test_an_unusable_answer_is_refused_whole(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=place):
        parse_facts(Facts, answer(**fields))


def test_only_whole_hours_that_are_mature_are_evidence() -> None:
    as_of = datetime(2025, 11, 9, 9, 30, tzinfo=UTC)
    newest = datetime(2025, 11, 6, 8, tzinfo=UTC)
    blocks = [
        {"hour": (newest + timedelta(hours=hours)).isoformat(), "epoch": epoch, "counts": {}}
        for hours, epoch in [(1, 1), (0, 2), (0, 1), (-1, 1)]
    ]
    (experiment,) = parse_facts(Facts, answer(blocks=blocks)).experiments
    assert experiment.closed_blocks(as_of) == (
        Block(hour=newest - timedelta(hours=1), epoch=1, counts={}),
        Block(hour=newest, epoch=1, counts={}),
        Block(hour=newest, epoch=2, counts={}),
    )
    assert experiment.closed_blocks(as_of + timedelta(minutes=30))[-1].hour == newest + timedelta(hours=1)
