"""From facts to a decision: which message wins, whether that is certain, and what changes then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from app.post_audit.formats import count, ist, percent, ratio_in_words
from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Outcome, Reason, ReasonCode
from app.post_audit.steps.conversions.assess import (
    TELLABLE_DAYS,
    Assessment,
    Breach,
    Effect,
    Obstacle,
    Status,
    VariantResult,
    assess,
    least_hours,
)
from app.post_audit.steps.conversions.facts import Experiment, Facts
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["comparison_numbers", "decide", "e_value", "explain", "variant_numbers"]

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
MISMATCH: Final = ReasonCode(
    "conversions.mismatch",
    "{experiment}: {variant} got {units} suppliers where {expected} were due; shares that are kept would stray"
    " so far at most {odds}.",
)
EXPOSED: Final = ReasonCode(
    "conversions.exposed",
    "{experiment}: {exposed} of {total} suppliers got several messages; the rule allows {limit} of them.",
)
STALE: Final = ReasonCode(
    "conversions.stale",
    "{experiment}: nobody new was invited since {last}; after {hours}\u00a0h without, nothing is switched.",
)
WINDOW: Final = ReasonCode(
    "conversions.window",
    "{experiment}: 99\u00a0% of the claims for {variant} have come only after {slowest}\u00a0h; the window of"
    " {window}\u00a0h grows to {wider}\u00a0h and all is counted anew.",
)
HARM: Final = ReasonCode(
    "conversions.harm",
    "{experiment}: {what} for {variant} are {rate}, {others} for the rest; were they equal, so many would appear"
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
    "conversions.days_left", "At these rates the evidence is enough in about {days} days."
)
GAINED: Final = ReasonCode(
    "conversions.gained", "Uneven shares brought {number} conversions {more_or_less} than even ones."
)

_HARMS: Final[Mapping[str, str]] = {"opt_outs": "opt-outs", "failed": "failed sends"}

_ALL: Final = 10_000
"""All invites, in basis points."""

_TWO: Final = 2
"""A comparison takes two variants."""

_LARGEST_EXPONENT: Final = 700.0
"""exp(709) is the largest that a float, and so JSON, can hold."""

_NEXT: Final[Mapping[Status, str]] = {
    Status.BREACHED: "Look at the message that was stopped; the others go on.",
    Status.DECAYED: "Think of a new message; the comparison starts anew.",
    Status.READY: "Nothing; the rest keeps its holdout, and a winner that wears out is noticed.",
    Status.BLOCKED: "Look at how suppliers are shared among the messages; then run again.",
    Status.HELD: "Nothing; it is judged anew when the rest ends or another message wins.",
    Status.COLLECTING: "Nothing; once the evidence is enough, the winner becomes active by itself.",
    Status.WIDENING: "Nothing; the next run counts with the wider window.",
    Status.NO_DIFFERENCE: "Try a bolder message; these are alike.",
    Status.DECIDED: "Nothing.",
    Status.UNKNOWN: "Check that invites are recorded: post-audit status names their table.",
}
"""What the reader may do, the most pressing first."""

_STILL: Final[Mapping[Status, tuple[Outcome, str]]] = {
    Status.BLOCKED: (Outcome.BLOCKED, "Nothing switched: {why}."),
    Status.HELD: (Outcome.BLOCKED, "Nothing switched: a person decided against this switch."),
    Status.COLLECTING: (Outcome.NOTHING, "Nothing switched."),
    Status.DECIDED: (Outcome.NOTHING, "Nothing switched: the winner is already active."),
    Status.NO_DIFFERENCE: (Outcome.NOTHING, "Nothing switched: no difference worth having."),
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


def _odds(log_e: float, tests: int = 1) -> str:
    """Say how seldom evidence of this strength appears, where so many things were tested."""
    return ratio_in_words(math.exp(min(log_e, _LARGEST_EXPONENT)) / tests)


def _mismatch(assessment: Assessment) -> Reason:
    """Name the variant that is farthest from its due."""
    experiment = assessment.experiment
    found: dict[str, tuple[int, float]] = {}
    for variant in experiment.variants:
        got, due = 0, 0.0
        for epoch, counts in experiment.assigned.items():
            if (wanted := experiment.epoch_allocations.get(epoch)) is not None:
                got += counts.get(variant.id, 0)
                due += sum(counts.values()) * wanted.get(variant.id, 0) / _ALL
        found[variant.label] = got, due
    worst = max(found, key=lambda label: abs(found[label][0] - found[label][1]))
    got, due = found[worst]
    return _say(
        MISMATCH,
        experiment=experiment.name,
        variant=worst,
        units=got,
        expected=round(due),
        odds=_odds(assessment.mismatch_log_e),
    )


def _obstacle(assessment: Assessment, policy: ConversionsPolicy) -> Reason:
    """Say what forbids believing the numbers."""
    experiment, proven = assessment.experiment, assessment.proven
    if proven is not None:
        return _disagreement(assessment, proven)
    if assessment.obstacle is Obstacle.MISMATCH:
        return _mismatch(assessment)
    if assessment.obstacle is Obstacle.EXPOSED:
        return _say(
            EXPOSED,
            experiment=experiment.name,
            exposed=experiment.exposed_to_several,
            total=sum(sum(counts.values()) for counts in experiment.assigned.values()),
            limit=policy.maximum_exposed_share,
        )
    last = experiment.last_invite_at
    since = ist(last) if last else "the start"
    return _say(STALE, experiment=experiment.name, last=since, hours=policy.stale_after_hours)


def _window(assessment: Assessment, wider: int) -> Reason:
    """Say whose claims the window misses."""
    experiment = assessment.experiment
    slowest = max(experiment.claim_hours, key=lambda name: experiment.claim_hours[name])
    variant = experiment.variant(slowest)
    return _say(
        WINDOW,
        experiment=experiment.name,
        variant=variant.label if variant else slowest,
        slowest=math.floor(experiment.claim_hours[slowest]),
        window=experiment.attribution_window_hours,
        wider=wider,
    )


def _harm(assessment: Assessment, breach: Breach, policy: ConversionsPolicy) -> Reason:
    """Say what a variant broke."""
    return _say(
        HARM,
        experiment=assessment.experiment.name,
        what=_HARMS[breach.what],
        variant=breach.variant.label,
        rate=breach.rate,
        others=breach.others,
        odds=ratio_in_words(1 / policy.guardrail_alpha),
    )


def _worn(assessment: Assessment, keep: VariantResult) -> Reason:
    """Say how the winner does since the switch."""
    experiment = assessment.experiment
    winner = next(result for result in assessment.since if result.variant.id == experiment.winner)
    return _say(
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
    return _say(SHARES, winner=winner, share=_share(_ALL - holdout), holdout=_share(holdout))


def _gain(assessment: Assessment) -> tuple[Reason, ...]:
    """Say what uneven shares brought, where it is a conversion at least."""
    number = round(abs(assessment.gained))
    if number == 0:
        return ()
    return (_say(GAINED, number=number, more_or_less="more" if assessment.gained > 0 else "less"),)


def _collecting(
    assessment: Assessment, rates: Reason, strength: Reason, policy: ConversionsPolicy
) -> tuple[Reason, ...]:
    """Say what is waited for."""
    experiment = assessment.experiment
    if any(result.units < policy.minimum_units for result in assessment.results):
        return (_too_few(assessment, policy), rates)
    if assessment.too_soon and experiment.started_at is not None:
        started, hours = ist(experiment.started_at), least_hours(experiment, policy)
        return (_say(TOO_SOON, experiment=experiment.name, started=started, hours=hours), rates, strength)
    days = assessment.days_left
    if days is None or days > TELLABLE_DAYS:
        return (rates, strength)
    return (rates, strength, _say(DAYS_LEFT, days=max(1, math.ceil(days))))


def explain(assessment: Assessment, as_of: datetime, policy: ConversionsPolicy) -> tuple[Reason, ...]:
    """Say what is behind a status, the most important sentence first."""
    leader, rival = assessment.leader, assessment.rival
    if assessment.status is Status.UNKNOWN or assessment.obstacle is not None:
        unknown = assessment.obstacle is None
        return (_unknown(assessment, as_of) if unknown else _obstacle(assessment, policy),)
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
        alike = _say(ALIKE, experiment=name, smallest=policy.smallest_effect, kept=label)
        reasons = (alike, rates, *_gain(assessment))
    if assessment.hold is not None:
        return (_say(HELD, experiment=name, winner=label, until=ist(assessment.hold.until)), *reasons)
    if keep is not None:
        return reasons
    if assessment.status is Status.DECIDED:
        return (_say(ALREADY, experiment=name, winner=label), *reasons, *_gain(assessment))
    return (*reasons, _shares_reason(label, policy))


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


def comparison_numbers(effect: Effect) -> dict[str, JSON]:
    """Record one comparison; an end that is not bounded is null."""
    low, high = effect.ratio
    return {
        "first": effect.first,
        "second": effect.second,
        "favours": effect.favours,
        "e_value": math.exp(min(effect.log_e, _LARGEST_EXPONENT)),
        "ratio_interval": [low, high if math.isfinite(high) else None],
        "difference_interval": list(effect.difference),
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
        "word": assessment.word,
        "days_left": assessment.days_left,
        "gained_conversions": assessment.gained,
        "mismatch_e_value": math.exp(min(assessment.mismatch_log_e, _LARGEST_EXPONENT)),
        "comparisons": [comparison_numbers(effect) for effect in assessment.effects],
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


def _even(variants: Sequence[str], shares: int = _ALL) -> dict[str, int]:
    """Share evenly; odd points go to the first."""
    each, odd = divmod(shares, len(variants))
    return {variant: each + (place < odd) for place, variant in enumerate(variants)}


def _win(assessment: Assessment, winner: str, policy: ConversionsPolicy) -> dict[str, JSON]:
    """Make a variant the active message and the recorded winner."""
    allocation = _allocation(assessment.experiment, winner, policy.holdout_basis_points)
    return {"active_variant": winner, "winner": winner, "allocation_basis_points": allocation}


def _without(assessment: Assessment) -> dict[str, JSON]:
    """Stop the harmful variants; their share goes to the others, and the best of those is active."""
    experiment = assessment.experiment
    harmful = {breach.variant.id for breach in assessment.breaches}
    others = [result for result in assessment.results if result.variant.id not in harmful]
    # Where each of them does harm of some kind, the best one stays: somebody has to be invited.
    others = others or [result for result in assessment.results if result is assessment.leader]
    names = [result.variant.id for result in others]
    shares = {name: experiment.allocation_basis_points.get(name, 0) for name in names}
    given = sum(shares.values())
    kept = {name: share * _ALL // given for name, share in shares.items()} if given else _even(names)
    kept[names[0]] += _ALL - sum(kept.values())
    best = max(others, key=lambda result: (result.converted / result.units, result.variant.id))
    active, winner = experiment.active_variant, experiment.winner
    return {
        "active_variant": active if active in names else best.variant.id,
        "winner": winner if winner in names else None,
        "allocation_basis_points": {variant.id: kept.get(variant.id, 0) for variant in experiment.variants},
    }


def _wanted(assessment: Assessment, policy: ConversionsPolicy) -> tuple[str, dict[str, JSON]] | None:
    """Say what is to change, in a headline and as state; None where nothing is."""
    experiment, keep, proven = assessment.experiment, assessment.keep, assessment.proven
    if assessment.status is Status.BREACHED:
        return f"{assessment.breaches[0].variant.label} is stopped: it does harm.", _without(assessment)
    if assessment.window_hours is not None:
        hours = assessment.window_hours
        return f"The attribution window grows to {hours} hours.", {"attribution_window_hours": hours}
    if assessment.status is Status.READY and proven is not None:
        stays = experiment.active_variant == proven.variant.id
        deed = "stays active, now as the winner." if stays else "becomes the active message."
        return f"{proven.variant.label} {deed}", _win(assessment, proven.variant.id, policy)
    if assessment.status is Status.DECAYED and keep is not None:
        return f"{keep.variant.label} becomes active again: the winner wore out.", {
            "active_variant": keep.variant.id,
            "winner": None,
            "allocation_basis_points": _even([variant.id for variant in experiment.variants]),
        }
    if assessment.status is Status.NO_DIFFERENCE and keep is not None and not assessment.in_place:
        return f"{keep.variant.label} is kept: no difference worth having.", _win(
            assessment, keep.variant.id, policy
        )
    return None


def _switch(assessment: Assessment, reasons: tuple[Reason, ...], policy: ConversionsPolicy) -> _Switch | None:
    """Put together what changes and who is told; None where nothing changes."""
    wanted = _wanted(assessment, policy)
    if wanted is None:
        return None
    headline, after = wanted
    experiment = assessment.experiment
    told = (
        f"{headline}\n"
        + "\n".join(reason.text for reason in reasons)
        + "\nTo take it back: post-audit undo {decision}; the same switch then rests for"
        f" {policy.hold_days} days."
    )
    tell = Message(channel=Channel.TELEGRAM, subject=experiment.subject, payload={"text": told})
    if assessment.window_hours is not None:
        taken_back = f"Taken back: {experiment.name} counts claims within its former window."
        before: dict[str, JSON] = {"attribution_window_hours": experiment.own_window_hours}
        return _Switch(
            headline=headline,
            change=Change(subject=experiment.subject, before=before, after=after),
            messages=(tell,),
            undo_messages=(replace(tell, payload={"text": taken_back}),),
        )
    after["allocation_epoch"] = experiment.allocation_epoch + 1
    before = {
        "active_variant": experiment.active_variant,
        "winner": experiment.winner,
        "allocation_basis_points": dict(experiment.allocation_basis_points),
        "allocation_epoch": experiment.allocation_epoch,
    }
    former = experiment.variant(experiment.active_variant)
    former_name = former.label if former else (experiment.active_variant or "no message")
    taken_back = f"Taken back: {experiment.name} sends {former_name} with the shares it had before."
    return _Switch(
        headline=headline,
        change=Change(subject=experiment.subject, before=before, after=after),
        messages=(_update(experiment, after), tell),
        undo_messages=(_update(experiment, before), replace(tell, payload={"text": taken_back})),
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
        if (switch := _switch(assessment, because, policy)) is not None:
            switches.append(switch)
    numbers: dict[str, JSON] = {
        "experiments": [_experiment_numbers(assessment) for assessment in assessments]
    }
    statuses = {assessment.status for assessment in assessments}
    following = next(text for status, text in _NEXT.items() if status in statuses)
    if not switches:
        outcome, headline = next(said for status, said in _STILL.items() if status in statuses)
        why = next((assessment.word for assessment in assessments if assessment.obstacle), "")
        headline = headline.format(why=why.removeprefix("blocked: "))
        return Decision(
            outcome=outcome, headline=headline, reasons=tuple(reasons), numbers=numbers, next=following
        )
    ready = all(
        assessment.status in {Status.READY, Status.DECIDED, Status.COLLECTING} for assessment in assessments
    )
    deed = "switch to their winners" if ready else "are changed"
    several = f"{len(switches)} experiments {deed}."
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
