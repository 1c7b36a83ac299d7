"""What the pages show of experiments: where each stands, and one of them with its history.

The same judgement as the decision (`decide`, `assess`) and nothing counted anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from app.post_audit.codec import to_json
from app.post_audit.errors import NotFound
from app.post_audit.ports import JSON
from app.post_audit.step import Decision
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.assessment import Assessment, Obstacle
from app.post_audit.steps.conversions.comparisons import judged_blocks
from app.post_audit.steps.conversions.decide import decide
from app.post_audit.steps.conversions.facts import ALL_BASIS_POINTS, Experiment, Facts
from app.post_audit.steps.conversions.health import HARMS, got_and_due
from app.post_audit.steps.conversions.history import (
    Buckets,
    allocations_over_time,
    evidence_over_time,
    rates_over_time,
)
from app.post_audit.steps.conversions.numbers import (
    comparison_numbers,
    counting_numbers,
    e_value,
    finite,
    variant_numbers,
)
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["PastSwitch", "detail", "find", "overview"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSwitch:
    """A decision that changed the experiment, or proposed to; `before` and `after` name what it set."""

    decision_id: int
    kind: str
    at: AwareDatetime
    headline: str
    actor: str
    state: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    undone_by: int | None = None


def find(facts: Facts, experiment_id: str) -> Experiment:
    """Find a running experiment by its id as text; raises `NotFound`."""
    for experiment in facts.experiments:
        if str(experiment.id) == experiment_id:
            return experiment
    raise NotFound(
        f"No running experiment has the id {experiment_id}.",
        cure="See those that run: GET /api/admin/ab-test/experiments.",
    )


def _judged(facts: Facts, experiment: Experiment, policy: ConversionsPolicy) -> tuple[Assessment, Decision]:
    assessment = assess(experiment, facts.as_of, facts.holds, policy)
    return assessment, decide(replace(facts, experiments=(experiment,)), policy)


def _head(
    assessment: Assessment, decision: Decision, facts: Facts, policy: ConversionsPolicy
) -> dict[str, JSON]:
    """Tell where an experiment stands, in words and in the numbers behind them."""
    experiment, left = assessment.experiment, assessment.days_left
    return {
        "id": experiment.id,
        "name": experiment.name,
        "status": assessment.status.value,
        "status_word": assessment.word,
        "headline": decision.headline,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in decision.reasons],
        "next": decision.next,
        "days_left": left,
        "projected_decision_at": None if left is None else (facts.as_of + timedelta(days=left)).isoformat(),
        "active_variant": experiment.active_variant,
        "winner": experiment.winner,
        "leader": assessment.leader.variant.id if assessment.leader else None,
        "rival": assessment.rival.variant.id if assessment.rival else None,
        "e_value": e_value(assessment) if assessment.leader else None,
        "threshold": assessment.threshold,
        "alpha": policy.alpha,
        "minimum_units": policy.minimum_units,
        "gained_conversions": assessment.gained,
        "started_at": experiment.started_at.isoformat() if experiment.started_at else None,
        "last_invite_at": experiment.last_invite_at.isoformat() if experiment.last_invite_at else None,
        "window_hours": experiment.attribution_window_hours,
        "counted_until": _counted_until(experiment, facts.as_of).isoformat(),
        "counting": counting_numbers(experiment),
        "as_of": facts.as_of.isoformat(),
        "allocation": {
            "epoch": experiment.allocation_epoch,
            "basis_points": dict(experiment.allocation_basis_points),
            "holdout_basis_points": _holdout(experiment),
        },
        "version": experiment.version,
        "variants": [
            {
                **variant_numbers(result),
                "message": result.variant.message,
                "cost_paise": result.variant.cost_paise,
                "share_basis_points": experiment.allocation_basis_points.get(result.variant.id, 0),
                "is_active": result.variant.id == experiment.active_variant,
                "is_winner": result.variant.id == experiment.winner,
            }
            for result in assessment.results
        ],
    }


def _counted_until(experiment: Experiment, as_of: datetime) -> datetime:
    return as_of - timedelta(hours=experiment.attribution_window_hours)


def _holdout(experiment: Experiment) -> int | None:
    """What the others keep beside a winner, in basis points; None while nothing has won."""
    if experiment.winner is None:
        return None
    return ALL_BASIS_POINTS - experiment.allocation_basis_points.get(experiment.winner, 0)


def overview(facts: Facts, policy: ConversionsPolicy) -> dict[str, JSON]:
    """Tell where every running experiment stands."""
    return {
        "as_of": facts.as_of.isoformat(),
        "experiments": [
            _head(*_judged(facts, experiment, policy), facts, policy) for experiment in facts.experiments
        ],
    }


def detail(
    facts: Facts, policy: ConversionsPolicy, experiment_id: str, switches: Sequence[PastSwitch] = ()
) -> dict[str, JSON]:
    """Tell everything of one running experiment; raises `NotFound`.

    `history` and `evidence.history` count only suppliers whose attribution window is over, in buckets of
    `bucket_hours`; intervals hold at every look at once. A rate is null where nobody was counted.
    """
    experiment = find(facts, experiment_id)
    assessment, decision = _judged(facts, experiment, policy)
    buckets = Buckets.of(experiment)
    return {
        **_head(assessment, decision, facts, policy),
        "comparisons": [comparison_numbers(effect) for effect in assessment.effects],
        "bucket_hours": buckets.hours,
        "history": rates_over_time(experiment, buckets, policy),
        "evidence": {
            "leader": assessment.leader.variant.id if assessment.leader else None,
            "rival": assessment.rival.variant.id if assessment.rival else None,
            "e_value": e_value(assessment) if assessment.leader else None,
            "threshold": assessment.threshold,
            "history": evidence_over_time(assessment, buckets, facts.as_of, policy),
        },
        "epochs": allocations_over_time(experiment),
        "sharing": _sharing(assessment, policy),
        "guardrails": _guardrails(assessment, policy),
        "switches": [to_json(switch) for switch in switches],
    }


def _sharing(assessment: Assessment, policy: ConversionsPolicy) -> dict[str, JSON]:
    """Tell whether suppliers were shared as they should have been, and how many got several messages."""
    experiment = assessment.experiment
    known = [epoch for epoch in experiment.assigned if epoch in experiment.epoch_allocations]
    variants = [variant.id for variant in experiment.variants]
    shared = got_and_due(experiment.assigned, experiment.epoch_allocations, variants) if known else {}
    strayed = assessment.mismatch_log_e >= -math.log(policy.mismatch_alpha)
    everybody = sum(sum(counts.values()) for counts in experiment.assigned.values())
    exposed = experiment.exposed_to_several
    return {
        "status": ("strayed" if strayed else "kept") if known else "unknown",
        "e_value": finite(assessment.mismatch_log_e),
        "threshold": 1 / policy.mismatch_alpha,
        "assigned": {variant: got for variant, (got, _) in shared.items()},
        "due": {variant: due for variant, (_, due) in shared.items()},
        "suppliers": everybody,
        "exposed_to_several": exposed,
        "exposed_share": exposed / everybody if everybody else None,
        "exposed_limit": policy.maximum_exposed_share,
        "blocks_switches": assessment.obstacle in {Obstacle.MISMATCH, Obstacle.EXPOSED},
    }


def _guardrails(assessment: Assessment, policy: ConversionsPolicy) -> list[JSON]:
    """Tell of each harm how often each variant did it; what nobody records is `not_measured`, never zero."""
    told: list[JSON] = []
    for what, label in HARMS.items():
        totals = {
            result.variant.id: (
                result.units,
                sum(
                    getattr(block.counts[result.variant.id], what)
                    for block in judged_blocks(assessment.experiment)
                    if result.variant.id in block.counts
                ),
            )
            for result in assessment.results
        }
        broke = [breach.variant.id for breach in assessment.breaches if breach.what == what]
        told.append(
            {
                "what": what,
                "label": label,
                "status": "breached" if broke else "kept",
                "alpha": policy.guardrail_alpha,
                "variants": [
                    {
                        "id": name,
                        "units": units,
                        "events": events,
                        "rate": events / units if units else None,
                        "is_breached": name in broke,
                    }
                    for name, (units, events) in totals.items()
                ],
            }
        )
    told.append(
        {
            "what": "complaints",
            "label": "complaints",
            "status": "not_measured",
            "alpha": policy.guardrail_alpha,
            "variants": [],
        }
    )
    return told
