"""The table of the tasks, late first, with what one does with each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from nicegui.element import Element

from app.post_audit.formats import count
from app.post_audit.steps.enhancements.tasks import Action
from app.post_audit.web.access import Role
from app.post_audit.web.pages.elements import box, button, text
from app.post_audit.web.pages.enhancements import deeds
from app.post_audit.web.pages.enhancements.details import draw_details
from app.post_audit.web.pages.enhancements.words import Group, age_words, due_words, grouped, place_of
from app.post_audit.web.pages.view import View

__all__ = ["draw_table"]

_LEVELS: Final = {"critical": 4, "high": 3, "medium": 2, "low": 1}


def draw_table(view: View, shown: Mapping[str, Any]) -> None:
    """Draw the tasks in their groups, how many more there are, and the keys."""
    tasks, as_of = shown["tasks"], datetime.fromisoformat(shown["as_of"])
    if not tasks:
        if shown["counts"]["all"] or shown["counts"]["review"]:
            text("Nothing matches. Try other words, or show all.", "p", "lede")
        return
    with box("div", "tasks"):
        with box("div", "task-head", aria_hidden="true"):
            for name, classes in (
                ("", ""),
                ("Priority", ""),
                ("Task", ""),
                ("Seen", "right"),
                ("Age", "right"),
                ("Due", ""),
                ("Owner", ""),
            ):
                text(name, classes=classes)
        for group in grouped(tasks, as_of):
            _draw_group(view, group, as_of, shown)
    more = int(shown["matching"]) - len(tasks)
    if more > 0:
        text(
            f"{count(more)} more are due later or weigh less; search or filter to see them.", "p", "meta"
        ).style("margin-top: 16px")
    with box("p", "keys"):
        for keys, means in (
            (("j", "k"), "move"),
            (("x",), "select"),
            (("c",), "claim"),
            (("e",), "complete"),
            (("Enter",), "open"),
        ):
            for key in keys:
                text(key, "kbd")
            text(f" {means} · " if means != "open" else f" {means}")


def _draw_group(view: View, group: Group, as_of: datetime, shown: Mapping[str, Any]) -> None:
    with box("div", "group-head"):
        text(group.name, "h2")
        text(f"{count(len(group.tasks))}, {group.order}")
    with box("ul", aria_label=group.name):
        for task in group.tasks:
            with box("li"):
                _draw_task(view, task, as_of)
                if shown["opened"] == str(task["id"]) and shown["details"] is not None:
                    draw_details(view, task, shown["details"])


def _draw_task(view: View, task: dict[str, Any], as_of: datetime) -> None:
    identifier = str(task["id"])
    may = view.visit.allows(Role.OPERATOR)
    label = f"{task['priority']}: {task['title']}, {due_words(task, as_of)[0]}"
    with box("div", "task", tabindex="0", data_key=f"task-{identifier}", role="group", aria_label=label):
        with box("div", "cell-check"):
            if may:
                _draw_check(view, identifier, task)
        with box("div", f"cell-priority priority is-{task['priority']}"):
            _draw_signal(_LEVELS[task["priority"]])
            text(task["priority"].capitalize())
        with box("div", "cell-title"):
            title = text(
                task["title"],
                "a",
                "task-title",
                href=f"#task-{identifier}",
                data_action="open",
                tabindex="-1",
            )
            title.on("click.prevent", lambda: deeds.open_task(view, identifier), [])
            text(place_of(task), classes="sub")
        text(f"{count(task['occurrences'])}×", classes="cell-seen right", title="times seen")
        text(age_words(task, as_of), classes="cell-age right")
        words, kind = due_words(task, as_of)
        with box("div", "cell-due"):
            text(words, "time", kind, datetime=task["due_at"], title=f"due {task['due_at']} UTC")
        with box("div", "cell-owner"):
            _draw_owner_cell(view, task)


def _draw_owner_cell(view: View, task: dict[str, Any]) -> None:
    """Draw the deed that comes next, for who may do it, and else whose the task is."""
    identifier = str(task["id"])
    is_mine = task["owner"] == view.visit.person.name
    may = view.visit.allows(Role.OPERATOR)
    if task["disposition"] == "review" and may:
        button(
            "Confirm",
            lambda: deeds.act(view, [identifier], Action.CONFIRM),
            kind="small-button",
            data_action="claim",
            tabindex="0",
            key=f"confirm-{identifier}",
            aria_label=f"Confirm: {task['title']}",
        )
    elif task["owner"] is None and may:
        button(
            "Claim",
            lambda: deeds.act(view, [identifier], Action.START),
            kind="small-button",
            data_action="claim",
            key=f"claim-{identifier}",
            aria_label=f"Claim: {task['title']}",
        )
    elif is_mine and may:
        button(
            "Complete",
            lambda: deeds.act(view, [identifier], Action.DONE),
            kind="small-button",
            data_action="complete",
            key=f"complete-{identifier}",
            aria_label=f"Complete: {task['title']}",
        )
    elif task["owner"] is not None:
        _draw_owner(task)
    else:
        text("no owner", classes="sub")


def _draw_check(view: View, identifier: str, task: Mapping[str, Any]) -> None:
    checked = identifier in view.state["selected"]
    made = box(
        "input",
        type="checkbox",
        data_action="select",
        tabindex="-1",
        aria_label=f"Select {task['title']}",
        checked="" if checked else None,
    )

    def chosen(event: Any) -> None:  # noqa: ANN401 - NiceGUI's event
        selected = set(view.state["selected"])
        (selected.add if event.args else selected.discard)(identifier)
        view.state["selected"] = sorted(selected)
        view.redraw()

    made.on("change", chosen, js_handler="(event) => emit(event.target.checked)")


def _draw_signal(level: int) -> Element:
    made = box("span", "signal", aria_hidden="true")
    with made:
        for place in range(4):
            box("i", "on" if place < level else "")
    return made


def _draw_owner(task: Mapping[str, Any]) -> None:
    owner = str(task["owner"])
    with box("div", "owner"):
        text("".join(part[0] for part in owner.split()[:2]).upper(), classes="initials", aria_hidden="true")
        text(owner)
        text("in progress" if task["status"] == "in_progress" else "not started", classes="sub")
