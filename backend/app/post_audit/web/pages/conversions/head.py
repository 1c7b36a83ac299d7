"""The head of the page: how the experiment stands, and the ways to switch and to stop by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from app.post_audit.web.access import Role
from app.post_audit.web.pages import charts
from app.post_audit.web.pages.conversions.by_hand import stop_experiment, switch_message
from app.post_audit.web.pages.conversions.words import STATUS, headline, lede
from app.post_audit.web.pages.elements import box, button, link, moment, text, word
from app.post_audit.web.pages.view import View

__all__ = ["draw_head"]


def draw_head(view: View, data: Mapping[str, Any]) -> None:
    """Draw the headline, the state, and the deeds of an operator; or that no experiment is running."""
    one = data["one"]
    if one is None:
        with box("div", "head"), box("div", "head-text"):
            text("No experiment is running.", "h1")
            text("One that is started in ab_test_config appears here within seconds.", "p", "lede")
        return
    words, icon_name, kind = STATUS[one["status"]]
    with box("div", "head"):
        with box("div", "head-text"):
            with box("p", "eyebrow"):
                word(
                    one["status_word"][0].upper() + one["status_word"][1:] if one["status_word"] else words,
                    icon_name,
                    kind,
                )
                with box("span", "meta"):
                    text(one["name"])
                    if one["started_at"] is not None:
                        text(f" · since {charts.day(one['started_at'])}")
            text(headline(one), "h1")
            text(lede(one, data["mode"]), "p", "lede")
            with box("p", "meta"):
                moment(datetime.fromisoformat(one["as_of"]), form="day", before="Counted ")
                switch = {"act": "automatic switch is on", "propose": "a switch waits for your word"}
                text(f" · {switch.get(data['mode'], 'the step is paused')}")
        if view.visit.allows(Role.OPERATOR):
            with box("div", "actions"):
                for variant in one["variants"]:
                    if not (variant["is_active"] and variant["is_winner"]):
                        button(
                            f"Switch to {variant['letter']} now",
                            partial(switch_message, view, one, variant),
                            key=f"switch-{variant['id']}",
                        )
                button("Stop", lambda: stop_experiment(view, one), key="stop")
    if len(data["experiments"]) > 1:
        with box("div", "chips"):
            for each in data["experiments"]:
                link(
                    each["name"],
                    f"/admin/ab-test?experiment={each['id']}",
                    "chip",
                    aria_current="page" if each["id"] == one["id"] else None,
                )
