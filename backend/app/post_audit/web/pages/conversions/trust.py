"""Can these numbers be trusted? The checks, and how many of them pass."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.post_audit.web.pages.conversions.checks import checks_of
from app.post_audit.web.pages.elements import box, icon, moment, text
from app.post_audit.web.pages.view import View

__all__ = ["draw_trust"]


def draw_trust(_view: View, data: Mapping[str, Any]) -> None:
    """Draw every check with its numbers."""
    one = data["one"]
    if one is None:
        return
    checks = checks_of(one)
    passed = sum(state == "ok" for state, _, _ in checks)
    with box("div", "part-head"):
        text("Can these numbers be trusted?", "h2")
        with box("span", "meta"):
            text(f"{passed} of {len(checks)} checks pass")
            moment(datetime.fromisoformat(one["as_of"]), before=" · ")
    icons = {"ok": ("tick", ""), "warn": ("question", "is-warn"), "bad": ("alert", "is-bad")}
    with box("ul", "checks"):
        for state, title, sentence in checks:
            icon_name, kind = icons[state]
            with box("li", kind):
                icon(icon_name)
                with box("div"):
                    text(title, "h3")
                    text(sentence, "p")
