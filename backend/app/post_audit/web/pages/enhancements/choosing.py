"""What is shown of the tasks: the search, and a chip for each choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.post_audit.formats import count
from app.post_audit.web.pages.elements import box, icon, text
from app.post_audit.web.pages.view import View

__all__ = ["draw_chips", "draw_search", "show_only"]


def draw_search(view: View, shown: Mapping[str, Any]) -> None:
    """Draw the field alone: what somebody is typing must outlive what changes around it."""
    if not shown["is_offered"]:
        return

    async def searched(event: Any) -> None:  # noqa: ANN401 - NiceGUI's event
        view.query["words"] = str(event.args or "")[:200]
        await _again(view)

    with box("div", "search"):
        icon("search")
        field = box(
            "input",
            type="search",
            placeholder="Search title, file or rule",
            aria_label="Search tasks",
            data_key="search",
            value=shown["words"],
        )
        # with Enter, or when the field is left
        field.on("change", searched, js_handler="(event) => emit(event.target.value)")


def draw_chips(view: View, data: Mapping[str, Any]) -> None:
    """Draw the choices with their counts; none where there is no task."""
    counts, show = data["counts"], data["show"]
    if counts["all"] == 0 and counts["review"] == 0:
        return
    with box("div", "chips", role="group", aria_label="Show"):
        _chip(view, "all", f"All {count(counts['all'])}", show)
        if counts["mine"] or show == "mine":
            _chip(view, "mine", f"Mine {count(counts['mine'])}", show)
        _chip(view, "nobody", f"No owner {count(counts['nobody'])}", show)
        if counts["review"] or show == "review":
            _chip(view, "review", f"To review {count(counts['review'])}", show)
        for name, number in data["categories"].items():
            words = f"{name[:1].upper()}{name[1:].replace('_', ' ')} {count(number)}"
            _chip(view, f"category:{name}", words, show)


def _chip(view: View, show: str, words: str, shown: str) -> None:
    made = text(
        words,
        "button",
        "chip",
        type="button",
        aria_pressed="true" if show == shown else "false",
        data_key=f"chip-{show}",
    )
    made.on("click", lambda: show_only(view, show), [])


async def show_only(view: View, show: str) -> None:
    """Show the tasks of one choice (`all`, `mine`, `nobody`, `review`, `category:NAME`) and no search."""
    view.query["show"] = show
    view.query.pop("words", None)
    await _again(view)


async def _again(view: View) -> None:
    view.query["who"] = view.visit.person.name
    view.state["opened"] = None
    await view.refresh()
