"""One task opened: all that is known of it, what happened, and every deed that is offered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from app.post_audit.web.access import Role
from app.post_audit.web.pages.elements import box, button, moment, pairs, text
from app.post_audit.web.pages.enhancements import deeds
from app.post_audit.web.pages.view import View

__all__ = ["draw_details"]


def draw_details(view: View, task: dict[str, Any], details: Mapping[str, Any]) -> None:
    """Draw an opened task; `details` holds its events, newest first."""
    identifier = str(task["id"])
    with box("div", "details"):
        if task["description"]:
            text(task["description"], "p", "small").style("white-space: pre-line; overflow-wrap: anywhere")
        rows = [
            ("Rule", task["rule"]),
            ("Severity", task["severity"]),
            ("Category", task["category"]),
            ("Looked at", task["target"]),
            ("Note", task["note"]),
        ]
        pairs([(name, str(value)) for name, value in rows if value])
        for reason in task["reasons"] or []:
            text(reason, "p", "meta")
        if details["events"]:
            text("What happened", "h3").style("margin-top: 12px")
            with box("ul"):
                for event in details["events"][:8]:
                    with box("li", "meta"):
                        moment(datetime.fromisoformat(event["happened_at"]), form="day")
                        text(
                            f" · {event['kind'].replace('_', ' ')} · {event['actor']}"
                            + (f" · {event['note']}" if event["note"] else "")
                        )
        if view.visit.allows(Role.OPERATOR):
            with box("div", "actions spaced"):
                for action, words in deeds.offered(task, view.visit.person.name):
                    button(
                        words,
                        partial(deeds.ask, view, [identifier], action),
                        kind="small-button",
                        key=f"{action.value}-{identifier}",
                    )
