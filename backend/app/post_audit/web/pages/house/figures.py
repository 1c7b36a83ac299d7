"""The figures beside the last run: money and messages of the day, quarantine, outbox."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from app.post_audit.formats import count, percent, rupees
from app.post_audit.web.pages.elements import bar, box, figure, link, text
from app.post_audit.web.pages.view import View

__all__ = ["draw_figures"]

_CHANNELS: Final = {"sms": "SMS", "whatsapp": "WhatsApp"}


def draw_figures(_view: View, data: Mapping[str, Any]) -> None:
    """Draw the figures, each with the time that it was counted at, and the ways to outbox and settings."""
    text("Now", "h2").style("margin-bottom: 16px")
    as_of = datetime.fromisoformat(data["as_of"])
    with box("ul", "figures"):
        numbers = (data["capacity"] or {}).get("numbers", {})
        if numbers.get("channels"):
            _draw_capacity(numbers, datetime.fromisoformat(data["capacity"]["as_of"]))
        figure("In quarantine", count(data["quarantined"]), "suppliers, all restorable", as_of, is_day=True)
        outbox = data["outbox"]
        total = sum(outbox.values())
        unsent = sum(int(outbox.get(state, 0)) for state in ("pending", "sent", "refused", "dead"))
        if outbox.get("demonstration"):
            beside = "kept here: a demonstration sends nothing"
        else:
            beside = f"of {count(total)} not confirmed" if unsent else "all confirmed or shown"
        figure("To n8n and Telegram", count(unsent or total), beside, as_of, is_day=True)
    with box("div", "actions").style("margin-top: 16px"):
        link("Outbox", "/admin/outbox")
        text("·", classes="is-quiet")
        link("Settings", "/admin/settings")


def _draw_capacity(numbers: Mapping[str, Any], at: datetime) -> None:
    limit, spent = int(numbers["cost_alert_paise"]), int(numbers["spent_paise"])
    share = spent / limit if limit else 0.0
    with figure("Spent on messages today", rupees(spent // 100 * 100), f"alert at {rupees(limit)}", at):
        bar(share, kind="is-bad" if share >= 1 else "", label=f"{percent(share)} of the alert is spent")
        text(f"{percent(share)} of your alert", "p", "meta")
    scale_at = float(numbers["scale_at"])
    for name, channel in sorted(numbers["channels"].items(), reverse=True):
        quota = int(channel.get("new_quota") or channel["quota"])
        used = int(channel["used"])
        share = used / quota if quota else 0.0
        past = share >= scale_at
        title = _CHANNELS.get(name, name)
        with figure(f"{title} sent today", count(used), f"of {count(quota)}", at):
            bar(
                share,
                limit=scale_at,
                kind="is-warn" if past else "",
                label=f"{title}: {percent(share)} of the quota",
            )
            where = "past" if past else "below"
            text(
                f"{percent(share)}, {where} the {percent(scale_at)} mark",
                "p",
                "meta is-warn" if past else "meta",
            )
