"""Facts of an experiment, with defaults: two messages, ten mature hours, nobody immature; and decisions in short."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.post_audit.step import Decision
from app.post_audit.steps.conversions.facts import Block, Counts, Experiment, Facts, Hold, Variant
from app.post_audit.steps.conversions.policy import ConversionsPolicy

AS_OF = datetime(2025, 11, 9, 9, 0, tzinfo=UTC)
POLICY = ConversionsPolicy()
CLEAR = {"variant_a": (6_000, 240), "variant_b": (6_000, 420)}
MakeExperiment = Callable[..., Experiment]
MakeFacts = Callable[..., Facts]


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


def experiment_of(totals: Totals | None = None, *, parts: int = 10, **fields: object) -> Experiment:
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


def facts_of(*experiments: Experiment, holds: tuple[Hold, ...] = (), as_of: datetime = AS_OF) -> Facts:
    return Facts(as_of=as_of, experiments=experiments, holds=holds)


def codes(decision: Decision) -> list[str]:
    return [reason.code.removeprefix("conversions.") for reason in decision.reasons]


def words(decision: Decision) -> str:
    return " ".join(reason.text for reason in decision.reasons).replace("\u00a0", " ")


def numbers(decision: Decision, place: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(decision.numbers))["experiments"][place]
    return found


def told(document: object) -> dict[str, Any]:
    """Read it as the pages do; what JSON cannot hold fails."""
    found: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    return found
