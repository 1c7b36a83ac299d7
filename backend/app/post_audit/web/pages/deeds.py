"""What a visitor may do with decisions and runs: the same functions as the command line, in the visitor's name."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from nicegui import ui

from app.post_audit.errors import ConfigurationError, InputError
from app.post_audit.web.access import Person, Role
from app.post_audit.web.pages.elements import box, button, text
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many

__all__ = ["approve", "confirm", "drop", "reject", "retry", "run_now", "show_demonstration", "undo"]

_BATCH: Final = 500


async def confirm(
    view: View, question: str, sentences: list[str], yes: str, *, is_danger: bool = False
) -> bool:
    """Ask before what is not easily taken back; Escape and Cancel mean no."""
    with (
        view.client,
        ui.dialog().props('aria-label="Question"') as dialog,
        box("div", "dialog", role="document"),
    ):
        text(question, "h2")
        for sentence in sentences:
            text(sentence, "p", "small")
        with box("div", "actions"):
            button(
                yes,
                lambda: dialog.submit("yes"),
                kind="danger" if is_danger else "filled",
                data_key="confirm-yes",
            )
            button("Cancel", lambda: dialog.submit("no"), data_key="confirm-no")
    answer = bool(await dialog == "yes")
    with view.client:
        dialog.delete()
    return answer


def _carry_out(view: View, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Go on until nothing of the decision remains, then send what it says."""
    call = view.house.database.call
    decision: Mapping[str, Any] = answer["decision"]
    remaining = int(answer["remaining"])
    while remaining > 0:
        step: Any = call("post_audit_apply_batch", decision_id=decision["id"], batch=_BATCH)
        decision, remaining = step["decision"], int(step["remaining"])
    view.house.deliver()
    return decision


async def approve(view: View, number: int, subjects: list[str] | None = None) -> None:
    """Agree to what a decision proposes."""

    def deed(person: Person) -> str:
        answer: Any = view.house.database.call(
            "post_audit_apply_approval", decision_id=number, actor=person.name, subjects=subjects
        )
        decision = _carry_out(view, answer)
        view.visit.record("decision.approved", f"decision:{number}")
        return f"Done: {decision['headline']}"

    await view.act(Role.APPROVER, deed, undo=_undo_of(view, number))


async def reject(view: View, number: int) -> None:
    """Decline what a decision proposes."""

    def deed(person: Person) -> str:
        view.house.database.call("post_audit_apply_rejection", decision_id=number, actor=person.name)
        view.visit.record("decision.rejected", f"decision:{number}")
        return "Declined. The same is not proposed again for a while."

    await view.act(Role.APPROVER, deed)


async def undo(view: View, decision: Mapping[str, Any]) -> None:
    """Take a decision back, after asking."""
    number = int(decision["id"])
    changes = how_many(int(decision["counts"].get("applied", 0)), "change is", "changes are")
    if await confirm(
        view,
        "Take this back?",
        [
            str(decision["headline"]),
            f"{changes} set back to what stood before; whoever was told is told again. What moved since is refused.",
            "It is held: the same is not done again for some days, unless the facts ask for something else.",
        ],
        "Take back",
        is_danger=True,
    ):
        await _undo_of(view, number)()


def _undo_of(view: View, number: int) -> Callable[[], Any]:
    async def taken_back() -> None:
        def deed(person: Person) -> str:
            answer: Any = view.house.database.call(
                "post_audit_apply_undo", decision_id=number, actor=person.name
            )
            _carry_out(view, answer)
            view.visit.record("decision.undone", f"decision:{number}")
            return "Taken back. It is held, and not done again by itself for some days."

        await view.act(Role.APPROVER, deed)

    return taken_back


async def retry(view: View, number: int) -> None:
    """Try a message again at once."""

    def deed(person: Person) -> str:
        view.house.database.call("post_audit_apply_message_retry", number=number, actor=person.name)
        view.house.deliver()
        view.visit.record("message.retried", f"message:{number}")
        return "It is tried again now."

    await view.act(Role.OPERATOR, deed)


async def drop(view: View, number: int) -> None:
    """Never send a message that waits or was given up."""

    def deed(person: Person) -> str:
        view.house.database.call("post_audit_apply_message_drop", number=number, actor=person.name)
        view.visit.record("message.dropped", f"message:{number}")
        return "It is dropped, and stays in the list."

    await view.act(Role.OPERATOR, deed)


async def show_demonstration(view: View) -> None:
    """Load the invented marketplace into the embedded database, where nothing has ever been in it, and start a run."""

    def deed(_person: Person) -> str:
        application, start_run = view.house.application, view.house.start_run
        if application is None or start_run is None or application.prepare_first_run() is None:
            raise InputError("The database is not empty any more.", cure="Press Run now.")
        start_run("manual", f"manual:{secrets.token_hex(8)}")
        view.visit.record("demonstration.loaded")
        return "The demonstration is loaded, and its first run has begun."

    await view.act(Role.OPERATOR, deed)


async def run_now(view: View) -> None:
    """Start a run; the page follows it."""

    def deed(_person: Person) -> str:
        if view.house.start_run is None:
            raise ConfigurationError("This server cannot run steps.", cure="Run them by hand: post-audit run")
        view.house.start_run("manual", f"manual:{secrets.token_hex(8)}")
        view.visit.record("run.started")
        return "The run has begun."

    await view.act(Role.OPERATOR, deed)
