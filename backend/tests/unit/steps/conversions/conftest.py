"""Facts of an experiment, with defaults: two messages, ten mature hours, nobody immature."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.post_audit.steps.conversions.facts import Block, Counts, Experiment, Facts, Hold, Variant
from tests.unit.steps.conversions.examples import AS_OF, MakeExperiment, MakeFacts

FIRST_HOUR = AS_OF - timedelta(hours=96)

VARIANTS = (
    Variant(
        id="variant_a", label="Rs 5,000 Credit Airdrop", message="Claim your credit.", cost_paise=500_000
    ),
    Variant(id="variant_b", label="50 Inquiries Focus", message="50 buyers ask.", cost_paise=0),
    Variant(id="variant_c", label="Free Page", message="Your page is free."),
)

Totals = Mapping[str, tuple[int, int]]


def _split(total: int, parts: int, place: int) -> int:
    return total // parts + (place < total % parts)


def _experiment(totals: Totals | None = None, *, parts: int = 10, **fields: object) -> Experiment:
    """Spread {variant: (units, converted)} evenly over `parts` hours, all of them mature."""
    totals = {"variant_a": (5_000, 200), "variant_b": (5_000, 205)} if totals is None else totals
    variants = tuple(variant for variant in VARIANTS if variant.id in totals)
    blocks = tuple(
        Block(
            hour=FIRST_HOUR + timedelta(hours=place),
            epoch=1,
            counts={
                name: Counts(units=_split(units, parts, place), converted=_split(converted, parts, place))
                for name, (units, converted) in totals.items()
                if units
            },
        )
        for place in range(parts)
    )
    defaults: dict[str, Any] = {
        "id": 1,
        "name": "Invite message",
        "active_variant": "variant_a",
        "winner": None,
        "variants": variants,
        "allocation_basis_points": {"variant_a": 5_000, "variant_b": 5_000},
        "allocation_epoch": 1,
        "version": 3,
        "attribution_window_hours": 72,
        "started_at": FIRST_HOUR,
        "last_invite_at": AS_OF - timedelta(minutes=1),
        "blocks": blocks,
        "immature": {},
    }
    return Experiment(**{**defaults, **fields})


def _facts(*experiments: Experiment, holds: tuple[Hold, ...] = (), as_of: datetime = AS_OF) -> Facts:
    return Facts(as_of=as_of, experiments=experiments, holds=holds)


@pytest.fixture(scope="session")
def make_experiment() -> MakeExperiment:
    return _experiment


@pytest.fixture(scope="session")
def make_facts() -> MakeFacts:
    return _facts
