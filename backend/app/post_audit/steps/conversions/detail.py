"""What the pages show of experiments: where each stands, and one of them with its history.

The same judgement as the decision (`decide`, `assess`) and nothing counted anew.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pydantic import AwareDatetime

from app.post_audit.codec import to_json
from app.post_audit.errors import NotFound
from app.post_audit.ports import JSON
from app.post_audit.step import Decision
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.assessment import Assessment, Obstacle
from app.post_audit.steps.conversions.comparisons import judged_blocks, series_of
from app.post_audit.steps.conversions.decide import decide
from app.post_audit.steps.conversions.evidence import evidence_path
from app.post_audit.steps.conversions.facts import ALL_BASIS_POINTS, BLOCK_LENGTH, Block, Experiment, Facts
from app.post_audit.steps.conversions.health import HARMS, got_and_due
from app.post_audit.steps.conversions.intervals import rate_intervals
from app.post_audit.steps.conversions.ledger import bets_of
from app.post_audit.steps.conversions.numbers import (
    comparison_numbers,
    counting_numbers,
    e_value,
    finite,
    variant_numbers,
)
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["PastSwitch", "detail", "find", "overview"]

_HOURLY_UP_TO: Final = timedelta(days=5)
"""A longer history is told by day: 120 points of hours, or one a day."""


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
    buckets = _Buckets.of(experiment)
    return {
        **_head(assessment, decision, facts, policy),
        "comparisons": [comparison_numbers(effect) for effect in assessment.effects],
        "bucket_hours": buckets.hours,
        "history": _history(experiment, buckets, policy),
        "evidence": {
            "leader": assessment.leader.variant.id if assessment.leader else None,
            "rival": assessment.rival.variant.id if assessment.rival else None,
            "e_value": e_value(assessment) if assessment.leader else None,
            "threshold": assessment.threshold,
            "history": _evidence_history(assessment, buckets, facts.as_of, policy),
        },
        "epochs": _epochs(experiment),
        "sharing": _sharing(assessment, policy),
        "guardrails": _guardrails(assessment, policy),
        "switches": [to_json(switch) for switch in switches],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buckets:
    """How the history is cut: hours, or days from the first hour's midnight on (UTC)."""

    hours: int

    @classmethod
    def of(cls, experiment: Experiment) -> _Buckets:
        """Choose by the length of the history."""
        hours = [block.hour for block in experiment.blocks]
        short = not hours or max(hours) - min(hours) <= _HOURLY_UP_TO
        return cls(hours=1 if short else 24)

    def end(self, hour: datetime) -> datetime:
        """Give the end of the bucket that an hour lies in."""
        if self.hours == 1:
            return hour + BLOCK_LENGTH
        return hour.replace(hour=0) + timedelta(days=1)


def _history(experiment: Experiment, buckets: _Buckets, policy: ConversionsPolicy) -> list[JSON]:
    """Tell rates by bucket and in total up to it, with the interval of the total."""
    names = [variant.id for variant in experiment.variants]
    counts: defaultdict[datetime, dict[str, list[int]]] = defaultdict(
        lambda: {name: [0, 0] for name in names}
    )
    for block in judged_blocks(experiment):
        at = counts[buckets.end(block.hour)]
        for name in names:
            if (found := block.counts.get(name)) is not None:
                at[name][0] += found.units
                at[name][1] += found.converted
    times = sorted(counts)
    told: list[dict[str, JSON]] = [{} for _ in times]
    for name in names:
        units = converted = 0
        totals: list[tuple[int, int]] = []
        for time in times:
            units, converted = units + counts[time][name][0], converted + counts[time][name][1]
            totals.append((units, converted))
        low, high = rate_intervals([k for _, k in totals], [n for n, _ in totals], policy.alpha)
        for place, time in enumerate(times):
            (sent, hits), (n, k) = counts[time][name], totals[place]
            told[place][name] = {
                "sent": sent,
                "converted": hits,
                "rate": hits / sent if sent else None,
                "total_sent": n,
                "total_converted": k,
                "total_rate": k / n if n else None,
                "interval": [float(low[place]), float(high[place])] if n else None,
            }
    return [{"time": time.isoformat(), "variants": of} for time, of in zip(times, told, strict=True)]


def _evidence_history(
    assessment: Assessment, buckets: _Buckets, as_of: datetime, policy: ConversionsPolicy
) -> list[JSON]:
    """Tell the e-value of leader against rival after each bucket of closed blocks, and whom it favoured."""
    leader, rival = assessment.leader, assessment.rival
    blocks = assessment.experiment.closed_blocks(as_of)
    if leader is None or rival is None or not blocks:
        return []
    series = series_of(assessment.experiment, as_of)
    path = evidence_path(*series[leader.variant.id], *series[rival.variant.id], bets_of(policy))
    last = {buckets.end(block.hour): place for place, block in enumerate(blocks)}
    names = {1: leader.variant.id, -1: rival.variant.id}
    return [
        {
            "time": time.isoformat(),
            "e_value": finite(float(path.log_e[place])),
            "favours": names.get(int(math.copysign(1, path.lean[place])) if path.lean[place] else 0),
        }
        for time, place in last.items()
    ]


def _epochs(experiment: Experiment) -> list[JSON]:
    """Tell each allocation: its shares, who was assigned, and who of those that can be judged converted."""
    blocks: defaultdict[int, list[Block]] = defaultdict(list)
    for block in experiment.blocks:
        blocks[block.epoch].append(block)
    told: list[JSON] = []
    for epoch in sorted({*experiment.assigned, *blocks, experiment.allocation_epoch}):
        hours = [block.hour for block in blocks[epoch]]
        wanted = experiment.epoch_allocations.get(epoch)
        told.append(
            {
                "epoch": epoch,
                "is_present": epoch == experiment.allocation_epoch,
                "is_judged": epoch >= experiment.judged_from_epoch,
                "first_hour": min(hours).isoformat() if hours else None,
                "last_hour": max(hours).isoformat() if hours else None,
                "basis_points": None if wanted is None else dict(wanted),
                "assigned": dict(experiment.assigned.get(epoch, {})),
                "units": _sums(blocks[epoch], "units"),
                "converted": _sums(blocks[epoch], "converted"),
            }
        )
    return told


def _sums(blocks: Sequence[Block], what: str) -> dict[str, JSON]:
    sums: defaultdict[str, int] = defaultdict(int)
    for block in blocks:
        for name, counts in block.counts.items():
            sums[name] += getattr(counts, what)
    return dict(sums)


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
