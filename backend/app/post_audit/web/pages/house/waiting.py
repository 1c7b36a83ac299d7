"""The decisions that wait for a person, each a card to say yes or no on."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from app.post_audit.formats import count
from app.post_audit.web.access import Role
from app.post_audit.web.pages import deeds
from app.post_audit.web.pages.elements import badge, box, button, link, moment, text
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import TITLES, asked_because, question

__all__ = ["draw_waiting"]

_REASONS_SHOWN: Final = 2


def draw_waiting(view: View, waiting: list[dict[str, Any]]) -> None:
    """Draw a card for each decision that waits; nothing where none does."""
    if not waiting:
        return
    text("What waits for you", "h2", "hidden-text")
    with box("div", "cards" if len(waiting) > 1 else "cards single"):
        for place, decision in enumerate(waiting):
            _draw_card(view, decision, is_first=place == 0)


def _draw_card(view: View, decision: dict[str, Any], *, is_first: bool) -> None:
    number = decision["id"]
    proposed = int(decision["counts"]["proposed"])
    with box("article", "panel card"):
        with box("div", "card-top"):
            badge(f"{TITLES.get(decision['step'], decision['step'])} · waits for you", "hand", "is-warn")
            with box("span", "meta"):
                moment(datetime.fromisoformat(decision["as_of"]), form="day", before="as of ")
        text(question(decision), "h3")
        for sentence in asked_because(decision)[:_REASONS_SHOWN]:
            text(sentence, "p", "small")
        with box("div", "actions"):
            if view.visit.allows(Role.APPROVER):
                button(
                    "Yes, do it" if proposed == 1 else f"Yes, all {count(proposed)}",
                    lambda: deeds.approve(view, number),
                    kind="filled" if is_first else "",
                    key=f"approve-{number}",
                )
                button("No", lambda: deeds.reject(view, number), key=f"reject-{number}")
            link("Why, and what exactly", f"/admin/decisions/{number}", data_key=f"why-{number}")
