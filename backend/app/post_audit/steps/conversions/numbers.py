"""The numbers that a decision records and the pages show: everything its sentences say, and what they rest on."""

from __future__ import annotations

import math
from typing import Final

from app.post_audit.ports import JSON
from app.post_audit.steps.conversions.assessment import Assessment, Effect, VariantResult
from app.post_audit.steps.conversions.facts import Experiment

__all__ = [
    "comparison_numbers",
    "counting_numbers",
    "e_value",
    "experiment_numbers",
    "finite",
    "variant_numbers",
]

_LARGEST_EXPONENT: Final = 700.0
"""exp(709) is the largest that a float, and so JSON, can hold."""


def finite(log_e: float) -> float:
    """Give the e-value of a log e-value, kept within what JSON can hold."""
    return math.exp(min(log_e, _LARGEST_EXPONENT))


def e_value(assessment: Assessment) -> float:
    """Give the e-value of the leader against its nearest rival, kept finite."""
    return finite(assessment.log_e)


def variant_numbers(result: VariantResult) -> dict[str, JSON]:
    """Record one variant; a rate that is not known is null, not zero."""
    return {
        "id": result.variant.id,
        "label": result.variant.label,
        "units": result.units,
        "converted": result.converted,
        "rate": result.rate,
        "interval": list(result.interval) if result.units else None,
        "immature": result.immature,
    }


def counting_numbers(experiment: Experiment) -> dict[str, JSON] | None:
    """Record how far a count is; None where everything is counted."""
    counting = experiment.counting
    return None if counting is None else {"counted": counting.counted, "invites": counting.invites}


def comparison_numbers(effect: Effect) -> dict[str, JSON]:
    """Record one comparison; an end that is not bounded is null."""
    low, high = effect.ratio
    return {
        "first": effect.first,
        "second": effect.second,
        "favours": effect.favours,
        "e_value": finite(effect.log_e),
        "ratio_interval": [low, high if math.isfinite(high) else None],
        "difference_interval": list(effect.difference),
    }


def experiment_numbers(assessment: Assessment) -> dict[str, JSON]:
    """Record one experiment."""
    experiment = assessment.experiment
    last_invite_at = experiment.last_invite_at
    return {
        "id": experiment.id,
        "name": experiment.name,
        "status": assessment.status.value,
        "active_variant": experiment.active_variant,
        "winner": experiment.winner,
        "leader": assessment.leader.variant.id if assessment.leader else None,
        "rival": assessment.rival.variant.id if assessment.rival else None,
        "e_value": e_value(assessment) if assessment.leader else None,
        "threshold": assessment.threshold,
        "window_hours": experiment.attribution_window_hours,
        "word": assessment.word,
        "days_left": assessment.days_left,
        "gained_conversions": assessment.gained,
        "counting": counting_numbers(experiment),
        "mismatch_e_value": finite(assessment.mismatch_log_e),
        "comparisons": [comparison_numbers(effect) for effect in assessment.effects],
        "last_invite_at": last_invite_at.isoformat() if last_invite_at else None,
        "variants": [variant_numbers(result) for result in assessment.results],
    }
