"""What is broken, a panel each: failed steps, messages that nobody confirmed, roles without a table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from app.post_audit.web.access import Role
from app.post_audit.web.pages import deeds
from app.post_audit.web.pages.doctor import draw_wrong
from app.post_audit.web.pages.elements import badge, box, button, link, moment, text
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import TITLES, how_many

__all__ = ["draw_broken"]

_RECEIVERS: Final = {"n8n_ab_update": "n8n", "n8n_scale": "n8n", "telegram": "Telegram"}


def draw_broken(view: View, data: Mapping[str, Any]) -> None:
    """Draw what the doctor finds wrong, and then a panel for each of the others."""
    run, needed = data["run"], data["needed"]
    draw_wrong(data["wrong"])
    for step in (run or {}).get("steps", []):
        if step["state"] != "failed":
            continue
        with _problem("Step failed"):
            with box("div", "grow"):
                text(f"{TITLES.get(step['step'], step['step'])}: {step['error']['message']} ", "b")
                text(step["error"]["cure"] or "", classes="small")
            link("See the run", f"/admin/runs/{run['id']}")
    for message in data["open_messages"]:
        receiver = _RECEIVERS.get(message["channel"], message["channel"])
        with _problem("Not confirmed"):
            with box("div", "grow"):
                text(f"{receiver} has not confirmed the last change. ", "b")
                with box("span", "small"):
                    if message["next_attempt_at"] is None:
                        text(f"Given up after {how_many(message['attempts'], 'try', 'tries')}. ")
                    else:
                        moment(
                            datetime.fromisoformat(message["next_attempt_at"]), before="Next try ", after=". "
                        )
                    text(message["detail"] or "")
            if view.visit.allows(Role.OPERATOR):
                button(
                    "Try now", partial(deeds.retry, view, message["number"]), key=f"retry-{message['number']}"
                )
            link("Open outbox", "/admin/outbox")
    for role in needed:
        with _problem("No table"), box("div", "grow"):
            text(f"The role {role} has no table. ", "b")
            text(f"post-audit bind {role} SCHEMA.TABLE", classes="mono")


def _problem(words: str) -> Any:  # noqa: ANN401 - a context manager of elements
    made = box("div", "panel row-panel")
    with made:
        badge(words, "alert", "is-bad")
    return made
