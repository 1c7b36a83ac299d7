"""/admin/runs and /admin/decisions: what was decided before, each with its numbers, its changes, and the way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from app.post_audit.errors import NotFound
from app.post_audit.formats import count
from app.post_audit.web.access import Role
from app.post_audit.web.pages import deeds, states
from app.post_audit.web.pages.elements import box, button, icon, link, moment, text, word
from app.post_audit.web.pages.page import House, Page, Part, Query
from app.post_audit.web.pages.run_timeline import can_undo, draw_timeline
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import (
    STATES,
    TITLES,
    change_words,
    duration_words,
    how_many,
    standing,
)

__all__ = ["PAGES"]

_RUNS_SHOWN: Final = 50
_CHANGES_SHOWN: Final = 60
_KINDS: Final = {
    "manual": "by hand",
    "schedule": "by schedule",
    "audit": "after an audit",
    "step": "one step",
}
_CHANGE_STATES: Final = {
    "applied": ("done", "tick"),
    "proposed": ("waits", "hand"),
    "pending": ("being done", "cycle"),
    "undone": ("taken back", "back"),
    "superseded": ("replaced", "past"),
    "rejected": ("declined", "close"),
    "moved": ("had moved", "alert"),
}


def _number(query: Query, name: str, what: str) -> int:
    """Read a number of the address; what is none names nothing."""
    given = query.get(name, "")
    if not (given.isdecimal() and len(given) < 18):  # noqa: PLR2004 - as many digits as a bigint surely holds
        raise NotFound(f"There is no {what} {given[:40]}.", cure="See the list: /admin/runs.")
    return int(given)


# ---- all runs ----


def _load_runs(house: House, query: Query) -> dict[str, Any]:
    before = query.get("before")
    runs: Any = house.database.call(
        "post_audit_read_runs",
        limit=_RUNS_SHOWN,
        before=None if before is None else _number(query, "before", "run"),
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


# ---- one run ----


def _load_run(house: House, query: Query) -> dict[str, Any]:
    number = _number(query, "run_id", "run")
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


# ---- one decision ----


def _load_decision(house: House, query: Query) -> dict[str, Any]:
    number = _number(query, "decision_id", "decision")
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
    if not decision["messages"]:
        return
    text("Who was told", "h2").style("margin-bottom: 8px")
    with box("ul"):
        for message in decision["messages"]:
            with box("li", "small"):
                text(f"{'Telegram' if message['channel'] == 'telegram' else 'n8n'}: ", "b")
                text(str(message["state"]))
                text(f" · {message['detail']}" if message["detail"] else "", classes="is-quiet")
    link("Outbox", "/admin/outbox")


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
