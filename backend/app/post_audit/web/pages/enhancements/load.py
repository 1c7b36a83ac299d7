"""What the page of the tasks reads: two pages of them, their counts, and what became of the queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from app.post_audit.codec import to_json
from app.post_audit.formats import count
from app.post_audit.ports import Database
from app.post_audit.step import parse_facts
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.tasks import Filters, Task
from app.post_audit.web.pages.page import House, Query

__all__ = ["load", "note"]

_SHOWN: Final = 100
_LATE_SHOWN: Final = 100
_DAYS: Final = 30
_CHIPS: Final = 3


_OPEN: Final = Filters(status=("pending", "in_progress"), not_disposition=("review",))


_REVIEW: Final = Filters(status=("pending",), disposition=("review",))


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


def load(house: House, query: Query) -> dict[str, Any]:
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


def note(database: Database) -> str:
    """What the tab says: how many are late."""
    late = _counts(database, {"late": _with_lateness(_OPEN, late=True)})["late"]
    return f"{count(late)} late" if late else ""
