"""What was decided before, with the way back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from app.post_audit.formats import percent
from app.post_audit.web.access import Role
from app.post_audit.web.pages import deeds, states
from app.post_audit.web.pages.elements import box, link, moment, text, text_button
from app.post_audit.web.pages.view import View

__all__ = ["draw_decided"]

_ALL_BASIS_POINTS: Final = 10_000


def draw_decided(view: View, one: dict[str, Any] | None) -> None:
    """Draw every switch, stop and undo, newest first; only the newest offers its undo."""
    if one is None:
        return
    text("What was decided before", "h2").style("margin-bottom: 8px")
    if not one["switches"]:
        states.empty("Nothing was switched yet", "Every switch, stop and undo is kept here with its numbers.")
        return
    with box("table", "table stack"):
        with box("thead"), box("tr"):
            for name, classes in (("When", ""), ("Decision", ""), ("By", ""), ("Undo", "end")):
                text(name, "th", classes, scope="col")
        with box("tbody"):
            for place, past in enumerate(one["switches"]):
                _draw_decision(view, past, is_latest=place == 0)


def _draw_decision(view: View, past: Mapping[str, Any], *, is_latest: bool) -> None:
    number = past["decision_id"]
    with box("tr"):
        with box("td"):
            moment(datetime.fromisoformat(past["at"]), form="day")
        with box("td"):
            link(past["headline"], f"/admin/decisions/{number}", "title")
            text(_shares(past["after"]), classes="sub")
        text("automatic" if past["actor"] == "protocol" else past["actor"], "td")
        with box("td", "end"):
            if past["undone_by"] is not None:
                link(f"Undone by {past['undone_by']}", f"/admin/decisions/{past['undone_by']}", "meta")
            elif past["state"] != "applied":
                text(
                    {"proposed": "waits", "superseded": "replaced"}.get(past["state"], past["state"]),
                    classes="meta",
                )
            elif not is_latest:
                text("A newer one stands on it", classes="meta")
            elif view.visit.allows(Role.APPROVER):
                shown = {"id": number, "headline": past["headline"], "counts": {"applied": 1}}
                text_button(
                    "Undo",
                    lambda: deeds.undo(view, shown),
                    key=f"undo-{number}",
                    aria_label=f"Undo decision {number}",
                )


def _shares(after: Mapping[str, Any]) -> str:
    shares = after.get("allocation_basis_points") or {}
    return " · ".join(
        f"{name.replace('_', ' ')} {percent(share / _ALL_BASIS_POINTS)}" for name, share in shares.items()
    )
