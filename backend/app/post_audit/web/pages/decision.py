"""/admin/decisions/{decision_id}: one decision with its reasons, its changes, its numbers, and the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from app.post_audit.errors import NotFound
from app.post_audit.formats import count
from app.post_audit.web.access import Role
from app.post_audit.web.pages import deeds, states
from app.post_audit.web.pages.address import number_in
from app.post_audit.web.pages.elements import box, button, icon, link, moment, text, word
from app.post_audit.web.pages.page import House, Page, Part, Query
from app.post_audit.web.pages.run_timeline import can_undo
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import STATES, TITLES, change_words, how_many, standing

__all__ = ["PAGES"]

_CHANGES_SHOWN: Final = 60
_CHANGE_STATES: Final = {
    "applied": ("done", "tick"),
    "proposed": ("waits", "hand"),
    "pending": ("being done", "cycle"),
    "undone": ("taken back", "back"),
    "superseded": ("replaced", "past"),
    "rejected": ("declined", "close"),
    "moved": ("had moved", "alert"),
}


def _load_decision(house: House, query: Query) -> dict[str, Any]:
    number = number_in(query, "decision_id", "decision")
    decision: Any = house.database.call(
        "post_audit_read_decision", decision_id=number, changes_limit=_CHANGES_SHOWN
    )
    if decision is None:
        raise NotFound(f"There is no decision {number}.", cure="See the list: /admin/runs.")
    return dict(decision)


def _draw_decision(view: View, decision: dict[str, Any]) -> None:
    words, icon_name, kind = STATES.get(standing("decided", decision), (decision["state"], "question", ""))
    number = decision["id"]
    with box("div", "head"):
        with box("div", "head-text"):
            with box("p", "eyebrow"):
                word(words[:1].upper() + words[1:], icon_name, kind)
                text(
                    f"{TITLES.get(decision['step'], decision['step'])} · decision {count(number)}",
                    classes="meta",
                )
            text(decision["headline"], "h1")
            if decision["next"]:
                text(decision["next"], "p", "lede")
            with box("p", "meta"):
                moment(datetime.fromisoformat(decision["as_of"]), form="day", before="As of ")
                by = "automatic" if decision["actor"] == "protocol" else f"by {decision['actor']}"
                text(f" · {by}")
                if decision["run_id"] is not None:
                    text(" · ")
                    link(f"Run {count(decision['run_id'])}", f"/admin/runs/{decision['run_id']}", "")
        with box("div", "actions"):
            _draw_ways(view, decision)


def _draw_ways(view: View, decision: dict[str, Any]) -> None:
    number = int(decision["id"])
    if view.visit.allows(Role.APPROVER) and decision["counts"].get("proposed"):
        button("Agree", lambda: deeds.approve(view, number), kind="filled", key="approve")
        button("Decline", lambda: deeds.reject(view, number), key="reject")
    if can_undo(view, decision):
        button("Undo", lambda: deeds.undo(view, decision), key="undo")
    elif decision["final_because"]:
        text(f"No undo: {decision['final_because']}", classes="meta")
    elif decision["undone_by"] is not None:
        link(f"Taken back by decision {decision['undone_by']}", f"/admin/decisions/{decision['undone_by']}")
    if decision["undoes"] is not None:
        link(f"Takes back decision {decision['undoes']}", f"/admin/decisions/{decision['undoes']}")


def _draw_reasons(_view: View, decision: Mapping[str, Any]) -> None:
    text("Why", "h2").style("margin-bottom: 12px")
    with box("ul"):
        for reason in decision["reasons"]:
            with box("li", "small").style("padding: 3px 0; display: flex; gap: 10px"):
                with box("span", "is-quiet"):
                    icon("tick")
                text(reason["text"])


def _draw_changes(view: View, decision: dict[str, Any]) -> None:
    total = sum(decision["counts"].values())
    with box("div", "part-head"):
        text("What it changes", "h2")
        text(how_many(total, "change", "changes"), classes="meta")
    if not total:
        states.empty("Nothing", "This decision left everything as it was.")
        return
    may = view.visit.allows(Role.APPROVER)
    with box("table", "table stack"):
        with box("thead"), box("tr"):
            for name, classes in (("What", ""), ("From and to", ""), ("State", "end")):
                text(name, "th", classes, scope="col")
        with box("tbody"):
            for change in decision["changes"]:
                _draw_change(view, decision, change, may_approve=may)
    if total > len(decision["changes"]):
        text(
            f"and {count(total - len(decision['changes']))} more: post-audit decisions {decision['id']}",
            "p",
            "meta",
        )


def _draw_change(
    view: View, decision: dict[str, Any], change: Mapping[str, Any], *, may_approve: bool
) -> None:
    words, _ = _CHANGE_STATES.get(change["state"], (change["state"], ""))
    with box("tr"):
        text(str(change["subject"]).replace(":", " ", 1).replace("_", " "), "th", scope="row").style(
            "overflow-wrap: anywhere"
        )
        with box("td").style("overflow-wrap: anywhere"):
            text(change_words(change))
            if change["needs_approval"]:
                text(change["needs_approval"]["text"], classes="sub")
            if change["detail"]:
                text(change["detail"], classes="sub")
        with box("td", "end"):
            text(words, "div", "is-warn" if change["state"] == "proposed" else "")
            if change["state"] == "proposed" and may_approve:
                button(
                    "Agree",
                    lambda: deeds.approve(view, int(decision["id"]), [str(change["subject"])]),
                    kind="small-button",
                    key=f"agree-{change['subject']}",
                    aria_label=f"Agree to {change['subject']}",
                )


def _draw_numbers(_view: View, decision: Mapping[str, Any]) -> None:
    text("Numbers", "h2").style("margin-bottom: 8px")
    text("All that the decision was made on, as it was stored.", "p", "small")
    with box("details").style("margin-top: 8px"):
        text("Show the numbers", "summary")
        text(json.dumps(decision["numbers"], indent=2, ensure_ascii=False), "code", "code", tabindex="0")


def _draw_messages(_view: View, decision: Mapping[str, Any]) -> None:
    removed = decision["messages_removed"]
    if not decision["messages"] and not removed:
        return
    text("Who was told", "h2").style("margin-bottom: 8px")
    with box("ul"):
        for message in decision["messages"]:
            with box("li", "small"):
                text(f"{'Telegram' if message['channel'] == 'telegram' else 'n8n'}: ", "b")
                text(str(message["state"]))
                text(f" · {message['detail']}" if message["detail"] else "", classes="is-quiet")
        for ended, number in sorted(removed.items()):
            channel, _, state = ended.partition(":")
            with box("li", "small"):
                text(f"{'Telegram' if channel == 'telegram' else 'n8n'}: ", "b")
                text(f"{state} · {how_many(number, 'message', 'messages')}, deleted since")
    link("Outbox", "/admin/outbox")


PAGES = (
    Page(
        path="/admin/decisions/{decision_id}",
        title="Decision",
        below="/admin",
        load=_load_decision,
        parts=(
            Part(draw=_draw_decision, place="head"),
            Part(draw=_draw_reasons),
            Part(draw=_draw_changes),
            Part(draw=_draw_messages),
            Part(draw=_draw_numbers),
        ),
    ),
)
