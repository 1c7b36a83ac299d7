"""The head of the page: how many tasks wait and how many are late, the way to upload, and what waits for review."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.post_audit.formats import count
from app.post_audit.web.access import Role
from app.post_audit.web.pages.elements import box, button, icon, link, moment, text, word
from app.post_audit.web.pages.enhancements import upload
from app.post_audit.web.pages.enhancements.choosing import show_only
from app.post_audit.web.pages.enhancements.words import headline, lede
from app.post_audit.web.pages.view import View

__all__ = ["draw_head"]


def draw_head(view: View, data: Mapping[str, Any]) -> None:
    """Draw the headline, the times, upload and export; what waits for review; and the end of the queue."""
    counts = data["counts"]
    with box("div", "head"):
        with box("div", "head-text"):
            text(headline(counts), "h1")
            text(lede(counts, data["soon"]), "p", "lede")
            with box("p", "meta"):
                moment(datetime.fromisoformat(data["as_of"]), form="day", before="As of ")
                if data["audit"] is not None:
                    moment(
                        datetime.fromisoformat(data["audit"]["received_at"]),
                        form="day",
                        before=" · last import ",
                    )
                    text(f", {data['audit']['source']}")
        with box("div", "actions"):
            if view.visit.allows(Role.OPERATOR):
                button(
                    "Upload audit", lambda: upload.ask(view), kind="filled", icon_name="upload", key="upload"
                )
            link(
                "Export",
                "/api/admin/tasks/export?format=csv&status=pending&status=in_progress",
                "button",
                download="tasks.csv",
            )
    if counts["review"]:
        _draw_review(view, counts["review"])
    if counts["all"] == 0 and counts["review"] == 0:
        _draw_nothing(data)


def _draw_review(view: View, waiting: int) -> None:
    with box("div", "panel row-panel"):
        with box("span", "word is-warn"):
            icon("hand")
        with box("div", "grow"):
            words = "finding waits" if waiting == 1 else "findings wait"
            text(f"{count(waiting)} {words} for a word from you. ", "b")
            text("Nobody could say for certain what they mean; you confirm or dismiss them.", classes="small")
        button(f"Review {count(waiting)}", lambda: show_only(view, "review"), key="review")


def _draw_nothing(data: Mapping[str, Any]) -> None:
    with box("div", "panel empty"):
        word("All done", "tick", "is-accent")
        text("0 TASKS PENDING", "p", "big")
        last = data["last_done"]
        with box("p", "lede"):
            if last is None:
                text("No audit has brought a task yet. Drop a report here and see what it finds.")
            else:
                text(f"The last one, “{last['title']}”, was finished by {last['owner'] or 'an audit'} ")
                moment(datetime.fromisoformat(last["completed_at"]), form="day", before="at ")
                text(". The next audit is read when you upload it, or at the next run.")
