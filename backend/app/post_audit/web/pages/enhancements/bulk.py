"""What one does with several selected tasks at once."""

from __future__ import annotations

from functools import partial

from app.post_audit.steps.enhancements.tasks import Action
from app.post_audit.web.pages.elements import box, button, text, text_button
from app.post_audit.web.pages.enhancements import deeds
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many

__all__ = ["draw_bulk"]


def draw_bulk(view: View, selected: list[str]) -> None:
    """Draw the deeds for the selected tasks; nothing where none is selected."""
    if not selected:
        return
    with box("div", "bulk", role="region", aria_label="Selected tasks"):
        text(f"{how_many(len(selected), 'task', 'tasks')} selected")
        for action, words in (
            (Action.START, "Claim"),
            (Action.DONE, "Complete"),
            (Action.MERGE, "Merge"),
            (Action.FALSE_POSITIVE, "Dismiss"),
        ):
            button(
                words,
                partial(deeds.ask, view, selected, action),
                key=f"bulk-{action.value}",
            )

        def clear() -> None:
            view.state["selected"] = []
            view.redraw_all()

        text_button("Clear", clear, key="bulk-clear")
