"""The sentences behind a status: kinds of reasons as constants, and what fills their gaps."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from app.post_audit.formats import ist, percent, ratio_in_words
from app.post_audit.step import Reason, ReasonCode
from app.post_audit.steps.conversions.assessment import (
    TELLABLE_DAYS,
    Assessment,
    Breach,
    Status,
    VariantResult,
)
from app.post_audit.steps.conversions.facts import ALL_BASIS_POINTS
from app.post_audit.steps.conversions.health import HARMS
from app.post_audit.steps.conversions.numbers import e_value
from app.post_audit.steps.conversions.obstacles import reason_against
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from app.post_audit.steps.conversions.safety import least_hours
from app.post_audit.steps.conversions.sentences import say

__all__ = ["explain"]

STILL_COUNTING: Final = ReasonCode(
    "conversions.still_counting",
    "{experiment}: {counted} suppliers of about {invites} invites are counted so far; the rest follows, and"
    " nothing is judged before.",
)

NO_INVITES: Final = ReasonCode(
    "conversions.no_invites",
    "{experiment}: nobody was invited up to {as_of}, so no rate is known; that is not a rate of zero.",
)
NOTHING_TO_COMPARE: Final = ReasonCode(
    "conversions.nothing_to_compare",
    "{experiment}: messages to choose from: {variants}; a comparison needs 2.",
)
TOO_FEW: Final = ReasonCode(
    "conversions.too_few",
    "{experiment}: {variant} has {units} of the {needed} suppliers it needs whose {window_hours}\u00a0h"
    " to claim are over; {immature} more are too young to count.",
)
RATES: Final = ReasonCode(
    "conversions.rates",
    "{experiment}: {leader} brings {leader_rate} ({leader_converted} of {leader_units}),"
    " {rival} {rival_rate} ({rival_converted} of {rival_units}).",
)
NO_EVIDENCE: Final = ReasonCode(
    "conversions.no_evidence", "That is no evidence either way yet; the rule asks for {needed}."
)
EVIDENCE: Final = ReasonCode(
    "conversions.evidence",
    "If {group} were equal, a lead this strong would appear at most {odds}; the rule asks for {needed}.",
)
SHARES: Final = ReasonCode(
    "conversions.shares",
    "{winner} gets {share} of the invites; {holdout} stay with the rest, so that a winner that wears out is"
    " noticed.",
)
ALREADY: Final = ReasonCode(
    "conversions.already", "{experiment}: {winner} is the recorded winner and already the active message."
)
HELD: Final = ReasonCode(
    "conversions.held",
    "{experiment}: the switch to {winner} was taken back or declined and rests until {until}; another winner"
    " lifts that.",
)
WINDOW: Final = ReasonCode(
    "conversions.window",
    "{experiment}: 99\u00a0% of the claims for {variant} have come only after {slowest}\u00a0h; the window of"
    " {window}\u00a0h grows to {wider}\u00a0h and all is counted anew.",
)
HARM: Final = ReasonCode(
    "conversions.harm",
    "{experiment}: {what} for {variant} are {rate}, {others} for the rest; were they equal, so many would"
    " appear"
    " at most {odds}.",
)
WORN: Final = ReasonCode(
    "conversions.worn",
    "{experiment}: since the switch {winner} brings {rate} ({converted} of {units}), {other} in the holdout"
    " {other_rate} ({other_converted} of {other_units}).",
)
ALIKE: Final = ReasonCode(
    "conversions.alike",
    "{experiment}: the messages differ by less than {smallest}, the least that matters; {kept} is kept.",
)
TOO_SOON: Final = ReasonCode(
    "conversions.too_soon",
    "{experiment} runs since {started}; nothing is switched within the first {hours}\u00a0h.",
)
DAYS_LEFT: Final = ReasonCode(
    "conversions.days_left", "At these rates the evidence is enough in about {days} {days:day|days}."
)
GAINED: Final = ReasonCode(
    "conversions.gained",
    "Uneven shares brought {number} {number:conversion|conversions} {more_or_less} than even ones.",
)

_TWO: Final = 2
"""A comparison takes two variants."""


def _share(basis_points: int) -> str:
    """Write a share of the invites: `95 %`, `97.25 %`."""
    return percent(basis_points / ALL_BASIS_POINTS, 2 if basis_points % 100 else 0)


def _too_few(assessment: Assessment, policy: ConversionsPolicy) -> Reason:
    """Name the variant that has the longest way to go."""
    behind = min(assessment.results, key=lambda result: (result.units, result.variant.id))
    return say(
        TOO_FEW,
        experiment=assessment.experiment.name,
        variant=behind.variant.label,
        units=behind.units,
        needed=policy.minimum_units,
        window_hours=assessment.experiment.attribution_window_hours,
        immature=behind.immature,
    )


def _rates(assessment: Assessment, leader: VariantResult, rival: VariantResult) -> Reason:
    """Say the two numbers."""
    return say(
        RATES,
        experiment=assessment.experiment.name,
        leader=leader.variant.label,
        leader_rate=leader.converted / leader.units,
        leader_converted=leader.converted,
        leader_units=leader.units,
        rival=rival.variant.label,
        rival_rate=rival.converted / rival.units,
        rival_converted=rival.converted,
        rival_units=rival.units,
    )


def _strength(assessment: Assessment, policy: ConversionsPolicy) -> Reason:
    """Say the rule. Several rivals have to be beaten, so the evidence is shared among them."""
    # The billionth keeps a threshold that is just met from being told as 1 in 19: exp(log(20)) may be below
    # 20.
    strength = e_value(assessment) / (len(assessment.results) - 1) * (1 + 1e-9)
    needed = ratio_in_words(1 / policy.alpha)
    if strength < _TWO:
        return say(NO_EVIDENCE, needed=needed)
    group = "both" if len(assessment.results) == _TWO else "all"
    return say(EVIDENCE, group=group, odds=ratio_in_words(strength), needed=needed)


def _unknown(assessment: Assessment, as_of: datetime) -> Reason:
    """Say what is missing."""
    name, variants, counting = (
        assessment.experiment.name,
        len(assessment.results),
        assessment.experiment.counting,
    )
    if counting is not None:
        invites = max(counting.invites, counting.counted)
        return say(STILL_COUNTING, experiment=name, counted=counting.counted, invites=invites)
    if variants < _TWO:
        return say(NOTHING_TO_COMPARE, experiment=name, variants=variants)
    return say(NO_INVITES, experiment=name, as_of=ist(as_of))


def _window(assessment: Assessment, wider: int) -> Reason:
    """Say whose claims the window misses."""
    experiment = assessment.experiment
    slowest = max(experiment.claim_hours, key=lambda name: experiment.claim_hours[name])
    variant = experiment.variant(slowest)
    return say(
        WINDOW,
        experiment=experiment.name,
        variant=variant.label if variant else slowest,
        slowest=math.floor(experiment.claim_hours[slowest]),
        window=experiment.attribution_window_hours,
        wider=wider,
    )


def _harm(assessment: Assessment, breach: Breach, policy: ConversionsPolicy) -> Reason:
    """Say what a variant broke."""
    return say(
        HARM,
        experiment=assessment.experiment.name,
        what=HARMS[breach.what],
        variant=breach.variant.label,
        rate=breach.rate,
        others=breach.others,
        odds=ratio_in_words(1 / policy.guardrail_alpha),
    )


def _worn(assessment: Assessment, keep: VariantResult) -> Reason:
    """Say how the winner does since the switch."""
    experiment = assessment.experiment
    winner = next(result for result in assessment.since if result.variant.id == experiment.winner)
    return say(
        WORN,
        experiment=experiment.name,
        winner=winner.variant.label,
        rate=winner.converted / winner.units,
        converted=winner.converted,
        units=winner.units,
        other=keep.variant.label,
        other_rate=keep.converted / keep.units,
        other_converted=keep.converted,
        other_units=keep.units,
    )


def _shares_reason(winner: str, policy: ConversionsPolicy) -> Reason:
    """Say what the winner gets."""
    holdout = policy.holdout_basis_points
    return say(SHARES, winner=winner, share=_share(ALL_BASIS_POINTS - holdout), holdout=_share(holdout))


def _gain(assessment: Assessment) -> tuple[Reason, ...]:
    """Say what uneven shares brought, where it is a conversion at least."""
    number = round(abs(assessment.gained))
    if number == 0:
        return ()
    return (say(GAINED, number=number, more_or_less="more" if assessment.gained > 0 else "less"),)


def _collecting(
    assessment: Assessment, rates: Reason, strength: Reason, policy: ConversionsPolicy
) -> tuple[Reason, ...]:
    """Say what is waited for."""
    experiment = assessment.experiment
    if any(result.units < policy.minimum_units for result in assessment.results):
        return (_too_few(assessment, policy), rates)
    if assessment.too_soon and experiment.started_at is not None:
        started, hours = ist(experiment.started_at), least_hours(experiment, policy)
        return (say(TOO_SOON, experiment=experiment.name, started=started, hours=hours), rates, strength)
    days = assessment.days_left
    if days is None or days > TELLABLE_DAYS:
        return (rates, strength)
    return (rates, strength, say(DAYS_LEFT, days=max(1, math.ceil(days))))


def explain(assessment: Assessment, as_of: datetime, policy: ConversionsPolicy) -> tuple[Reason, ...]:
    """Say what is behind a status, the most important sentence first."""
    leader, rival = assessment.leader, assessment.rival
    if assessment.status in {Status.UNKNOWN, Status.COUNTING} or assessment.obstacle is not None:
        unknown = assessment.obstacle is None
        return (_unknown(assessment, as_of) if unknown else reason_against(assessment, policy),)
    if leader is None or rival is None:
        return (_too_few(assessment, policy),)
    rates, strength = _rates(assessment, leader, rival), _strength(assessment, policy)
    if assessment.status is Status.COLLECTING:
        return _collecting(assessment, rates, strength, policy)
    if assessment.status is Status.BREACHED:
        return tuple(_harm(assessment, breach, policy) for breach in assessment.breaches)
    if assessment.window_hours is not None:
        return (_window(assessment, assessment.window_hours),)
    return _settled(assessment, rates, strength, policy)


def _settled(
    assessment: Assessment, rates: Reason, strength: Reason, policy: ConversionsPolicy
) -> tuple[Reason, ...]:
    """Say what the evidence led to: a winner, none, or one that wore out."""
    name, keep = assessment.experiment.name, assessment.keep
    chosen = keep or assessment.proven
    label = chosen.variant.label if chosen else ""
    reasons: tuple[Reason, ...] = (rates, strength)
    if keep is not None and assessment.since:
        reasons = (_worn(assessment, keep),)
    elif keep is not None:
        alike = say(ALIKE, experiment=name, smallest=policy.smallest_effect, kept=label)
        reasons = (alike, rates, *_gain(assessment))
    if assessment.hold is not None:
        return (say(HELD, experiment=name, winner=label, until=ist(assessment.hold.until)), *reasons)
    if keep is not None:
        return reasons
    if assessment.status is Status.DECIDED:
        return (say(ALREADY, experiment=name, winner=label), *reasons, *_gain(assessment))
    return (*reasons, _shares_reason(label, policy))
