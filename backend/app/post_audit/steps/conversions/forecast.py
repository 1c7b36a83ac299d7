"""How long an experiment has to go on, and what it has brought so far."""

from __future__ import annotations

import math
from typing import Final

from app.post_audit.steps.conversions.assessment import VariantResult
from app.post_audit.steps.conversions.comparisons import judged_blocks
from app.post_audit.steps.conversions.facts import Experiment
from app.post_audit.steps.conversions.ledger import Ledger

__all__ = ["conversions_gained", "days_to_decision"]

_DAY_HOURS: Final = 24


def days_to_decision(
    experiment: Experiment, past: Ledger, leader: VariantResult, rival: VariantResult, missing: float
) -> float | None:
    """Estimate how long the present lead has to last until the evidence is enough.

    With rates p and q in shares a and b, an invited supplier adds a p log(p/m) + b q log(q/m) on average,
    where m is their common rate: the information of the conversion coin.
    """
    told = [block.hour for block in judged_blocks(experiment)]
    first = past.first_hour or min(told)
    last = max(told) if told else past.last_hour or first
    units = leader.units + rival.units
    rate = (leader.converted + rival.converted) / units
    if rate == 0:
        return None
    growth = sum(
        result.converted / units * math.log(result.converted / result.units / rate)
        for result in (leader, rival)
        if result.converted
    )
    days = ((last - first).total_seconds() / 3600 + 1) / _DAY_HOURS
    return missing / (growth * units / days) if growth > 0 else None


def conversions_gained(results: tuple[VariantResult, ...]) -> float:
    """Count the conversions above those of even shares, at the rates seen."""
    even = sum(result.units for result in results) / len(results)
    return sum((result.units - even) * result.converted / result.units for result in results)
