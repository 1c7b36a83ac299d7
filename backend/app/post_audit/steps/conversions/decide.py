"""From facts to a decision: which message wins, whether that is certain, and what changes then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Outcome, Reason, ReasonCode
from app.post_audit.steps.conversions.assess import Assessment, Status, VariantResult, assess
from app.post_audit.steps.conversions.facts import Experiment, Facts
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["decide", "e_value", "explain", "times_in", "variant_numbers"]

NO_EXPERIMENT = ReasonCode("conversions.no_experiment", "No experiment with invite messages is running.")
NO_INVITES = ReasonCode(
    "conversions.no_invites",
    "{experiment}: nobody was invited up to {as_of}, so no rate is known; that is not a rate of zero.",
)
ONE_VARIANT = ReasonCode(
    "conversions.one_variant", "{experiment}: it has {variants} message(s); a comparison needs at least 2."
)
TOO_FEW = ReasonCode(
    "conversions.too_few",
    "{experiment}: {variant} has {units:,} of the {needed:,} suppliers it needs whose {window_hours} h to claim"
    " are over; {immature:,} more are too young to count.",
)
RATES = ReasonCode(
    "conversions.rates",
    "{experiment}: {leader} brings {leader_percent:.2f}\u00a0% ({leader_converted:,} of {leader_units:,}),"
    " {rival} {rival_percent:.2f}\u00a0% ({rival_converted:,} of {rival_units:,}).",
)
NO_EVIDENCE = ReasonCode(
    "conversions.no_evidence", "That is no evidence either way yet; the rule switches at 1 in {needed:,}."
)
EVIDENCE = ReasonCode(
    "conversions.evidence",
    "If {group} were equal, a lead this strong would appear at most 1 time in {times:,}; the rule switches at"
    " 1 in {needed:,}.",
)
SHARES = ReasonCode(
    "conversions.shares",
    "{winner} gets {winner_percent:g}\u00a0% of the invites; the rest share {holdout_percent:g}\u00a0%, so that"
    " a winner that wears out is noticed.",
)
ALREADY = ReasonCode(
    "conversions.already", "{experiment}: {winner} is the recorded winner and already the active message."
)
HELD = ReasonCode(
    "conversions.held",
    "{experiment}: the switch to {winner} was taken back and rests until {until}; another winner lifts that.",
)
DISAGREE = ReasonCode(
    "conversions.disagree",
    "{experiment}: compared within the same hours {proven} is better, yet its total rate of"
    " {proven_percent:.2f}\u00a0% is not above the {other_percent:.2f}\u00a0% of {other}; a person has to look.",
)

_ALL: Final = 10_000
"""All invites, in basis points."""

_MOST_TIMES: Final = 1_000_000_000
"""No sentence claims more than 1 in a billion: beyond that the model is the weaker part."""

_LARGEST_EXPONENT: Final = 700.0
"""exp(709) is the largest that a float, and so JSON, can hold."""


def e_value(assessment: Assessment) -> float:
    """The e-value of the leader against its nearest rival, kept finite."""
    return math.exp(min(assessment.log_e, _LARGEST_EXPONENT))


def times_in(assessment: Assessment) -> int:
    """The N of "at most 1 time in N": the e-value divided by the number of rivals, rounded down."""
    rivals = max(len(assessment.results) - 1, 1)
    # The billionth keeps a threshold met exactly (20) from being shown as 19 by the rounding of exp(log(20)).
    return int(math.exp(min(assessment.log_e - math.log(rivals), math.log(_MOST_TIMES))) + 1e-9)


def _moment(moment: datetime, policy: ConversionsPolicy) -> str:
    """A moment for people: `12 Nov 2025, 14:32 IST`."""
    local = moment.astimezone(policy.display_zone)
    return f"{local.day} {local:%b %Y, %H:%M %Z}"


def _percent(result: VariantResult) -> float:
    """The rate in percent, of a variant that has mature suppliers."""
    return 100 * result.converted / result.units


def _too_few(assessment: Assessment, policy: ConversionsPolicy) -> Reason:
    """Name the variant that has the longest way to go."""
    behind = min(assessment.results, key=lambda result: (result.units, result.variant.id))
    return TOO_FEW(
        experiment=assessment.experiment.name,
        variant=behind.variant.label,
        units=behind.units,
        needed=policy.minimum_units,
        window_hours=assessment.experiment.attribution_window_hours,
        immature=behind.immature,
    )


def _lead(
    assessment: Assessment, leader: VariantResult, rival: VariantResult, policy: ConversionsPolicy
) -> tuple[Reason, Reason]:
    """The two numbers and the rule."""
    needed = round(1 / policy.alpha)
    times = times_in(assessment)
    rates = RATES(
        experiment=assessment.experiment.name,
        leader=leader.variant.label,
        leader_percent=_percent(leader),
        leader_converted=leader.converted,
        leader_units=leader.units,
        rival=rival.variant.label,
        rival_percent=_percent(rival),
        rival_converted=rival.converted,
        rival_units=rival.units,
    )
    if times <= 1:
        return rates, NO_EVIDENCE(needed=needed)
    group = "both" if len(assessment.results) == 2 else "all"  # noqa: PLR2004 - "both" is said of two
    return rates, EVIDENCE(group=group, times=times, needed=needed)


def explain(assessment: Assessment, facts: Facts, policy: ConversionsPolicy) -> tuple[Reason, ...]:
    """The sentences behind a status, the most important first."""
    experiment, leader, rival = assessment.experiment, assessment.leader, assessment.rival
    if assessment.status is Status.UNKNOWN:
        if len(assessment.results) < 2:  # noqa: PLR2004 - a comparison takes two
            return (ONE_VARIANT(experiment=experiment.name, variants=len(assessment.results)),)
        return (NO_INVITES(experiment=experiment.name, as_of=_moment(facts.as_of, policy)),)
    if leader is None or rival is None:
        return (_too_few(assessment, policy),)
    lead = _lead(assessment, leader, rival, policy)
    if any(result.units < policy.minimum_units for result in assessment.results):
        return (_too_few(assessment, policy), lead[0])
    if assessment.status is Status.READY:
        shares = SHARES(
            winner=leader.variant.label,
            winner_percent=(_ALL - policy.holdout_basis_points) / 100,
            holdout_percent=policy.holdout_basis_points / 100,
        )
        return (*lead, shares)
    if assessment.status is Status.DECIDED:
        return (ALREADY(experiment=experiment.name, winner=leader.variant.label), *lead)
    if assessment.hold is not None:
        until = _moment(assessment.hold.until, policy)
        held = HELD(experiment=experiment.name, winner=leader.variant.label, until=until)
        return (held, *lead)
    if assessment.status is Status.BLOCKED and assessment.proven is not None:
        proven = assessment.proven
        other = rival if proven is leader else leader
        disagree = DISAGREE(
            experiment=experiment.name,
            proven=proven.variant.label,
            proven_percent=_percent(proven),
            other=other.variant.label,
            other_percent=_percent(other),
        )
        return (disagree,)
    return lead


def variant_numbers(result: VariantResult) -> dict[str, JSON]:
    """One variant for the record; a rate that is not known is null, not zero."""
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
    """One experiment for the record."""
    experiment = assessment.experiment
    compared = assessment.leader is not None
    return {
        "id": experiment.id,
        "name": experiment.name,
        "status": assessment.status.value,
        "active_variant": experiment.active_variant,
        "winner": experiment.winner,
        "leader": assessment.leader.variant.id if assessment.leader else None,
        "rival": assessment.rival.variant.id if assessment.rival else None,
        "e_value": e_value(assessment) if compared else None,
        "threshold": math.exp(assessment.log_threshold),
        "window_hours": experiment.attribution_window_hours,
        "last_invite_at": experiment.last_invite_at.isoformat() if experiment.last_invite_at else None,
        "variants": [variant_numbers(result) for result in assessment.results],
    }


def _allocation(experiment: Experiment, winner: str, holdout_basis_points: int) -> dict[str, int]:
    """Give the winner all but the holdout; the others share that evenly, the odd points going to the first."""
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
    headline = f"{label} stays active, now as the winner." if stays else f"{label} becomes the active message."
    told = (
        f"{headline}\n"
        + "\n".join(reason.text for reason in reasons)
        + "\nTo take it back: post-audit undo, with the number of this decision; the same switch then rests for"
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


def _still(statuses: list[Status], policy: ConversionsPolicy) -> tuple[Outcome, str, str]:
    """Outcome, headline and next step where nothing is switched."""
    if Status.BLOCKED in statuses:
        return (
            Outcome.BLOCKED,
            "Nothing switched: totals and hours disagree.",
            "Look at when the shares changed; the hour-by-hour comparison is the fair one.",
        )
    if Status.HELD in statuses:
        return (
            Outcome.BLOCKED,
            "Nothing switched: a person took this switch back.",
            "Nothing to do: it is judged anew when the rest ends or another message wins.",
        )
    if all(status is Status.UNKNOWN for status in statuses):
        return (
            Outcome.UNKNOWN,
            "Nothing switched: there is nothing to compare.",
            "Check that invites are sent, and that their table is bound: post-audit status.",
        )
    if Status.COLLECTING in statuses:
        share = (_ALL - policy.holdout_basis_points) / 100
        return (
            Outcome.NOTHING,
            "Nothing switched.",
            f"Nothing to do: when the evidence is enough, the winner gets {share:g}\u00a0% by itself.",
        )
    return Outcome.NOTHING, "Nothing switched: the winner is already active.", "Nothing to do."


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
        because = explain(assessment, facts, policy)
        reasons.extend(because)
        if assessment.status is Status.READY and assessment.leader is not None:
            switches.append(_switch(assessment, assessment.leader, because, policy))
    numbers: dict[str, JSON] = {"experiments": [_experiment_numbers(assessment) for assessment in assessments]}
    if not switches:
        outcome, headline, following = _still([assessment.status for assessment in assessments], policy)
        return Decision(
            outcome=outcome, headline=headline, reasons=tuple(reasons), numbers=numbers, next=following
        )
    return Decision(
        outcome=Outcome.ACT,
        headline=switches[0].headline
        if len(switches) == 1
        else f"{len(switches)} experiments switch to their winners.",
        reasons=tuple(reasons),
        numbers=numbers,
        changes=tuple(switch.change for switch in switches),
        messages=tuple(message for switch in switches for message in switch.messages),
        undo_messages=tuple(message for switch in switches for message in switch.undo_messages),
        next=f"Taking it back is possible; the same switch then rests for {policy.hold_days} days.",
    )
