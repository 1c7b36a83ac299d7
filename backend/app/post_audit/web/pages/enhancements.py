"""/admin/pending: the tasks that audits found, late first; what one does with them; and the next audit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from nicegui.element import Element

from app.post_audit.codec import to_json
from app.post_audit.formats import count
from app.post_audit.ports import Database
from app.post_audit.step import parse_facts
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.tasks import Action, Filters, Task
from app.post_audit.web.access import Role
from app.post_audit.web.pages import charts, task_deeds, upload
from app.post_audit.web.pages.elements import box, button, icon, link, moment, pairs, text, text_button, word
from app.post_audit.web.pages.page import House, Page, Part, Query, Tab
from app.post_audit.web.pages.task_words import Group, age_words, due_words, grouped, headline, lede, place_of
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many

__all__ = ["PAGES"]

_SHOWN: Final = 100
_LATE_SHOWN: Final = 100
_DAYS: Final = 30
_OPEN: Final = Filters(status=("pending", "in_progress"), not_disposition=("review",))
_REVIEW: Final = Filters(status=("pending",), disposition=("review",))
_LEVELS: Final = {"critical": 4, "high": 3, "medium": 2, "low": 1}
_CHIPS: Final = 3


def _filters(show: str, who: str) -> Filters:
    """Which tasks a chip means."""
    kind, _, value = show.partition(":")
    match kind:
        case "mine":
            return Filters(status=_OPEN.status, not_disposition=_OPEN.not_disposition, owner=who)
        case "nobody":
            return Filters(status=_OPEN.status, not_disposition=_OPEN.not_disposition, owner="")
        case "category":
            return Filters(status=_OPEN.status, not_disposition=_OPEN.not_disposition, category=(value,))
        case "review":
            return _REVIEW
        case _:
            return _OPEN


def _with_lateness(filters: Filters, *, late: bool) -> Filters:
    return Filters(
        status=filters.status,
        disposition=filters.disposition,
        not_disposition=filters.not_disposition,
        category=filters.category,
        owner=filters.owner,
        late=late,
    )


def _load(house: House, query: Query) -> dict[str, Any]:
    """Read two pages of tasks, their counts, and what became of the queue; never the whole table."""
    database = house.database
    show, who, words = query.get("show", "all"), query.get("who", ""), query.get("words", "").strip()
    filters = _filters(show, who)
    if words:
        tasks, as_of = _found(database, words)
    else:
        late = queue.list_tasks(
            database, _with_lateness(filters, late=True), limit=_LATE_SHOWN, counted=False
        )
        rest = queue.list_tasks(database, _with_lateness(filters, late=False), limit=_SHOWN, counted=False)
        tasks, as_of = [_plain(task) for task in (*late.tasks, *rest.tasks)], rest.as_of

    categories: dict[str, int] = {}
    for task in tasks if show == "all" and not words else []:
        categories[task["category"]] = categories.get(task["category"], 0) + 1
    chosen = sorted(categories, key=lambda name: (-categories[name], name))[:_CHIPS]
    if show.startswith("category:") and show.partition(":")[2] not in chosen:
        chosen.append(show.partition(":")[2])
    counts = _counts(
        database,
        {
            "all": _OPEN,
            "late": _with_lateness(_OPEN, late=True),
            "late_nobody": _with_lateness(_filters("nobody", who), late=True),
            "mine": _filters("mine", who),
            "nobody": _filters("nobody", who),
            "review": _REVIEW,
            "matching": filters,
            **{f"category:{name}": _filters(f"category:{name}", who) for name in chosen},
        },
    )
    statistics: Any = to_json(queue.statistics(database, days=_DAYS))
    audits: Any = to_json(queue.recent_audits(database, limit=1))
    done = queue.list_tasks(database, Filters(status=("completed",)), sort="recent", limit=1, counted=False)
    return {
        "tasks": tasks,
        "as_of": as_of.isoformat(),
        "counts": counts,
        "categories": {name: counts[f"category:{name}"] for name in chosen},
        "matching": len(tasks) if words else counts["matching"],
        "statistics": statistics,
        "audit": audits["audits"][0] if audits["audits"] else None,
        "last_done": _plain(done.tasks[0]) if done.tasks else None,
        "show": show,
        "words": words,
    }


def _counts(database: Database, filters: Mapping[str, Filters]) -> dict[str, int]:
    """Count what passes each filter, in one call."""
    found: Any = database.call(
        "post_audit_read_task_counts", filters=dict(filters), scoring=EnhancementsPolicy().scoring
    )
    return dict(found)


def _plain(task: Task) -> dict[str, Any]:
    made: Any = to_json(task)
    return dict(made)


def _found(database: Database, words: str) -> tuple[list[dict[str, Any]], datetime]:
    """What the search finds, with the days to fix that a list by score brings along."""
    answer: Any = database.call("post_audit_read_tasks_found", words=words[:200], limit=_SHOWN)
    as_of = datetime.fromisoformat(answer["as_of"])
    days = EnhancementsPolicy().scoring.days_to_fix
    tasks = []
    for task in parse_facts(tuple[Task, ...], answer["tasks"]):
        plain = _plain(task)
        due = task.first_seen_at.timestamp() + days[task.priority] * 86_400
        plain["due_at"] = datetime.fromtimestamp(due, tz=task.first_seen_at.tzinfo).isoformat()
        tasks.append(plain)
    return tasks, as_of


# ---- head ----


def _draw_head(view: View, data: Mapping[str, Any]) -> None:
    counts = data["counts"]
    with box("div", "head"):
        with box("div", "head-text"):
            text(headline(counts), "h1")
            text(lede(counts, data["soon"]), "p", "lede")
            with box("p", "meta"):
                moment(datetime.fromisoformat(data["as_of"]), form="day", before="As of ")
                if data["audit"] is not None:
                    moment(
                        datetime.fromisoformat(data["audit"]["received_at"]),
                        form="day",
                        before=" · last import ",
                    )
                    text(f", {data['audit']['source']}")
        with box("div", "actions"):
            if view.visit.allows(Role.OPERATOR):
                button(
                    "Upload audit", lambda: upload.ask(view), kind="filled", icon_name="upload", key="upload"
                )
            link(
                "Export",
                "/api/admin/tasks/export?format=csv&status=pending&status=in_progress",
                "button",
                download="tasks.csv",
            )
    if counts["review"]:
        _draw_lane(view, counts["review"])
    if counts["all"] == 0 and counts["review"] == 0:
        _draw_nothing(data)


def _draw_lane(view: View, waiting: int) -> None:
    with box("div", "panel row-panel"):
        with box("span", "word is-warn"):
            icon("hand")
        with box("div", "grow"):
            words = "finding waits" if waiting == 1 else "findings wait"
            text(f"{count(waiting)} {words} for a word from you. ", "b")
            text("Nobody could say for certain what they mean; you confirm or dismiss them.", classes="small")
        button(f"Review {count(waiting)}", lambda: _show(view, "review"), key="review")


def _draw_nothing(data: Mapping[str, Any]) -> None:
    with box("div", "panel empty"):
        word("All done", "tick", "is-accent")
        text("0 TASKS PENDING", "p", "big")
        last = data["last_done"]
        with box("p", "lede"):
            if last is None:
                text("No audit has brought a task yet. Drop a report here and see what it finds.")
            else:
                text(f"The last one, “{last['title']}”, was finished by {last['owner'] or 'an audit'} ")
                moment(datetime.fromisoformat(last["completed_at"]), form="day", before="at ")
                text(". The next audit is read when you upload it, or at the next run.")


async def _show(view: View, show: str) -> None:
    view.query["show"] = show
    view.query.pop("words", None)
    await _again(view)


async def _again(view: View) -> None:
    view.query["who"] = view.visit.person.name
    view.state["opened"] = None
    await view.refresh()


# ---- search, chips, table ----


def _draw_search(view: View, shown: Mapping[str, Any]) -> None:
    """Draw the field alone: what somebody is typing must outlive what changes around it."""
    if not shown["is_offered"]:
        return

    async def searched(event: Any) -> None:  # noqa: ANN401 - NiceGUI's event
        view.query["words"] = str(event.args or "")[:200]
        await _again(view)

    with box("div", "search"):
        icon("search")
        field = box(
            "input",
            type="search",
            placeholder="Search title, file or rule",
            aria_label="Search tasks",
            data_key="search",
            value=shown["words"],
        )
        # with Enter, or when the field is left
        field.on("change", searched, js_handler="(event) => emit(event.target.value)")


def _draw_chips(view: View, data: Mapping[str, Any]) -> None:
    counts, show = data["counts"], data["show"]
    if counts["all"] == 0 and counts["review"] == 0:
        return
    with box("div", "chips", role="group", aria_label="Show"):
        _chip(view, "all", f"All {count(counts['all'])}", show)
        if counts["mine"] or show == "mine":
            _chip(view, "mine", f"Mine {count(counts['mine'])}", show)
        _chip(view, "nobody", f"No owner {count(counts['nobody'])}", show)
        if counts["review"] or show == "review":
            _chip(view, "review", f"To review {count(counts['review'])}", show)
        for name, number in data["categories"].items():
            words = f"{name[:1].upper()}{name[1:].replace('_', ' ')} {count(number)}"
            _chip(view, f"category:{name}", words, show)


def _chip(view: View, show: str, words: str, shown: str) -> None:
    made = text(
        words,
        "button",
        "chip",
        type="button",
        aria_pressed="true" if show == shown else "false",
        data_key=f"chip-{show}",
    )
    made.on("click", lambda: _show(view, show), [])


def _draw_table(view: View, shown: Mapping[str, Any]) -> None:
    tasks, as_of = shown["tasks"], datetime.fromisoformat(shown["as_of"])
    if not tasks:
        if shown["counts"]["all"] or shown["counts"]["review"]:
            text("Nothing matches. Try other words, or show all.", "p", "lede")
        return
    with box("div", "tasks"):
        with box("div", "task-head", aria_hidden="true"):
            for name, classes in (
                ("", ""),
                ("Priority", ""),
                ("Task", ""),
                ("Seen", "right"),
                ("Age", "right"),
                ("Due", ""),
                ("Owner", ""),
            ):
                text(name, classes=classes)
        for group in grouped(tasks, as_of):
            _draw_group(view, group, as_of, shown)
    more = int(shown["matching"]) - len(tasks)
    if more > 0:
        text(
            f"{count(more)} more are due later or weigh less; search or filter to see them.", "p", "meta"
        ).style("margin-top: 16px")
    with box("p", "keys"):
        for keys, means in (
            (("j", "k"), "move"),
            (("x",), "select"),
            (("c",), "claim"),
            (("e",), "complete"),
            (("Enter",), "open"),
        ):
            for key in keys:
                text(key, "kbd")
            text(f" {means} · " if means != "open" else f" {means}")


def _draw_group(view: View, group: Group, as_of: datetime, shown: Mapping[str, Any]) -> None:
    with box("div", "group-head"):
        text(group.name, "h2")
        text(f"{count(len(group.tasks))}, {group.order}")
    with box("ul", aria_label=group.name):
        for task in group.tasks:
            with box("li"):
                _draw_task(view, task, as_of)
                if shown["opened"] == str(task["id"]) and shown["details"] is not None:
                    _draw_details(view, task, shown["details"])


def _draw_task(view: View, task: dict[str, Any], as_of: datetime) -> None:
    identifier = str(task["id"])
    is_mine = task["owner"] == view.visit.person.name
    may = view.visit.allows(Role.OPERATOR)
    label = f"{task['priority']}: {task['title']}, {due_words(task, as_of)[0]}"
    with box("div", "task", tabindex="0", data_key=f"task-{identifier}", role="group", aria_label=label):
        with box("div", "cell-check"):
            if may:
                _draw_check(view, identifier, task)
        with box("div", f"cell-priority priority is-{task['priority']}"):
            _draw_signal(_LEVELS[task["priority"]])
            text(task["priority"].capitalize())
        with box("div", "cell-title"):
            title = text(
                task["title"],
                "a",
                "task-title",
                href=f"#task-{identifier}",
                data_action="open",
                tabindex="-1",
            )
            title.on("click.prevent", lambda: task_deeds.open_task(view, identifier), [])
            text(place_of(task), classes="sub")
        text(f"{count(task['occurrences'])}×", classes="cell-seen right", title="times seen")
        text(age_words(task, as_of), classes="cell-age right")
        words, kind = due_words(task, as_of)
        with box("div", "cell-due"):
            text(words, "time", kind, datetime=task["due_at"], title=f"due {task['due_at']} UTC")
        with box("div", "cell-owner"):
            if task["disposition"] == "review" and may:
                button(
                    "Confirm",
                    lambda: task_deeds.act(view, [identifier], Action.CONFIRM),
                    kind="small-button",
                    data_action="claim",
                    tabindex="0",
                    key=f"confirm-{identifier}",
                    aria_label=f"Confirm: {task['title']}",
                )
            elif task["owner"] is None and may:
                button(
                    "Claim",
                    lambda: task_deeds.act(view, [identifier], Action.START),
                    kind="small-button",
                    data_action="claim",
                    key=f"claim-{identifier}",
                    aria_label=f"Claim: {task['title']}",
                )
            elif is_mine and may:
                button(
                    "Complete",
                    lambda: task_deeds.act(view, [identifier], Action.DONE),
                    kind="small-button",
                    data_action="complete",
                    key=f"complete-{identifier}",
                    aria_label=f"Complete: {task['title']}",
                )
            elif task["owner"] is not None:
                _draw_owner(task)
            else:
                text("no owner", classes="sub")


def _draw_check(view: View, identifier: str, task: Mapping[str, Any]) -> None:
    checked = identifier in view.state["selected"]
    made = box(
        "input",
        type="checkbox",
        data_action="select",
        tabindex="-1",
        aria_label=f"Select {task['title']}",
        checked="" if checked else None,
    )

    def chosen(event: Any) -> None:  # noqa: ANN401 - NiceGUI's event
        selected = set(view.state["selected"])
        (selected.add if event.args else selected.discard)(identifier)
        view.state["selected"] = sorted(selected)
        view.redraw()

    made.on("change", chosen, js_handler="(event) => emit(event.target.checked)")


def _draw_signal(level: int) -> Element:
    made = box("span", "signal", aria_hidden="true")
    with made:
        for place in range(4):
            box("i", "on" if place < level else "")
    return made


def _draw_owner(task: Mapping[str, Any]) -> None:
    owner = str(task["owner"])
    with box("div", "owner"):
        text("".join(part[0] for part in owner.split()[:2]).upper(), classes="initials", aria_hidden="true")
        text(owner)
        text("in progress" if task["status"] == "in_progress" else "not started", classes="sub")


def _draw_details(view: View, task: dict[str, Any], details: Mapping[str, Any]) -> None:
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
                for action, words in task_deeds.offered(task, view.visit.person.name):
                    button(
                        words,
                        partial(task_deeds.ask, view, [identifier], action),
                        kind="small-button",
                        key=f"{action.value}-{identifier}",
                    )


# ---- bulk bar ----


def _draw_bulk(view: View, selected: list[str]) -> None:
    if not selected:
        return
    with box("div", "bulk", role="region", aria_label="Selected tasks"):
        text(f"{how_many(len(selected), 'task', 'tasks')} selected")
        for action, words in (
            (Action.START, "Claim"),
            (Action.DONE, "Complete"),
            (Action.MERGE, "Merge"),
            (Action.FALSE_POSITIVE, "Dismiss"),
        ):
            button(
                words,
                partial(task_deeds.ask, view, selected, action),
                key=f"bulk-{action.value}",
            )

        def clear() -> None:
            view.state["selected"] = []
            view.redraw_all()

        text_button("Clear", clear, key="bulk-clear")


# ---- aside ----


def _draw_progress(_view: View, statistics: Mapping[str, Any]) -> None:
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
            f"Over {_DAYS} days: {found} found, {done} done.",
            classes="chart low-chart",
        )
    with box("p", "meta"):
        moment(
            datetime.fromisoformat(statistics["as_of"]), form="day", before=f"{statistics['days']} days to "
        )


def _draw_import(_view: View, audit: dict[str, Any] | None) -> None:
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


def _draw_ages(_view: View, statistics: Mapping[str, Any]) -> None:
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


def _note(database: Database) -> str:
    late = _counts(database, {"late": _with_lateness(_OPEN, late=True)})["late"]
    return f"{count(late)} late" if late else ""


def _head_data(data: Mapping[str, Any]) -> dict[str, Any]:
    as_of = datetime.fromisoformat(data["as_of"])
    soon = sum(len(group.tasks) for group in grouped(data["tasks"], as_of) if group.name == "Due this week")
    return {
        "counts": data["counts"],
        "audit": data["audit"],
        "last_done": data["last_done"],
        "as_of": as_of.replace(second=0, microsecond=0).isoformat(),
        "soon": soon,
    }


def _table_data(data: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tasks": data["tasks"],
        "counts": data["counts"],
        "matching": data["matching"],
        "as_of": datetime.fromisoformat(data["as_of"]).replace(second=0, microsecond=0).isoformat(),
        "opened": state["opened"],
        "details": state["details"],
    }


def _search_data(data: Mapping[str, Any]) -> dict[str, Any]:
    counts = data["counts"]
    return {"is_offered": counts["all"] > 0 or counts["review"] > 0, "words": data["words"]}


def _chips_data(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("counts", "show", "categories")}


PAGES = (
    Page(
        path="/admin/pending",
        title="Tasks",
        tab=Tab(name="Tasks", icon="list", order=30, note=_note),
        is_wide=True,
        load=_load,
        remembers={"selected": [], "opened": None, "details": None},
        knows_who=True,
        parts=(
            Part(place="head", draw=_draw_head, shows=lambda data, _: _head_data(data)),
            Part(draw=_draw_search, shows=lambda data, _: _search_data(data), classes="part-search"),
            Part(draw=_draw_chips, shows=lambda data, _: _chips_data(data), classes="part-chips"),
            Part(place="main", draw=_draw_table, shows=_table_data),
            Part(place="foot", draw=_draw_bulk, shows=lambda _, state: state["selected"]),
            Part(place="aside", draw=_draw_progress, shows=lambda data, _: data["statistics"]),
            Part(place="aside", draw=_draw_import, shows=lambda data, _: data["audit"]),
            Part(place="aside", draw=_draw_ages, shows=lambda data, _: data["statistics"]),
        ),
    ),
)
