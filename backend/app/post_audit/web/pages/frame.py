"""What stands around every page: the skip link, the navigation, who is signed in, and whether it is live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from nicegui import ui

from app.post_audit.web.access import Role
from app.post_audit.web.pages.elements import box, button, icon, link, moment, text
from app.post_audit.web.pages.page import Page
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.watch import Watcher

__all__ = ["ASSETS", "draw_frame", "head"]

ASSETS = "/_post_audit"
_QUIET = timedelta(seconds=5)


def head() -> None:
    """Name the style and the script of the pages; the script sets the theme before anything is painted."""
    ui.add_head_html(
        f'<script src="{ASSETS}/pages.js"></script>'
        f'<link rel="stylesheet" href="{ASSETS}/pages.css">'
        '<meta name="theme-color" content="#0a6a64">'
    )


def draw_frame(view: View, tabs: Sequence[Page], notes: dict[str, str], watcher: Watcher) -> None:
    """Draw the bar at the top; on a phone its tabs stand at the bottom."""
    here = view.page.path if view.page.tab is not None else view.page.below
    with ui.header(fixed=True, elevated=False).classes("top"), box("div", "top-in"):
        link("Skip to the content", "#content", "skip")
        text("Post-Audit", "a", "brand", href="/admin")
        with box("nav", "tabs", aria_label="Pages"):
            for page in tabs:
                if page.tab is None:
                    continue
                with box("a", href=page.path, aria_current="page" if page.path == here else None):
                    icon(page.tab.icon)
                    text(page.tab.name)
                    if notes.get(page.path):
                        text(notes[page.path], classes="note")
        with box("div", "top-end"):
            live = box("div", "live", role="status")
            with box("div", "who"):
                text(view.visit.person.name, classes="who-name", title=f"role: {view.visit.person.role}")
                if view.visit.person.role is Role.VIEWER:
                    text("may look", classes="badge")
            with button("", kind="icon", aria_label="Light or dark", data_theme_toggle="") as toggle:
                toggle.clear()
                toggle.classes(replace="icon-button")
                icon("contrast")

    def tell_liveness() -> None:
        live.clear()
        is_stale = bool(watcher.error)
        live.classes(replace="live is-stale" if is_stale else "live")
        with live:
            icon("past" if is_stale else "live")
            if is_stale and watcher.answered_at is not None:
                moment(watcher.answered_at, before="As it was ")
            elif is_stale:
                text("Not live")
            else:
                moment(datetime.now(UTC), before="Live ")

    tell_liveness()
    view.on_refresh.append(tell_liveness)
