"""The head of the house page: what waits and what is broken in a sentence, when it ran, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from app.post_audit.engine.schedule import tick_of
from app.post_audit.web.access import Role
from app.post_audit.web.pages import deeds
from app.post_audit.web.pages.elements import ago, box, button, icon, moment, text, word
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import TITLES, UNTOUCHED, duration_words, house_headline, number_word

__all__ = ["draw_head"]

_SCHEDULE: Final = timedelta(hours=2)


def draw_head(view: View, data: Mapping[str, Any]) -> None:
    """Draw the headline, the times, and the button that starts a run; while one runs, how far it is."""
    run, status = data["run"], data["status"]
    headline, lede = house_headline(int(status["waiting"]), _what_is_broken(data), has_run=run is not None)
    if data["is_untouched"]:
        headline, lede = UNTOUCHED
    if status["marketplace"] == "demonstration":
        with box("p", "banner"):
            icon("flask")
            text(
                "Demonstration: an invented marketplace with a clock of its own. Nothing is sent to anybody.",
            )
    with box("div", "head"):
        with box("div", "head-text"):
            text(headline, "h1")
            text(lede, "p", "lede")
            if run is not None:
                _draw_times(data)
        if data["can_run"] and view.visit.allows(Role.OPERATOR):
            with box("div", "actions"):
                if data["is_untouched"]:
                    button(
                        "Show me with invented data",
                        lambda: deeds.show_demonstration(view),
                        kind="filled",
                        icon_name="flask",
                        key="demonstration",
                    )
                running = run is not None and run["state"] == "running"
                made = button(
                    "Running" if running else "Run now",
                    None if running else lambda: deeds.run_now(view),
                    icon_name="cycle" if running else "play",
                    key="run-now",
                )
                if running:
                    made.props["disabled"] = True
    if run is not None and run["state"] == "running":
        _draw_progress(data)


def _what_is_broken(data: Mapping[str, Any]) -> list[str]:
    """What is broken, each as it stands in the headline."""
    found = [
        f"the step {TITLES.get(step['step'], step['step']).lower()} failed"
        for step in (data["run"] or {}).get("steps", [])
        if step["state"] == "failed"
    ]
    open_ones = len(data["open_messages"])
    if open_ones:
        found.append(f"{number_word(open_ones)} message{'s are' if open_ones > 1 else ' is'} unconfirmed")
    needed = data["status"]["bindings_needed"]
    if needed:
        found.append(f"{number_word(len(needed))} role{'s have' if len(needed) > 1 else ' has'} no table")
    others = len(data["wrong"])
    if others:
        found.append(f"{number_word(others)} thing{'s are' if others > 1 else ' is'} wrong")
    return found


def _draw_times(data: Mapping[str, Any]) -> None:
    run, now = data["run"], datetime.fromisoformat(data["now"])
    with box("p", "meta"):
        if run["finished_at"] is not None:
            ended = datetime.fromisoformat(run["finished_at"])
            moment(ended, form="day", before="Last run finished ")
            text(f", {ago((now - ended).total_seconds())}")
        else:
            moment(datetime.fromisoformat(run["started_at"]), before="A run began ")
        if data["status"]["marketplace"] == "demonstration":
            moment(datetime.fromisoformat(data["status"]["as_of"]), form="day", before=" · its clock says ")
        elif _is_scheduled(data["runs"], now):
            _, next_at = tick_of(now, _SCHEDULE)
            moment(next_at, before=" · next at ")
            text(f", in {duration_words(int((next_at - now).total_seconds() * 1000))}")
        else:
            text(" · no schedule runs: post-audit schedule")


def _is_scheduled(runs: list[dict[str, Any]], now: datetime) -> bool:
    """Whether somebody keeps the schedule: one of its runs began within the last two intervals."""
    return any(
        run["kind"] == "schedule" and now - datetime.fromisoformat(run["started_at"]) < 2 * _SCHEDULE
        for run in runs
    )


def _draw_progress(data: Mapping[str, Any]) -> None:
    run = data["run"]
    total = len(run["requested_steps"] or data["status"]["modes"])
    done = len(run["steps"])
    names = list(TITLES)
    at = TITLES[names[done]] if run["requested_steps"] is None and done < len(names) else "the end"
    with box("div", "panel", role="status"):
        word(f"Running: {at.lower()}, step {min(done + 1, total)} of {total}", "cycle", "is-accent")
        with box(
            "div",
            "progress",
            role="progressbar",
            aria_label="Steps done",
            aria_valuenow=done,
            aria_valuemax=total,
        ):
            box("div", "fill").style(f"width: {done / total * 100:.0f}%")
        text(
            f"{done} of {total} steps are done. Each step changes nothing until it has decided.", "p", "small"
        )
        with box("p", "meta"):
            moment(datetime.fromisoformat(run["started_at"]), before="Started ")
