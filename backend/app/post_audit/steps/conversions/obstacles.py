"""The sentences behind a status that forbids believing the numbers."""

from __future__ import annotations

from typing import Final

from app.post_audit.formats import ist
from app.post_audit.step import Reason, ReasonCode
from app.post_audit.steps.conversions.assessment import Assessment, Obstacle, VariantResult
from app.post_audit.steps.conversions.health import got_and_due
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from app.post_audit.steps.conversions.sentences import odds_of, say

__all__ = ["reason_against"]

DISAGREE: Final = ReasonCode(
    "conversions.disagree",
    "{experiment}: within the same hours {proven} is better, yet its total of {proven_rate} is not above the"
    " {other_rate} of {other}; a person has to look.",
)
MISMATCH: Final = ReasonCode(
    "conversions.mismatch",
    "{experiment}: {variant} got {units} {units:supplier|suppliers} where {expected} were due; shares that"
    " are kept would stray so far at most {odds}.",
)
EXPOSED: Final = ReasonCode(
    "conversions.exposed",
    "{experiment}: {exposed} of {total} suppliers got several messages; the rule allows {limit} of them.",
)
STALE: Final = ReasonCode(
    "conversions.stale",
    "{experiment}: nobody new was invited since {last}; after {hours}\u00a0h without, nothing is switched.",
)


def _disagreement(assessment: Assessment, proven: VariantResult) -> Reason:
    """Name the variant that is ahead by evidence, and the one that is not behind it in total."""
    others = (result for result in assessment.results if result is not proven)
    other = max(others, key=lambda result: result.converted / result.units)
    return say(
        DISAGREE,
        experiment=assessment.experiment.name,
        proven=proven.variant.label,
        proven_rate=proven.converted / proven.units,
        other=other.variant.label,
        other_rate=other.converted / other.units,
    )


def _mismatch(assessment: Assessment) -> Reason:
    """Name the variant that is farthest from its due."""
    experiment = assessment.experiment
    variants = [variant.id for variant in experiment.variants]
    found = got_and_due(experiment.assigned, experiment.epoch_allocations, variants)
    worst = max(experiment.variants, key=lambda variant: abs(found[variant.id][0] - found[variant.id][1]))
    got, due = found[worst.id]
    return say(
        MISMATCH,
        experiment=experiment.name,
        variant=worst.label,
        units=got,
        expected=round(due),
        odds=odds_of(assessment.mismatch_log_e),
    )


def reason_against(assessment: Assessment, policy: ConversionsPolicy) -> Reason:
    """Say what forbids believing the numbers."""
    experiment, proven = assessment.experiment, assessment.proven
    if proven is not None:
        return _disagreement(assessment, proven)
    if assessment.obstacle is Obstacle.MISMATCH:
        return _mismatch(assessment)
    if assessment.obstacle is Obstacle.EXPOSED:
        return say(
            EXPOSED,
            experiment=experiment.name,
            exposed=experiment.exposed_to_several,
            total=sum(sum(counts.values()) for counts in experiment.assigned.values()),
            limit=policy.maximum_exposed_share,
        )
    last = experiment.last_invite_at
    since = ist(last) if last else "the start"
    return say(STALE, experiment=experiment.name, last=since, hours=policy.stale_after_hours)
