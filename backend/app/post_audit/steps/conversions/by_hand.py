"""What a person asks for: another active message, a message that is sent no more, or the end of an experiment.

Decisions like those of the step: compared and set, told to n8n, taken back by `undo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from app.post_audit.errors import InvalidArgument, StateMoved
from app.post_audit.ports import JSON
from app.post_audit.step import Decision, Outcome, Reason, ReasonCode
from app.post_audit.steps.conversions.assessment import Assessment
from app.post_audit.steps.conversions.facts import ALL_BASIS_POINTS, Experiment, Variant
from app.post_audit.steps.conversions.numbers import experiment_numbers
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from app.post_audit.steps.conversions.switch import change_allocation, without, won

__all__ = ["ByHand", "end_experiment", "require_version", "stop_variant", "switch_to"]

CHOSEN: Final = ReasonCode(
    "conversions.chosen", "{actor} chose {variant} for {experiment}; the evidence was not asked."
)
STOPPED: Final = ReasonCode(
    "conversions.stopped", "{actor} stopped {variant} in {experiment}; the others share its invites."
)
ENDED: Final = ReasonCode("conversions.ended", "{actor} ended {experiment}; {variant} goes to everybody.")
RESTS: Final = ReasonCode(
    "conversions.rests",
    "A switch back to {variant}, which the evidence favours, rests for {days} days.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """A decision of a person; `held` is what the step would do against it and leaves alone for a while."""

    decision: Decision
    held: Mapping[str, JSON] | None = None


def require_version(experiment: Experiment, version: int) -> None:
    """Refuse a wish that was made on another state than the present one (`StateMoved`)."""
    if experiment.version != version:
        raise StateMoved(
            f"{experiment.name} has changed since it was shown; nothing was done.",
            cure="Look at it again, then decide.",
        )


def _variant(experiment: Experiment, identifier: str) -> Variant:
    variant = experiment.variant(identifier)
    if variant is None:
        known = ", ".join(one.id for one in experiment.variants)
        raise InvalidArgument(f"{experiment.name} has no variant {identifier}.", cure=f"It has: {known}.")
    return variant


def switch_to(assessment: Assessment, identifier: str, actor: str, policy: ConversionsPolicy) -> ByHand:
    """Make a variant the active message and give it all but the holdout.

    Raises `InvalidArgument` for a variant that the experiment does not have or that is active already.
    """
    experiment = assessment.experiment
    variant = _variant(experiment, identifier)
    if experiment.active_variant == identifier == experiment.winner:
        raise InvalidArgument(
            f"{variant.label} is the active message already.", cure="Nothing is to be done."
        )
    reasons = [CHOSEN(actor=actor, variant=variant.label, experiment=experiment.name)]
    proven = assessment.proven
    held: dict[str, JSON] | None = None
    if proven is not None and proven.variant.id != identifier:
        held = {"winner": proven.variant.id}
        reasons.append(RESTS(variant=proven.variant.label, days=policy.hold_days))
    decision = _decision(
        assessment,
        f"{variant.label} becomes the active message, by hand.",
        won(experiment, identifier, policy.holdout_basis_points),
        tuple(reasons),
        policy,
    )
    return ByHand(decision=decision, held=held)


def stop_variant(assessment: Assessment, identifier: str, actor: str, policy: ConversionsPolicy) -> ByHand:
    """Send a variant to nobody any more; the others share its invites.

    Raises `InvalidArgument` for a variant that is not there or not sent, and for the last one that is.
    """
    experiment = assessment.experiment
    variant = _variant(experiment, identifier)
    sent = [name for name, share in experiment.allocation_basis_points.items() if share > 0]
    if identifier not in sent and experiment.active_variant != identifier:
        raise InvalidArgument(f"{variant.label} is sent to nobody already.", cure="Nothing is to be done.")
    if not set(sent) - {identifier}:
        raise InvalidArgument(
            f"{variant.label} is the only message that is sent.", cure="Switch to another first, or end it."
        )
    return ByHand(
        decision=_decision(
            assessment,
            f"{variant.label} is stopped, by hand.",
            without(assessment, {identifier}),
            (STOPPED(actor=actor, variant=variant.label, experiment=experiment.name),),
            policy,
        )
    )


def end_experiment(assessment: Assessment, actor: str, policy: ConversionsPolicy) -> ByHand:
    """Stop the whole experiment; its active message goes to everybody.

    Raises `InvalidArgument` where no variant is active.
    """
    experiment = assessment.experiment
    if experiment.active_variant is None:
        raise InvalidArgument(f"{experiment.name} has no active message.", cure="Switch to one first.")
    active = _variant(experiment, experiment.active_variant)
    shares: dict[str, JSON] = {
        variant.id: ALL_BASIS_POINTS if variant is active else 0 for variant in experiment.variants
    }
    decision = _decision(
        assessment,
        f"{experiment.name} ends, by hand.",
        {"active_variant": active.id, "winner": experiment.winner, "allocation_basis_points": shares},
        (ENDED(actor=actor, variant=active.label, experiment=experiment.name),),
        policy,
    )
    (change,) = decision.changes
    ending = replace(
        change, before={**change.before, "status": "running"}, after={**change.after, "status": "stopped"}
    )
    return ByHand(decision=replace(decision, changes=(ending,)))


def _decision(
    assessment: Assessment,
    headline: str,
    after: dict[str, JSON],
    reasons: tuple[Reason, ...],
    policy: ConversionsPolicy,
) -> Decision:
    made = change_allocation(assessment.experiment, headline, after, reasons, policy)
    return Decision(
        outcome=Outcome.ACT,
        headline=headline,
        reasons=reasons,
        numbers={"experiments": [experiment_numbers(assessment)]},
        changes=(made.change,),
        messages=made.messages,
        undo_messages=made.undo_messages,
        next="To take it back: post-audit undo {decision}.",
        hold_days=policy.hold_days,
    )
