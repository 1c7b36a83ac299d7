"""Beside the tasks: found against done, the last import, ages and kept promises."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.post_audit.formats import count
from app.post_audit.web.pages import charts
from app.post_audit.web.pages.elements import box, link, moment, pairs, text
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many

__all__ = ["draw_ages", "draw_last_import", "draw_progress"]


def draw_progress(_view: View, statistics: Mapping[str, Any]) -> None:
    """Draw what was found in all against what is done, and in how many weeks the queue is empty."""
    days = statistics["daily"]
    before = (
        days[0]["open_at_end"]
        - days[0]["opened"]
        - days[0]["reopened"]
        + (days[0]["closed_by_audits"] + days[0]["completed"] + days[0]["put_aside"])
        if days
        else 0
    )
    points = [
        {"day": day["day"], "found": before + day["opened_in_all"], "done": day["closed_in_all"]}
        for day in days
    ]
    found, done = (points[-1]["found"], points[-1]["done"]) if points else (0, 0)
    text(f"{count(done)} of {count(found)} done", "h2", "chart-title")
    week = sum(day["completed"] + day["closed_by_audits"] for day in days[-7:])
    left = found - done
    if week and left > 0:
        text(
            f"At {count(week)} a week, and nothing new, empty in {how_many(-(-left // week), 'week', 'weeks')}.",
            "p",
            "small",
        )
    else:
        text("Nothing was finished in the last seven days." if left > 0 else "Nothing is left.", "p", "small")
    if points and found:
        charts.chart(
            charts.burn_up_options(points),
            f"Over {statistics['days']} days: {found} found, {done} done.",
            classes="chart low-chart",
        )
    with box("p", "meta"):
        moment(
            datetime.fromisoformat(statistics["as_of"]), form="day", before=f"{statistics['days']} days to "
        )


def draw_last_import(_view: View, audit: dict[str, Any] | None) -> None:
    """Draw what the last audit opened, closed and reopened."""
    text("Last import", "h2")
    if audit is None:
        text("No audit has come in yet.", "p", "small")
        return
    text(f"{audit['name']}, {how_many(audit['findings'], 'finding', 'findings')}", "p", "meta").style(
        "overflow-wrap: anywhere"
    )
    report = audit["report"] or {}
    rows = [
        ("Opened", report.get("new", 0)),
        ("Closed, no longer found", report.get("closed", 0)),
        ("Reopened", report.get("reopened", 0)),
        ("Already known", report.get("unchanged", 0) + report.get("changed", 0)),
        ("Waiting for review", audit["needs_review"]),
    ]
    if audit["migrated_at"] is None:
        text("It waits for the next run, or for your word.", "p", "small is-warn")
    pairs([(name, count(int(value))) for name, value in rows])
    if audit["errors"]:
        text(
            f"{how_many(audit['errors'], 'entry', 'entries')} could not be read: {audit['first_error']}",
            "p",
            "meta is-warn",
        )
    if audit["decision_id"] is not None:
        link("What it changed, and undo", f"/admin/decisions/{audit['decision_id']}")


def draw_ages(_view: View, statistics: Mapping[str, Any]) -> None:
    """Draw how old open tasks are, and how many were finished in time."""
    text("Age and promises", "h2")
    opened, closed = statistics["open"], statistics["closed"]
    # those in progress are open too
    total = sum(row["open"] for row in opened)
    mean = sum(row["mean_age_days"] * row["open"] for row in opened) / total if total else 0.0
    finished = sum(row["closed"] for row in closed)
    kept = finished - sum(row["late"] for row in closed)
    pairs(
        [
            ("Open on average for", f"{mean:.0f} d"),
            ("Oldest", f"{max((row['oldest_days'] for row in opened), default=0.0):.0f} d"),
            ("In progress", count(sum(row["in_progress"] for row in opened))),
            (f"Finished in {statistics['days']} days", count(finished)),
            ("Of them in time", f"{count(kept)} of {count(finished)}" if finished else "none yet"),
        ]
    )
