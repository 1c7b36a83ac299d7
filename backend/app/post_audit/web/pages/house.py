"""/admin: the state of the house at a glance: what waits for a person, what is broken, what the last run decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from app.post_audit.engine.schedule import tick_of
from app.post_audit.formats import count, percent, rupees
from app.post_audit.ports import Database
from app.post_audit.web.access import Role
from app.post_audit.web.pages import deeds, states
from app.post_audit.web.pages.doctor import draw_wrong, wrong_beside
from app.post_audit.web.pages.elements import (
    ago,
    badge,
    bar,
    box,
    button,
    figure,
    icon,
    link,
    moment,
    text,
    text_button,
    word,
)
from app.post_audit.web.pages.page import House, Page, Part, Query, Tab
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import (
    UNTOUCHED,
    STATES,
    TITLES,
    asked_because,
    duration_words,
    house_headline,
    how_many,
    number_word,
    parsed,
    question,
    standing,
)

__all__ = ["PAGES", "can_undo", "draw_timeline", "run_as_bar", "unconfirmed"]

_SCHEDULE: Final = timedelta(hours=2)
_RUNS_SHOWN: Final = 24
_WAITING_SHOWN: Final = 10
_MESSAGES_SHOWN: Final = 5
_REASONS_SHOWN: Final = 2
_CHANNELS: Final = {"sms": "SMS", "whatsapp": "WhatsApp"}
_RECEIVERS: Final = {"n8n_ab_update": "n8n", "n8n_scale": "n8n", "telegram": "Telegram"}


def _load(house: House, _query: Query) -> dict[str, Any]:
    """Read all that the page shows: seven calls of a few milliseconds each."""
    call = house.database.call
    status: Any = call("post_audit_read_status")
    quarantine: Any = call("post_audit_read_quarantine", limit=1)
    capacity: Any = call("post_audit_read_decisions", step="infrastructure", limit=1)
    runs: Any = call("post_audit_read_runs", limit=_RUNS_SHOWN)
    # what a person did by hand is a run of one step; the last whole one is what the page is about
    last = next((run["id"] for run in runs if run["requested_steps"] is None), None)
    return {
        "status": status,
        "run": None if last is None else call("post_audit_read_run", run_id=last),
        "waiting": _waiting(house.database),
        "runs": [run_as_bar(run) for run in runs],
        "open_messages": unconfirmed(house.database),
        "wrong": wrong_beside(house.checkup.look()),
        "quarantined": quarantine["total"],
        "capacity": capacity[0] if capacity else None,
        "now": datetime.now(UTC).replace(second=0, microsecond=0).isoformat(),
        "can_run": house.start_run is not None,
        "is_untouched": last is None and house.application is not None and house.application.is_untouched(),
    }


def _waiting(database: Database) -> list[dict[str, Any]]:
    """The decisions that wait, each with the changes that do; their first five changes may be others."""
    found: Any = database.call("post_audit_read_decisions", waiting=True, limit=_WAITING_SHOWN)
    waiting = []
    for brief in found:
        whole: Any = database.call("post_audit_read_decision", decision_id=brief["id"])
        proposed = [change for change in whole["changes"] if change["state"] == "proposed"]
        waiting.append({**brief, "changes": proposed[:_WAITING_SHOWN]})
    return waiting


def unconfirmed(database: Database) -> list[dict[str, Any]]:
    """The messages that should have been confirmed and were not: given up, refused, or tried in vain so far."""
    found: list[dict[str, Any]] = []
    for state in ("dead", "refused", "sent", "pending"):
        messages: Any = database.call("post_audit_read_messages", state=state, limit=_MESSAGES_SHOWN)
        found += [message for message in messages if state in {"dead", "refused"} or message["attempts"] > 0]
    return found[:_MESSAGES_SHOWN]


def run_as_bar(run: Mapping[str, Any]) -> dict[str, Any]:
    """What a bar of the history shows of a run."""
    return {
        "id": run["id"],
        "kind": run["kind"],
        "state": run["state"],
        "started_at": run["started_at"],
        "duration_ms": sum(step["duration_ms"] for step in run["steps"]),
        "failed": [step["step"] for step in run["steps"] if step["state"] == "failed"],
    }


def _broken(data: Mapping[str, Any]) -> list[str]:
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


# ---- the head ----


def _draw_head(view: View, data: Mapping[str, Any]) -> None:
    run, status = data["run"], data["status"]
    headline, lede = house_headline(int(status["waiting"]), _broken(data), has_run=run is not None)
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


# ---- what waits, what is broken ----


def _draw_waiting(view: View, waiting: list[dict[str, Any]]) -> None:
    if not waiting:
        return
    text("What waits for you", "h2", "hidden-text")
    with box("div", "cards" if len(waiting) > 1 else "cards single"):
        for place, decision in enumerate(waiting):
            _draw_card(view, decision, is_first=place == 0)


def _draw_card(view: View, decision: dict[str, Any], *, is_first: bool) -> None:
    number = decision["id"]
    proposed = int(decision["counts"]["proposed"])
    with box("article", "panel card"):
        with box("div", "card-top"):
            badge(f"{TITLES.get(decision['step'], decision['step'])} · waits for you", "hand", "is-warn")
            with box("span", "meta"):
                moment(datetime.fromisoformat(decision["as_of"]), form="day", before="as of ")
        text(question(decision), "h3")
        for sentence in asked_because(decision)[:_REASONS_SHOWN]:
            text(sentence, "p", "small")
        with box("div", "actions"):
            if view.visit.allows(Role.APPROVER):
                button(
                    "Yes, do it" if proposed == 1 else f"Yes, all {count(proposed)}",
                    lambda: deeds.approve(view, number),
                    kind="filled" if is_first else "",
                    key=f"approve-{number}",
                )
                button("No", lambda: deeds.reject(view, number), key=f"reject-{number}")
            link("Why, and what exactly", f"/admin/decisions/{number}", data_key=f"why-{number}")


def _draw_broken(view: View, data: Mapping[str, Any]) -> None:
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


# ---- the last run ----


def _draw_run(view: View, run: dict[str, Any] | None) -> None:
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


def draw_timeline(view: View, run: Mapping[str, Any]) -> None:
    """Draw the steps of a run: what each decided and why, how long it took, and the ways on."""
    with box("ol", "timeline"):
        for step in run["steps"]:
            _draw_step(view, step)


def _draw_step(view: View, step: Mapping[str, Any]) -> None:
    decision = step["decision"]
    words, icon_name, kind = STATES.get(standing(step["state"], decision), ("", "question", ""))
    with box("li"):
        with box("div", f"mark {kind}"):
            icon(icon_name)
        with box("div"):
            text(TITLES.get(step["step"], step["step"]), "p", "step")
            if decision is not None:
                text(decision["headline"], "h3")
                for reason in decision["reasons"][:_REASONS_SHOWN]:
                    text(reason["text"], "p", "small")
            elif step["error"] is not None:
                text(step["error"]["message"], "h3")
                text(step["error"]["cure"] or "", "p", "small")
            else:
                text("This step is paused.", "h3")
                text(f"Wake it: post-audit arm {step['step']}", "p", "small")
        with box("div", "end"):
            text(f"{words} · {duration_words(step['duration_ms'])}", "p", kind)
            if decision is not None:
                with box("div", "actions"):
                    link(
                        "Numbers",
                        f"/admin/decisions/{decision['id']}",
                        aria_label=f"Numbers of {TITLES.get(step['step'], step['step'])}",
                    )
                    if can_undo(view, decision):
                        text_button(
                            "Undo",
                            lambda: deeds.undo(view, decision),
                            key=f"undo-{decision['id']}",
                            aria_label=f"Undo {TITLES.get(step['step'], step['step'])}",
                        )


def can_undo(view: View, decision: Mapping[str, Any]) -> bool:
    """Whether to offer taking a decision back."""
    return (
        view.visit.allows(Role.APPROVER)
        and int(decision["counts"].get("applied", 0)) > 0
        and not decision["final_because"]
    )


# ---- figures ----


def _draw_figures(_view: View, data: Mapping[str, Any]) -> None:
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


# ---- history ----


def _draw_history(_view: View, runs: list[dict[str, Any]]) -> None:
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


def _note(database: Database) -> str:
    status: Any = database.call("post_audit_read_status")
    return f"{count(status['waiting'])} wait" if status["waiting"] else ""


def _broken_data(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": data["run"],
        "needed": data["status"]["bindings_needed"],
        "open_messages": data["open_messages"],
        "wrong": data["wrong"],
    }


def _figures_data(data: Mapping[str, Any]) -> dict[str, Any]:
    at = parsed(data["status"]["as_of"] if data["status"]["marketplace"] == "demonstration" else data["now"])
    return {
        "capacity": data["capacity"],
        "quarantined": data["quarantined"],
        "outbox": data["status"]["outbox"],
        "as_of": at.isoformat() if at is not None else "",
    }


PAGES = (
    Page(
        path="/admin",
        title="House",
        tab=Tab(name="House", icon="house", order=10, note=_note),
        load=_load,
        parts=(
            Part(place="head", draw=_draw_head),
            Part(place="head", draw=_draw_waiting, shows=lambda data, _: data["waiting"]),
            Part(place="head", draw=_draw_broken, shows=lambda data, _: _broken_data(data)),
            Part(place="main", draw=_draw_run, shows=lambda data, _: data["run"]),
            Part(place="aside", draw=_draw_figures, shows=lambda data, _: _figures_data(data)),
            Part(place="foot", draw=_draw_history, shows=lambda data, _: data["runs"]),
        ),
    ),
)
