"""/admin/runs: every run, and one of them step by step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from app.post_audit.errors import NotFound
from app.post_audit.formats import count
from app.post_audit.web.pages import states
from app.post_audit.web.pages.address import number_in
from app.post_audit.web.pages.elements import box, link, moment, text, word
from app.post_audit.web.pages.page import House, Page, Part, Query
from app.post_audit.web.pages.run_timeline import draw_timeline
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import TITLES, duration_words

__all__ = ["PAGES"]

_RUNS_SHOWN: Final = 50
_KINDS: Final = {
    "manual": "by hand",
    "schedule": "by schedule",
    "audit": "after an audit",
    "step": "one step",
}


def _load_runs(house: House, query: Query) -> dict[str, Any]:
    before = query.get("before")
    runs: Any = house.database.call(
        "post_audit_read_runs",
        limit=_RUNS_SHOWN,
        before=None if before is None else number_in(query, "before", "run"),
    )
    return {"runs": runs}


def _draw_runs(_view: View, data: Mapping[str, Any]) -> None:
    runs = data["runs"]
    with box("div", "head"), box("div", "head-text"):
        text("Every run and what came of it.", "h1")
        text("A run looks at all six things once, decides, acts, and says why.", "p", "lede")
    if not runs:
        states.empty("No run yet", "Press Run now on the first page.")
        return
    with box("table", "table stack"):
        with box("thead"), box("tr"):
            for name, classes in (
                ("Run", ""),
                ("Begun", ""),
                ("Why", ""),
                ("What came of it", ""),
                ("Took", "end"),
            ):
                text(name, "th", classes, scope="col")
        with box("tbody"):
            for run in runs:
                _draw_run_row(run)
    if len(runs) == _RUNS_SHOWN:
        link("Older runs", f"/admin/runs?before={runs[-1]['id']}", "button").style("margin-top: 24px")


def _draw_run_row(run: Mapping[str, Any]) -> None:
    acted = [TITLES.get(step["step"], step["step"]) for step in run["steps"] if step["outcome"] == "act"]
    failed = [TITLES.get(step["step"], step["step"]) for step in run["steps"] if step["state"] == "failed"]
    with box("tr"):
        with box("td"):
            link(f"Run {count(run['id'])}", f"/admin/runs/{run['id']}", "title")
        with box("td"):
            moment(datetime.fromisoformat(run["started_at"]), form="day")
        text(_KINDS.get(run["kind"], run["kind"]), "td")
        with box("td"):
            if failed:
                word(f"{', '.join(failed)} failed", "alert", "is-bad")
            elif run["state"] == "running":
                word(f"running, {len(run['steps'])} of {run['of']} done", "cycle", "is-accent")
            elif acted:
                text(f"changed something in {', '.join(acted).lower()}")
            else:
                text("nothing had to be changed")
        text(duration_words(sum(step["duration_ms"] for step in run["steps"])), "td", "end")


def _load_run(house: House, query: Query) -> dict[str, Any]:
    number = number_in(query, "run_id", "run")
    run: Any = house.database.call("post_audit_read_run", run_id=number)
    if run is None:
        raise NotFound(f"There is no run {number}.", cure="See the list: /admin/runs.")
    return {"run": run}


def _draw_one_run(view: View, data: Mapping[str, Any]) -> None:
    run = data["run"]
    kind, icon_name, words = {
        "completed": ("", "tick", "Finished whole"),
        "failed": ("is-bad", "alert", "One step or more failed"),
    }.get(run["state"], ("is-accent", "cycle", "Going on"))
    with box("div", "head"), box("div", "head-text"):
        with box("p", "eyebrow"):
            word(words, icon_name, kind)
            text(_KINDS.get(run["kind"], run["kind"]), classes="meta")
        text(f"Run {count(run['id'])}", "h1")
        with box("p", "meta"):
            moment(datetime.fromisoformat(run["started_at"]), form="day", before="Begun ")
            moment(datetime.fromisoformat(run["as_of"]), form="day", before=" · decided on the state of ")
            text(f" · {duration_words(sum(step['duration_ms'] for step in run['steps']))}")
    text("Steps", "h2", "hidden-text")
    draw_timeline(view, run)
    with box("div", "actions spaced"):
        link("All runs", "/admin/runs", "button")


PAGES = (
    Page(
        path="/admin/runs",
        title="Runs",
        below="/admin",
        load=_load_runs,
        parts=(Part(draw=_draw_runs, place="head"),),
    ),
    Page(
        path="/admin/runs/{run_id}",
        title="Run",
        below="/admin",
        load=_load_run,
        parts=(Part(draw=_draw_one_run, place="head"),),
    ),
)
