"""The runs before, a bar each as high as it took long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.post_audit.formats import count
from app.post_audit.web.pages import states
from app.post_audit.web.pages.elements import box, link, moment, text
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import TITLES, duration_words, number_word

__all__ = ["draw_runs_before"]


def draw_runs_before(_view: View, runs: list[dict[str, Any]]) -> None:
    """Draw the newest runs, oldest first, and how many of them finished whole."""
    with box("div", "part-head").style("margin-bottom: 4px"):
        text("Runs before", "h2")
        link("All runs", "/admin/runs")
    if not runs:
        states.empty("No run yet", "Each run leaves a bar here.")
        return
    whole = sum(run["state"] == "completed" for run in runs)
    text(f"{count(whole)} of {count(len(runs))} finished whole.", "p", "small")
    if len(runs) == 1:
        return
    longest = max(1, *(run["duration_ms"] for run in runs))
    latest = runs[0]["id"]
    with box("ol", "runs"):
        for run in reversed(runs):
            _draw_stick(run, longest, is_latest=run["id"] == latest)
    with box("div", "axis"):
        moment(datetime.fromisoformat(runs[-1]["started_at"]), form="day")
        if len(runs) > 1:
            moment(datetime.fromisoformat(runs[0]["started_at"]), form="day")


def _draw_stick(run: Mapping[str, Any], longest: int, *, is_latest: bool) -> None:
    kind = {"failed": "is-bad", "running": "is-running"}.get(run["state"], "is-latest" if is_latest else "")
    failed = [TITLES.get(name, name) for name in run["failed"]]
    label = f"Run {run['id']}, {run['state']}, {duration_words(run['duration_ms'])}" + (
        f"; failed: {', '.join(failed)}" if failed else ""
    )
    with (
        box("li").style("display: contents"),
        box("a", kind, href=f"/admin/runs/{run['id']}", aria_label=label, title=label),
    ):
        if failed:
            text(f"{number_word(len(failed))} failed", classes="tag")
        box("div", "stick").style(f"height: {8 + 44 * run['duration_ms'] / longest:.0f}px")
