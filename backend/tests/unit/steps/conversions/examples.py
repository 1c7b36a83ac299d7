"""Numbers that tests of experiments share, and what a decision says in short."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.post_audit.step import Decision
from app.post_audit.steps.conversions.facts import Experiment, Facts
from app.post_audit.steps.conversions.policy import ConversionsPolicy

AS_OF = datetime(2025, 11, 9, 9, 0, tzinfo=UTC)
POLICY = ConversionsPolicy()
CLEAR = {"variant_a": (6_000, 240), "variant_b": (6_000, 420)}
MakeExperiment = Callable[..., Experiment]
MakeFacts = Callable[..., Facts]


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
