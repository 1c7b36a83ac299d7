"""What a visitor may do with tasks, through the same functions as the API, in the visitor's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nicegui import ui
from starlette.concurrency import run_in_threadpool

from app.post_audit.codec import to_json
from app.post_audit.errors import InvalidArgument, PostAuditError
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.tasks import Action
from app.post_audit.web.access import Person, Role
from app.post_audit.web.pages.elements import box, button, text
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many

__all__ = ["act", "ask", "offered", "open_task"]

_DONE: Final = {
    Action.START: "claimed",
    Action.DONE: "completed",
    Action.RELEASE: "given back",
    Action.BLOCK: "blocked",
    Action.CONFIRM: "confirmed",
    Action.CANCEL: "cancelled",
    Action.ACCEPT: "accepted for now",
    Action.FALSE_POSITIVE: "dismissed",
    Action.MERGE: "merged",
    Action.REOPEN: "reopened",
    Action.PRIORITISE: "given another priority",
}
_QUESTIONS: Final = {
    Action.BLOCK: "What is it waiting for?",
    Action.ACCEPT: "Why is the risk acceptable for 30 days?",
    Action.FALSE_POSITIVE: "Why is there nothing to do?",
    Action.MERGE: "Which task do they repeat?",
}
_ACCEPTED_FOR: Final = timedelta(days=30)


def offered(task: Mapping[str, Any], who: str) -> list[tuple[Action, str]]:
    """What may be done with a task as it stands, each with the words on its button."""
    found = []
    if task["owner"] is None:
        found.append((Action.START, "Claim"))
    if task["owner"] in {None, who}:
        found.append((Action.DONE, "Complete"))
    if task["owner"] == who and task["status"] == "in_progress":
        found.append((Action.RELEASE, "Give back"))
    return [
        *found,
        (Action.BLOCK, "Block"),
        (Action.MERGE, "Merge into…"),
        (Action.ACCEPT, "Accept the risk"),
        (Action.FALSE_POSITIVE, "Nothing to do"),
    ]


async def act(  # noqa: PLR0913 - an action has one of three particulars
    view: View,
    ids: Sequence[str],
    action: Action,
    *,
    note: str | None = None,
    keep: str | None = None,
    until: datetime | None = None,
) -> None:
    """Do something with tasks, and say what was done and what was refused."""

    def deed(person: Person) -> str:
        done = queue.act(
            view.house.database, ids, action, person.name, note=note or None, keep=keep or None, until=until
        )
        for task in done.tasks:
            view.visit.record(f"task.{action.value}", f"task:{task.id}")
        if not done.tasks and done.refused:
            raise InvalidArgument(done.refused[0].message, cure=done.refused[0].cure)
        said = f"{how_many(len(done.tasks), 'task', 'tasks')} {_DONE.get(action, action.value)}."
        if len(done.tasks) == 1:
            said = f"“{done.tasks[0].title}” is {_DONE.get(action, action.value)}."
        refused = (
            f" {how_many(len(done.refused), 'was', 'were')} left as it was: {done.refused[0].message}"
            if done.refused
            else ""
        )
        return said + refused

    view.state["selected"] = []
    view.state["opened"] = None
    view.state["details"] = None
    can_reopen = action in {Action.DONE, Action.FALSE_POSITIVE, Action.MERGE, Action.ACCEPT}

    async def reopened() -> None:
        await act(view, ids, Action.REOPEN)

    await view.act(Role.OPERATOR, deed, undo=reopened if can_reopen else None)


async def ask(view: View, ids: Sequence[str], action: Action) -> None:
    """Ask for what has to be said with an action, then do it; most need nothing."""
    if action not in _QUESTIONS:
        await act(view, ids, action)
        return
    said = {"note": ""}
    is_merge = action is Action.MERGE
    with (
        view.client,
        ui.dialog().props('aria-label="Question"') as dialog,
        box("div", "dialog", role="document"),
    ):
        text(_QUESTIONS[action], "h2")
        text(
            "The number of the task that stays; it stands in its details."
            if is_merge
            else "One sentence, for whoever reads it later.",
            "p",
            "small",
        )
        field = box(
            "input", "field", aria_label=_QUESTIONS[action], type="text", maxlength="500", autofocus=""
        )
        field.on(
            "input",
            lambda event: said.update(note=str(event.args or "")),
            js_handler="(event) => emit(event.target.value)",
        )
        with box("div", "actions"):
            button("Do it", lambda: dialog.submit("yes"), kind="filled", data_key="ask-yes")
            button("Cancel", lambda: dialog.submit("no"), data_key="ask-no")
    agreed = await dialog == "yes"
    with view.client:
        dialog.delete()
    if not agreed:
        return
    note = said["note"].strip()
    await act(
        view,
        [one for one in ids if one != note] if is_merge else ids,
        action,
        note=None if is_merge else note,
        keep=note if is_merge else None,
        until=datetime.now(UTC) + _ACCEPTED_FOR if action is Action.ACCEPT else None,
    )


async def open_task(view: View, identifier: str) -> None:
    """Open a task's details below its row, or close them."""
    if view.state["opened"] == identifier:
        view.state["opened"] = view.state["details"] = None
        view.redraw()
        return
    try:
        details: Any = to_json(await run_in_threadpool(queue.show, view.house.database, identifier))
    except PostAuditError as error:
        view.toast(error.message, is_bad=True)
        return
    view.state["opened"], view.state["details"] = identifier, details
    view.redraw()
