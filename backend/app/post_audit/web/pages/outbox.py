"""/admin/outbox: every message to n8n and Telegram, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from app.post_audit.formats import count
from app.post_audit.web.access import Role
from app.post_audit.web.pages import deeds, states
from app.post_audit.web.pages.elements import box, link, moment, text, text_button, word
from app.post_audit.web.pages.page import House, Page, Part, Query
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many, value_words

__all__ = ["PAGES"]

_SHOWN: Final = 50
_STATES: Final = {
    "pending": ("waits", "cycle", "is-warn"),
    "sent": ("sent, not confirmed yet", "cycle", "is-warn"),
    "applied": ("confirmed by what it applied", "tick", ""),
    "delivered": ("delivered", "tick", ""),
    "refused": ("refused", "alert", "is-bad"),
    "shown": ("shown here only", "tick", ""),
    "superseded": ("replaced by a newer one", "past", ""),
    "dead": ("given up", "alert", "is-bad"),
    "dropped": ("dropped", "close", ""),
    "demonstration": ("kept: a demonstration", "flask", ""),
}
_OPEN: Final = ("pending", "sent", "dead", "refused")
_RECEIVERS: Final = {
    "n8n_ab_update": "n8n, active message",
    "n8n_scale": "n8n, daily quota",
    "telegram": "Telegram",
}


def _load(house: House, _query: Query) -> dict[str, Any]:
    status: Any = house.database.call("post_audit_read_status")
    return {
        "messages": house.database.call("post_audit_read_messages", limit=_SHOWN),
        "outbox": status["outbox"],
    }


def _draw(view: View, data: Mapping[str, Any]) -> None:
    outbox, messages = data["outbox"], data["messages"]
    dead = int(outbox.get("dead", 0)) + int(outbox.get("refused", 0))
    waiting = int(outbox.get("pending", 0)) + int(outbox.get("sent", 0))
    with box("div", "head"), box("div", "head-text"):
        if dead:
            text(f"{how_many(dead, 'message was', 'messages were')} given up or refused.", "h1")
        elif waiting:
            text(f"{how_many(waiting, 'message waits', 'messages wait')} to leave.", "h1")
        else:
            text("Every message has been settled.", "h1")
        text(
            "A message leaves with the change that it tells of, under one number on every try, so that a receiver can "
            "drop repeats.",
            "p",
            "lede",
        )
    if not messages:
        states.empty("No message yet", "The first decision that changes something writes one.")
        return
    with box("table", "table stack"):
        with box("thead"), box("tr"):
            for name, classes in (("When", ""), ("To", ""), ("About", ""), ("State", ""), ("Tries", "end")):
                text(name, "th", classes, scope="col")
        with box("tbody"):
            for message in messages:
                _draw_message(view, message)
    total = sum(outbox.values())
    if total > len(messages):
        text(f"and {count(total - len(messages))} before", "p", "meta").style("margin-top: 16px")


def _draw_message(view: View, message: Mapping[str, Any]) -> None:
    words, icon_name, kind = _STATES.get(message["state"], (message["state"], "question", ""))
    with box("tr"):
        with box("td"):
            moment(datetime.fromisoformat(message["created_at"]), form="day")
        text(_RECEIVERS.get(message["channel"], message["channel"]), "td")
        with box("td").style("overflow-wrap: anywhere"):
            link(
                str(message["subject"]).replace(":", " ", 1).replace("_", " "),
                f"/admin/decisions/{message['decision_id']}",
                "title",
            )
            with box("details"):
                text("What it says", "summary")
                for name, value in message["payload"].items():
                    text(f"{name.replace('_', ' ')}: {value_words(name, value)}", "p", "meta").style(
                        "white-space: pre-line"
                    )
        with box("td"):
            word(words, icon_name, kind)
            if message["detail"]:
                text(message["detail"], classes="sub")
            if message["next_attempt_at"] is not None and message["attempts"]:
                with box("span", "sub"):
                    moment(datetime.fromisoformat(message["next_attempt_at"]), before="next try ")
            if message["state"] in _OPEN and view.visit.allows(Role.OPERATOR):
                number = int(message["number"])
                with box("div", "actions"):
                    text_button(
                        "Try now",
                        partial(deeds.retry, view, number),
                        key=f"retry-{number}",
                        aria_label=f"Try message {number} now",
                    )
                    text_button(
                        "Drop",
                        partial(deeds.drop, view, number),
                        key=f"drop-{number}",
                        aria_label=f"Drop message {number}",
                    )
        text(count(message["attempts"]), "td", "end")


PAGES = (
    Page(
        path="/admin/outbox",
        title="Outbox",
        below="/admin",
        load=_load,
        parts=(Part(draw=_draw, place="head"),),
    ),
)
