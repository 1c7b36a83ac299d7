"""What changes for a status, who is told, and how it is taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Message, Reason
from app.post_audit.steps.conversions.assessment import Assessment, Status
from app.post_audit.steps.conversions.facts import ALL_BASIS_POINTS, Experiment
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["Switch", "change_allocation", "switch", "without", "won"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Everything that one switch consists of."""

    headline: str
    change: Change
    messages: tuple[Message, ...]
    undo_messages: tuple[Message, ...]


def _even(variants: Sequence[str], shares: int = ALL_BASIS_POINTS) -> dict[str, int]:
    """Share evenly; odd points go to the first."""
    each, odd = divmod(shares, len(variants))
    return {variant: each + (place < odd) for place, variant in enumerate(variants)}


def won(experiment: Experiment, winner: str, holdout_basis_points: int) -> dict[str, JSON]:
    """Make a variant the active message and the recorded winner; the others share the holdout evenly."""
    others = [variant.id for variant in experiment.variants if variant.id != winner]
    shares = {**_even(others, holdout_basis_points), winner: ALL_BASIS_POINTS - holdout_basis_points}
    allocation = {variant.id: shares[variant.id] for variant in experiment.variants}
    return {"active_variant": winner, "winner": winner, "allocation_basis_points": allocation}


def without(assessment: Assessment, stopped: AbstractSet[str]) -> dict[str, JSON]:
    """Stop variants; their share goes to the others, and the best of those is active if the active one stops."""
    experiment = assessment.experiment
    others = [result for result in assessment.results if result.variant.id not in stopped]
    # Where each of them does harm of some kind, the best one stays: somebody has to be invited.
    others = others or [result for result in assessment.results if result is assessment.leader]
    names = [result.variant.id for result in others]
    shares = {name: experiment.allocation_basis_points.get(name, 0) for name in names}
    given = sum(shares.values())
    kept = (
        {name: share * ALL_BASIS_POINTS // given for name, share in shares.items()} if given else _even(names)
    )
    kept[names[0]] += ALL_BASIS_POINTS - sum(kept.values())
    best = max(others, key=lambda result: (result.rate or 0.0, result.variant.id))
    active, winner = experiment.active_variant, experiment.winner
    return {
        "active_variant": active if active in names else best.variant.id,
        "winner": winner if winner in names else None,
        "allocation_basis_points": {variant.id: kept.get(variant.id, 0) for variant in experiment.variants},
    }


def _wanted(assessment: Assessment, policy: ConversionsPolicy) -> tuple[str, dict[str, JSON]] | None:
    """Say what allocation is to hold, in a headline and as state; None where the present one stays."""
    experiment, keep, proven = assessment.experiment, assessment.keep, assessment.proven
    holdout = policy.holdout_basis_points
    if assessment.status is Status.BREACHED:
        harmful = {breach.variant.id for breach in assessment.breaches}
        label = assessment.breaches[0].variant.label
        return f"{label} is stopped: it does harm.", without(assessment, harmful)
    if assessment.status is Status.READY and proven is not None:
        stays = experiment.active_variant == proven.variant.id
        deed = "stays active, now as the winner." if stays else "becomes the active message."
        return f"{proven.variant.label} {deed}", won(experiment, proven.variant.id, holdout)
    if assessment.status is Status.DECAYED and keep is not None:
        return f"{keep.variant.label} becomes active again: the winner wore out.", {
            "active_variant": keep.variant.id,
            "winner": None,
            "allocation_basis_points": _even([variant.id for variant in experiment.variants]),
        }
    if assessment.status is Status.NO_DIFFERENCE and keep is not None and not assessment.in_place:
        headline = f"{keep.variant.label} is kept: no difference worth having."
        return headline, won(experiment, keep.variant.id, holdout)
    return None


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


def _tell(
    experiment: Experiment, headline: str, reasons: tuple[Reason, ...], policy: ConversionsPolicy
) -> Message:
    """Tell people what is done and how it is taken back."""
    lines = (headline, *(reason.text for reason in reasons))
    back = f"To take it back: post-audit undo {{decision}}; the same switch then rests for {policy.hold_days} days."
    return Message(
        channel=Channel.TELEGRAM, subject=experiment.subject, payload={"text": "\n".join((*lines, back))}
    )


def _widen(
    experiment: Experiment, hours: int, reasons: tuple[Reason, ...], policy: ConversionsPolicy
) -> Switch:
    """Count claims for longer."""
    headline = f"The attribution window grows to {hours} hours."
    tell = _tell(experiment, headline, reasons, policy)
    taken_back = f"Taken back: {experiment.name} counts claims within its former window."
    return Switch(
        headline=headline,
        change=Change(
            subject=experiment.subject,
            before={"attribution_window_hours": experiment.own_window_hours},
            after={"attribution_window_hours": hours},
        ),
        messages=(tell,),
        undo_messages=(replace(tell, payload={"text": taken_back}),),
    )


def change_allocation(
    experiment: Experiment,
    headline: str,
    after: dict[str, JSON],
    reasons: tuple[Reason, ...],
    policy: ConversionsPolicy,
) -> Switch:
    """Put together a new allocation, which begins a new epoch, with who is told of it and of its taking back."""
    wanted = {**after, "allocation_epoch": experiment.allocation_epoch + 1}
    before: dict[str, JSON] = {
        "active_variant": experiment.active_variant,
        "winner": experiment.winner,
        "allocation_basis_points": dict(experiment.allocation_basis_points),
        "allocation_epoch": experiment.allocation_epoch,
    }
    former = experiment.variant(experiment.active_variant)
    former_name = former.label if former else (experiment.active_variant or "no message")
    taken_back = f"Taken back: {experiment.name} sends {former_name} with the shares it had before."
    tell = _tell(experiment, headline, reasons, policy)
    # What is taken back is a change of the shares, too, and gets an epoch of its own: suppliers invited before and
    # after it are never compared. The database sets it (`change_experiment`).
    restored = {**before, "allocation_epoch": experiment.allocation_epoch + 2}
    return Switch(
        headline=headline,
        change=Change(subject=experiment.subject, before=before, after=wanted),
        messages=(_update(experiment, wanted), tell),
        undo_messages=(_update(experiment, restored), replace(tell, payload={"text": taken_back})),
    )


def switch(assessment: Assessment, reasons: tuple[Reason, ...], policy: ConversionsPolicy) -> Switch | None:
    """Put together what changes and who is told; None where nothing changes."""
    if assessment.window_hours is not None and assessment.status is Status.WIDENING:
        return _widen(assessment.experiment, assessment.window_hours, reasons, policy)
    wanted = _wanted(assessment, policy)
    if wanted is None:
        return None
    headline, after = wanted
    return change_allocation(assessment.experiment, headline, after, reasons, policy)
