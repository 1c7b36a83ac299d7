"""What the last whole run decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.post_audit.formats import count
from app.post_audit.web.pages import states
from app.post_audit.web.pages.elements import box, link, moment, text
from app.post_audit.web.pages.run_timeline import draw_timeline
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import duration_words

__all__ = ["draw_last_run"]


def draw_last_run(view: View, run: dict[str, Any] | None) -> None:
    """Draw the last whole run step by step, or that there is none yet."""
    if run is None:
        text("What the last run decided", "h2").style("margin-bottom: 16px")
        states.empty("Nothing yet", "Press Run now, or let it run every two hours: post-audit schedule.")
        return
    with box("div", "part-head"):
        text("What the last run decided", "h2")
        with box("span", "meta"):
            link(f"Run {count(run['id'])}", f"/admin/runs/{run['id']}", "")
            moment(datetime.fromisoformat(run["as_of"]), form="day", before=" · ")
            text(f" · {duration_words(sum(step['duration_ms'] for step in run['steps']))}")
    draw_timeline(view, run)
