"""What a person does with an experiment: switch to a message, or end it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.post_audit.steps.conversions import STEP
from app.post_audit.steps.conversions.by_hand import ByHand, end_experiment, switch_to
from app.post_audit.web import conversions as api
from app.post_audit.web.access import Person, Role
from app.post_audit.web.pages import deeds
from app.post_audit.web.pages.conversions.variant import variant_of
from app.post_audit.web.pages.view import View

__all__ = ["stop_experiment", "switch_message"]


async def switch_message(view: View, one: Mapping[str, Any], variant: Mapping[str, Any]) -> None:
    """Ask whether to send `variant` to everybody but the holdout, and do it or propose it."""
    if not await deeds.confirm(
        view,
        f"Send {variant['letter']} to everybody but the holdout?",
        [
            f"{variant['label']} becomes the active message, whatever the evidence says.",
            "n8n is told at once. You can take it back under “What was decided before”.",
        ],
        f"Switch to {variant['letter']}",
    ):
        return

    def wanted(person: Person) -> ByHand:
        assessment = api.shown(view.house.database, str(one["id"]), one["version"])
        return switch_to(assessment, str(variant["id"]), person.name, STEP.policy)

    await _by_hand(view, wanted)


async def stop_experiment(view: View, one: Mapping[str, Any]) -> None:
    """Ask whether to end the experiment, and do it or propose it."""
    active = variant_of(one, one["active_variant"])
    name = active["label"] if active is not None else "nobody's message"
    if not await deeds.confirm(
        view,
        f"End {one['name']}?",
        [
            f"{name} goes to everybody from now on, and nothing is compared any more.",
            "You can take it back by undo.",
        ],
        "End it",
        is_danger=True,
    ):
        return

    def wanted(person: Person) -> ByHand:
        assessment = api.shown(view.house.database, str(one["id"]), one["version"])
        return end_experiment(assessment, person.name, STEP.policy)

    await _by_hand(view, wanted)


async def _by_hand(view: View, wanted: Callable[[Person], ByHand]) -> None:
    """Carry out an approver's wish, or propose an operator's."""

    def deed(person: Person) -> str:
        decision = api.carry_out(view.house.database, wanted(person), person)
        view.visit.record(f"experiment.{decision['state']}", f"decision:{decision['id']}")
        if decision["state"] == "proposed":
            return "Proposed. It is done when an approver agrees."
        view.house.deliver()
        return str(decision["headline"])

    await view.act(Role.OPERATOR, deed)
