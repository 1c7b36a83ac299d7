"""The answer of `GET /api/admin/ab-test/stats`, from the same judgement as the decision."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from app.post_audit.errors import NotFound
from app.post_audit.ports import JSON
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.facts import BLOCK_LENGTH, Counts, Experiment, Facts
from app.post_audit.steps.conversions.numbers import (
    comparison_numbers,
    counting_numbers,
    e_value,
    variant_numbers,
)
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from app.post_audit.steps.conversions.wording import explain

__all__ = ["stats"]


def _points(experiment: Experiment, variant: str, since: datetime) -> list[tuple[datetime, Counts]]:
    """Add up one variant by hour, oldest first, from the block on that contains `since`."""
    hours: defaultdict[datetime, list[Counts]] = defaultdict(list)
    for block in experiment.blocks:
        counts = block.counts.get(variant)
        if counts is not None and counts.units and block.hour + BLOCK_LENGTH > since:
            hours[block.hour].append(counts)
    return [
        (
            hour,
            Counts(units=sum(part.units for part in parts), converted=sum(part.converted for part in parts)),
        )
        for hour, parts in sorted(hours.items())
    ]


def _variant(experiment: Experiment, numbers: dict[str, JSON], since: datetime) -> dict[str, JSON]:
    """Tell of one variant: the known keys over the period asked for, the others over all the time."""
    points = _points(experiment, str(numbers["id"]), since)
    sent = sum(counts.units for _, counts in points)
    converted = sum(counts.converted for _, counts in points)
    return {
        "variant": numbers["id"],
        "total_sent": sent,
        "total_converted": converted,
        "conversion_rate": converted / sent if sent else None,
        "data_points": [
            {
                "time": hour.isoformat(),
                "conversion_rate": counts.converted / counts.units,
                "sent": counts.units,
                "converted": counts.converted,
            }
            for hour, counts in points
        ],
        **{key: numbers[key] for key in ("label", "units", "converted", "rate", "interval", "immature")},
    }


def stats(
    facts: Facts, policy: ConversionsPolicy, *, hours: int = 24, experiment_id: int | str | None = None
) -> dict[str, JSON]:
    """Tell the state of one experiment (the first, if none is named) as the marketplace's pages expect it.

    Only suppliers are counted whose attribution window is over, so `hours` reaches back from the newest
    invite that can be judged (`counted_until`), not from now; who is too young stands in `immature`. A rate
    is null where nobody was counted. While `counting` is not null, the counts are of a part of the suppliers and
    nothing is judged. Raises `NotFound` for an experiment that is not running.
    """
    running = [
        experiment
        for experiment in facts.experiments
        if experiment_id is None or str(experiment.id) == str(experiment_id)
    ]
    names: list[JSON] = [{"id": experiment.id, "name": experiment.name} for experiment in facts.experiments]
    if not running:
        if experiment_id is not None:
            raise NotFound(f"No running experiment has the id {experiment_id}.")
        return {
            "stats": [],
            "active_variant": None,
            "winner": None,
            "status": "unknown",
            "counting": None,
            "experiments": names,
        }
    experiment = running[0]
    assessment = assess(experiment, facts.as_of, facts.holds, policy)
    counted_until = facts.as_of - timedelta(hours=experiment.attribution_window_hours)
    since = counted_until - timedelta(hours=hours)
    return {
        "stats": [_variant(experiment, variant_numbers(result), since) for result in assessment.results],
        "active_variant": experiment.active_variant,
        "winner": experiment.winner,
        "status": assessment.status.value,
        "status_word": assessment.word,
        "days_left": assessment.days_left,
        "gained_conversions": assessment.gained,
        "comparisons": [comparison_numbers(effect) for effect in assessment.effects],
        "sentence": " ".join(reason.text for reason in explain(assessment, facts.as_of, policy)),
        "leader": assessment.leader.variant.id if assessment.leader else None,
        "e_value": e_value(assessment) if assessment.leader else None,
        "threshold": assessment.threshold,
        "immature": sum(result.immature for result in assessment.results),
        "allocation_basis_points": dict(experiment.allocation_basis_points),
        "window_hours": experiment.attribution_window_hours,
        "period_hours": hours,
        "counted_until": counted_until.isoformat(),
        "counting": counting_numbers(experiment),
        "as_of": facts.as_of.isoformat(),
        "experiment": {"id": experiment.id, "name": experiment.name},
        "experiments": names,
    }
