"""The A/B engine over a file of real units: what it would have decided, and when.

Uses the functions of the step and none of its own, so what is measured here is what runs.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.post_audit.errors import InputError
from app.post_audit.ports import JSON
from app.post_audit.replay.units import Units
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.assessment import Assessment
from app.post_audit.steps.conversions.evidence import evidence_path
from app.post_audit.steps.conversions.facts import Block, Counts, Experiment, Variant
from app.post_audit.steps.conversions.health import mismatch_log_e
from app.post_audit.steps.conversions.ledger import bets_of
from app.post_audit.steps.conversions.numbers import comparison_numbers, variant_numbers
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from app.post_audit.steps.conversions.wording import explain

__all__ = ["UNITS_A_LOOK", "evaluate", "proven_path", "with_alpha"]

UNITS_A_LOOK: Final = 100
"""A replay without a clock looks after each hundred units; they are one block."""
_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_Ints = NDArray[np.int64]


def proven_path(units: _Ints, converted: _Ints, policy: ConversionsPolicy) -> _Ints:
    """Say which arm is proved better than all others after each block; -1 where none is.

    Counts have the shape (runs, arms, blocks); the answer has (runs, blocks). The rule of `assess`: every
    e-value of an arm reaches (arms - 1) / alpha, each arm has the minimum of units, and its rate is greatest.
    """
    runs, arms, blocks = converted.shape
    needed = math.log((arms - 1) / policy.alpha)
    beaten = np.zeros((runs, arms, blocks), dtype=np.int64)
    bets = bets_of(policy)
    for first, second in combinations(range(arms), 2):
        path = evidence_path(
            units[:, first], converted[:, first], units[:, second], converted[:, second], bets
        )
        enough = path.log_e >= needed
        beaten[:, first] += enough & (path.lean > 0)
        beaten[:, second] += enough & (path.lean < 0)
    sums = np.cumsum(units, axis=2)
    rates = np.cumsum(converted, axis=2) / np.maximum(sums, 1)
    best = rates.argmax(axis=1)
    wins = np.take_along_axis(beaten, best[:, None], axis=1)[:, 0] == arms - 1
    wins &= (sums >= policy.minimum_units).all(axis=1)
    return np.where(wins, best, -1)


def _blocks(units: Units) -> tuple[_Ints, _Ints]:
    """Count units and conversions by variant and look, the last look being shorter; shape (1, arms, looks)."""
    look = np.arange(len(units.variant)) // UNITS_A_LOOK
    shape = (1, len(units.variants), int(look[-1]) + 1)
    counted, converted = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    np.add.at(counted[0], (units.variant, look), 1)
    np.add.at(converted[0], (units.variant, look), units.converted)
    return counted, converted


def _experiment(units: Units, counted: _Ints, converted: _Ints) -> Experiment:
    """Make the facts of the step of a file's units: an hour for each look, all of them mature."""
    each, odd = divmod(10_000, len(units.variants))
    shares = {name: each + (place < odd) for place, name in enumerate(units.variants)}
    blocks = tuple(
        Block(
            hour=_START + timedelta(hours=look),
            epoch=1,
            counts={
                name: Counts(units=int(counted[0, place, look]), converted=int(converted[0, place, look]))
                for place, name in enumerate(units.variants)
                if counted[0, place, look]
            },
        )
        for look in range(counted.shape[2])
    )
    totals = counted[0].sum(axis=1)
    return Experiment(
        id=1,
        name="The file",
        active_variant=None,
        winner=None,
        variants=tuple(Variant(id=name, label=name) for name in units.variants),
        allocation_basis_points=shares,
        allocation_epoch=1,
        version=0,
        attribution_window_hours=1,
        started_at=None,
        last_invite_at=None,
        blocks=blocks,
        immature={},
        assigned={1: {name: int(total) for name, total in zip(units.variants, totals, strict=True)}},
        epoch_allocations={1: shares},
        exposed_to_several=units.exposed_to_several,
    )


def _greatest_mismatch(experiment: Experiment, counted: _Ints) -> float:
    """Give the greatest log e-value of the shares over all looks: what a look at each of them would have met."""
    names = [variant.id for variant in experiment.variants]
    sums = np.cumsum(counted[0], axis=1).T.tolist()
    return max(
        mismatch_log_e({1: dict(zip(names, row, strict=True))}, experiment.epoch_allocations, names)
        for row in sums
    )


def _reasons(assessment: Assessment, as_of: datetime, policy: ConversionsPolicy) -> list[JSON]:
    """Say why, without what only concerns a switch that is carried out."""
    told = explain(assessment, as_of, policy)
    return [
        {"code": reason.code, "text": reason.text} for reason in told if reason.code != "conversions.shares"
    ]


def evaluate(units: Units, policy: ConversionsPolicy) -> dict[str, JSON]:
    """Replay units in their order, looking after each hundred, and tell what the step would have decided.

    `decided_at_unit` is after how many units the first winner was proved; shares that stray or units that got
    several variants block it, as they do in the step. Equal shares are expected.
    """
    if not len(units.variant):
        raise InputError("There is no unit in the file.")
    counted, converted = _blocks(units)
    experiment = _experiment(units, counted, converted)
    as_of = _START + timedelta(hours=counted.shape[2] + 2)
    assessment = assess(experiment, as_of, (), policy)
    mismatch = _greatest_mismatch(experiment, counted)
    path = proven_path(counted, converted, policy)[0]
    blocked = mismatch >= -math.log(policy.mismatch_alpha)
    forbidden = blocked or (units.exposed_to_several > policy.maximum_exposed_share * len(units.variant))
    looks = np.flatnonzero(path >= 0)
    winner = None if forbidden or not len(looks) else units.variants[int(path[looks[0]])]
    return {
        "winner": winner,
        "decided_at_unit": (
            None if winner is None else min((int(looks[0]) + 1) * UNITS_A_LOOK, len(units.variant))
        ),
        "units": len(units.variant),
        "status": assessment.status.value,
        "srm": {"p_value": min(1.0, math.exp(-mismatch)), "blocked": blocked},
        "exposed_to_several": units.exposed_to_several,
        "alpha": policy.alpha,
        "variants": [
            {"variant": result.variant.id, **variant_numbers(result)} for result in assessment.results
        ],
        "comparisons": [comparison_numbers(effect) for effect in assessment.effects],
        "reasons": _reasons(assessment, as_of, policy),
    }


def with_alpha(policy: ConversionsPolicy, alpha: float | None) -> ConversionsPolicy:
    """Give the policy with another alpha; raises `InputError` where that is none."""
    if alpha is None:
        return policy
    try:
        return replace(policy, alpha=alpha)
    except ValueError as error:
        raise InputError(f"{alpha} cannot be alpha: {error}.", cure="Give 0.05, or less.") from error
