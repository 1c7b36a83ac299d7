"""Empty, loading, failed, stale: what a part of a page says when it has no numbers, or old ones."""

from __future__ import annotations

from datetime import datetime

from app.post_audit.errors import PostAuditError
from app.post_audit.web.pages.elements import Handler, badge, box, button, moment, text, word

__all__ = ["empty", "failed", "loading"]


def loading(words: str = "Reading the numbers") -> None:
    """Show the shape of what comes."""
    with box("div", "panel", aria_busy="true"):
        word(words, "cycle", "is-accent")
        for width, height in (("70%", 24), ("45%", 24), ("100%", 96)):
            box("div", "shape").style(f"width: {width}; height: {height}px")


def failed(headline: str, error: PostAuditError, again: Handler, *, at: datetime | None) -> None:
    """Say what failed, what still holds, and what to do."""
    with box("div", "panel").style("margin-bottom: 32px"):
        badge("Not read", "alert", "is-bad")
        text(headline, "h2").style("margin-top: 8px")
        text(error.message, "p", "small")
        if error.cure:
            text(error.cure, "p", "small")
        if at is not None:
            with box("p", "meta"):
                moment(at, form="day", before="Last true at ", after=". Nothing is decided on old numbers.")
        with box("div", "actions spaced"):
            button("Try again", again, kind="filled", key="again")


def empty(words: str, sentence: str) -> None:
    """Say that there is nothing, and why, or what to do about it."""
    with box("div", "panel"):
        word(words, "tick")
        text(sentence, "p", "small").style("margin-top: 4px")
