"""From facts to a decision: which message wins, whether that is certain, and what changes then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.post_audit.formats import count, ist, percent, ratio_in_words
from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Outcome, Reason, ReasonCode
from app.post_audit.steps.conversions.assess import Assessment, Status, VariantResult, assess
from app.post_audit.steps.conversions.facts import Experiment, Facts
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["decide", "e_value", "explain", "variant_numbers"]

NO_EXPERIMENT: Final = ReasonCode(
    "conversions.no_experiment", "No experiment with invite messages is running."
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
DISAGREE: Final = ReasonCode(
    "conversions.disagree",
    "{experiment}: within the same hours {proven} is better, yet its total of {proven_rate} is not above the"
    " {other_rate} of {other}; a person has to look.",
)

_ALL: Final = 10_000
"""All invites, in basis points."""

_TWO: Final = 2
"""A comparison takes two variants."""

_LARGEST_EXPONENT: Final = 700.0
"""exp(709) is the largest that a float, and so JSON, can hold."""

_NEXT: Final[Mapping[Status, str]] = {
    Status.READY: "Nothing; the rest keeps its holdout, and a winner that wears out is noticed.",
    Status.BLOCKED: "Look when the shares changed; the comparison within the same hours is the fair one.",
    Status.HELD: "Nothing; it is judged anew when the rest ends or another message wins.",
    Status.COLLECTING: "Nothing; once the evidence is enough, the winner becomes active by itself.",
    Status.DECIDED: "Nothing.",
    Status.UNKNOWN: "Check that invites are recorded: post-audit status names their table.",
}
"""What the reader may do, the most pressing first."""

_STILL: Final[Mapping[Status, tuple[Outcome, str]]] = {
    Status.BLOCKED: (Outcome.BLOCKED, "Nothing switched: totals and hours disagree."),
    Status.HELD: (Outcome.BLOCKED, "Nothing switched: a person decided against this switch."),
    Status.COLLECTING: (Outcome.NOTHING, "Nothing switched."),
    Status.DECIDED: (Outcome.NOTHING, "Nothing switched: the winner is already active."),
    Status.UNKNOWN: (Outcome.UNKNOWN, "Nothing switched: there is nothing to compare."),
}
"""What is said where nothing is switched, the most important first."""


def _say(code: ReasonCode, **numbers: float | str) -> Reason:
    """Fill the gaps as people read them: counts grouped, fractions as percent. Keep the bare numbers."""

    def shown(number: float | str) -> str:
        if isinstance(number, str):
            return number
        return count(number) if isinstance(number, int) else percent(number, 2)

    text = code.sentence.format(**{name: shown(number) for name, number in numbers.items()})
    return Reason(code=code.code, text=text, numbers=numbers)


def _share(basis_points: int) -> str:
    """Write a share of the invites: `95 %`, `97.25 %`."""
    return percent(basis_points / _ALL, 2 if basis_points % 100 else 0)


def e_value(assessment: Assessment) -> float:
    """Give the e-value of the leader against its nearest rival, kept finite."""
    return math.exp(min(assessment.log_e, _LARGEST_EXPONENT))


def _too_few(assessment: Assessment, policy: ConversionsPolicy) -> Reason:
    """Name the variant that has the longest way to go."""
    behind = min(assessment.results, key=lambda result: (result.units, result.variant.id))
    return _say(
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
    return _say(
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
        return _say(NO_EVIDENCE, needed=needed)
    group = "both" if len(assessment.results) == _TWO else "all"
    return _say(EVIDENCE, group=group, odds=ratio_in_words(strength), needed=needed)


def _disagreement(assessment: Assessment, proven: VariantResult) -> Reason:
    """Name the variant that is ahead by evidence, and the one that is not behind it in total."""
    others = (result for result in assessment.results if result is not proven)
    other = max(others, key=lambda result: result.converted / result.units)
    return _say(
        DISAGREE,
        experiment=assessment.experiment.name,
        proven=proven.variant.label,
        proven_rate=proven.converted / proven.units,
        other=other.variant.label,
        other_rate=other.converted / other.units,
    )


def _unknown(assessment: Assessment, as_of: datetime) -> Reason:
    """Say what is missing."""
    name, variants = assessment.experiment.name, len(assessment.results)
    if variants < _TWO:
        return _say(NOTHING_TO_COMPARE, experiment=name, variants=variants)
    return _say(NO_INVITES, experiment=name, as_of=ist(as_of))


def explain(assessment: Assessment, as_of: datetime, policy: ConversionsPolicy) -> tuple[Reason, ...]:
    """Say what is behind a status, the most important sentence first."""
    status, leader, rival, proven = (
        assessment.status,
        assessment.leader,
        assessment.rival,
        assessment.proven,
    )
    if status is Status.UNKNOWN:
        return (_unknown(assessment, as_of),)
    if leader is None or rival is None:
        return (_too_few(assessment, policy),)
    name, winner = assessment.experiment.name, leader.variant.label
    reasons: tuple[Reason, ...] = (_rates(assessment, leader, rival), _strength(assessment, policy))
    if proven is None:
        if any(result.units < policy.minimum_units for result in assessment.results):
            reasons = (_too_few(assessment, policy), reasons[0])
    elif status is Status.BLOCKED:
        reasons = (_disagreement(assessment, proven),)
    elif status is Status.DECIDED:
        reasons = (_say(ALREADY, experiment=name, winner=winner), *reasons)
    elif assessment.hold is not None:
        until = ist(assessment.hold.until)
        reasons = (_say(HELD, experiment=name, winner=winner, until=until), *reasons)
    else:
        share = _share(_ALL - policy.holdout_basis_points)
        holdout = _share(policy.holdout_basis_points)
        reasons = (*reasons, _say(SHARES, winner=winner, share=share, holdout=holdout))
    return reasons


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


def _experiment_numbers(assessment: Assessment) -> dict[str, JSON]:
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
        "last_invite_at": last_invite_at.isoformat() if last_invite_at else None,
        "variants": [variant_numbers(result) for result in assessment.results],
    }


def _allocation(experiment: Experiment, winner: str, holdout_basis_points: int) -> dict[str, int]:
    """Give the winner all but the holdout; the others share it evenly, odd points going to the first."""
    others = [variant.id for variant in experiment.variants if variant.id != winner]
    each, odd = divmod(holdout_basis_points, len(others))
    shares = {other: each + (place < odd) for place, other in enumerate(others)}
    shares[winner] = _ALL - holdout_basis_points
    return {variant.id: shares[variant.id] for variant in experiment.variants}


def _update(experiment: Experiment, state: Mapping[str, JSON]) -> Message:
    """Tell n8n the whole state that is to hold from now on."""
    active = state["active_variant"]
    variant = experiment.variant(active) if isinstance(active, str) else None
    return Message(
        channel=Channel.N8N_AB_UPDATE,
        subject=experiment.subject,
        payload={
            "experiment_id": experiment.id,
            "experiment": experiment.name,
            "active_variant": active,
            "message": variant.message if variant else None,
            "allocation_basis_points": state["allocation_basis_points"],
            "allocation_epoch": state["allocation_epoch"],
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Switch:
    """Everything that one switch consists of."""

    headline: str
    change: Change
    messages: tuple[Message, ...]
    undo_messages: tuple[Message, ...]


def _switch(
    assessment: Assessment, leader: VariantResult, reasons: tuple[Reason, ...], policy: ConversionsPolicy
) -> _Switch:
    """Make the leader the active message and the recorded winner."""
    experiment, label = assessment.experiment, leader.variant.label
    before: dict[str, JSON] = {
        "active_variant": experiment.active_variant,
        "winner": experiment.winner,
        "allocation_basis_points": dict(experiment.allocation_basis_points),
        "allocation_epoch": experiment.allocation_epoch,
    }
    after: dict[str, JSON] = {
        "active_variant": leader.variant.id,
        "winner": leader.variant.id,
        "allocation_basis_points": _allocation(experiment, leader.variant.id, policy.holdout_basis_points),
        "allocation_epoch": experiment.allocation_epoch + 1,
    }
    former = experiment.variant(experiment.active_variant)
    former_name = former.label if former else (experiment.active_variant or "no message")
    stays = experiment.active_variant == leader.variant.id
    headline = (
        f"{label} stays active, now as the winner." if stays else f"{label} becomes the active message."
    )
    told = (
        f"{headline}\n"
        + "\n".join(reason.text for reason in reasons)
        + "\nTo take it back: post-audit undo {decision}; the same switch then rests for"
        f" {policy.hold_days} days."
    )
    taken_back = f"Taken back: {experiment.name} sends {former_name} with the shares it had before."
    return _Switch(
        headline=headline,
        change=Change(subject=experiment.subject, before=before, after=after),
        messages=(
            _update(experiment, after),
            Message(channel=Channel.TELEGRAM, subject=experiment.subject, payload={"text": told}),
        ),
        undo_messages=(
            _update(experiment, before),
            Message(channel=Channel.TELEGRAM, subject=experiment.subject, payload={"text": taken_back}),
        ),
    )


def decide(facts: Facts, policy: ConversionsPolicy) -> Decision:
    """Judge every running experiment and switch those whose winner is certain; pure."""
    if not facts.experiments:
        return Decision(
            outcome=Outcome.UNKNOWN,
            headline="Nothing switched: no experiment is running.",
            reasons=(NO_EXPERIMENT(),),
            numbers={"experiments": []},
            next="Start an experiment with at least two messages.",
        )
    assessments = [
        assess(experiment, facts.as_of, facts.holds, policy)
        for experiment in sorted(facts.experiments, key=lambda experiment: str(experiment.id).rjust(20))
    ]
    reasons: list[Reason] = []
    switches: list[_Switch] = []
    for assessment in assessments:
        because = explain(assessment, facts.as_of, policy)
        reasons.extend(because)
        if assessment.status is Status.READY and assessment.leader is not None:
            switches.append(_switch(assessment, assessment.leader, because, policy))
    numbers: dict[str, JSON] = {
        "experiments": [_experiment_numbers(assessment) for assessment in assessments]
    }
    statuses = {assessment.status for assessment in assessments}
    following = next(text for status, text in _NEXT.items() if status in statuses)
    if not switches:
        outcome, headline = next(said for status, said in _STILL.items() if status in statuses)
        return Decision(
            outcome=outcome, headline=headline, reasons=tuple(reasons), numbers=numbers, next=following
        )
    several = f"{len(switches)} experiments switch to their winners."
    return Decision(
        outcome=Outcome.ACT,
        headline=switches[0].headline if len(switches) == 1 else several,
        reasons=tuple(reasons),
        numbers=numbers,
        changes=tuple(switch.change for switch in switches),
        messages=tuple(message for switch in switches for message in switch.messages),
        undo_messages=tuple(message for switch in switches for message in switch.undo_messages),
        next=following,
        independent=True,
        hold_days=policy.hold_days,
    )
