"""What the page of tasks says of them: pure functions of what the queue answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.post_audit.formats import IST, count, duration
from app.post_audit.web.pages.words import number_word

__all__ = ["Group", "age_words", "due_words", "grouped", "headline", "lede", "place_of"]

_WEEK: Final = timedelta(days=7)
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tasks that are due alike."""

    name: str
    order: str
    tasks: tuple[dict[str, Any], ...]


def headline(counts: Mapping[str, int]) -> str:
    """Say what is late and whose it is."""
    late, nobody = counts["late"], counts["late_nobody"]
    if counts["all"] == 0:
        return "Nothing is left to do." if counts["review"] == 0 else "Only findings to review are left."
    if late == 0:
        tasks = "task is" if counts["all"] == 1 else "tasks are"
        return f"{count(counts['all'])} {tasks} open, and none is late."
    said = f"{count(late)} {'task is' if late == 1 else 'tasks are'} late."
    if nobody == 0:
        return f"{said} All have an owner."
    if nobody == late:
        return f"{said} {'It has' if late == 1 else 'None has'} {'no' if late == 1 else 'an'} owner."
    word = number_word(nobody)
    return f"{said} {word[0].upper()}{word[1:]} of them {'has' if nobody == 1 else 'have'} no owner."


def lede(counts: Mapping[str, int], soon: int) -> str:
    """Say what else is open."""
    rest = counts["all"] - counts["late"]
    if counts["all"] == 0:
        return (
            "The queue is empty."
            if counts["review"] == 0
            else "Confirm or dismiss them, and the queue is empty."
        )
    if counts["late"] == 0:
        return f"{count(soon)} of them are due this week." if soon else "None of them is due this week."
    if rest == 0:
        return "Nothing else is open."
    return f"{count(rest)} more {'is' if rest == 1 else 'are'} open, {count(soon)} of them due this week."


def grouped(tasks: Sequence[dict[str, Any]], as_of: datetime) -> list[Group]:
    """Group by when tasks are due: late, this week, later; the one that is due first comes first."""
    ordered = sorted(tasks, key=lambda task: (task["due_at"] or "", str(task["id"])))
    late = [task for task in ordered if _due(task) < as_of]
    week = [task for task in ordered if as_of <= _due(task) < as_of + _WEEK]
    later = [task for task in ordered if _due(task) >= as_of + _WEEK]
    groups = (
        ("Late", "oldest first", late),
        ("Due this week", "soonest first", week),
        ("Later", "soonest first", later),
    )
    return [Group(name=name, order=order, tasks=tuple(found)) for name, order, found in groups if found]


def _due(task: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(task["due_at"])


def due_words(task: Mapping[str, Any], as_of: datetime) -> tuple[str, str]:
    """Say when a task is due, and how urgent that is: `late 3 d`, `today 18:00`, `Fri 14 Nov`."""
    due = _due(task)
    if due < as_of:
        return f"late {_largest(as_of - due)}", "late"
    local, today = due.astimezone(IST), as_of.astimezone(IST)
    if local.date() == today.date():
        return f"today {local:%H:%M}", "soon"
    return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}", ""


def age_words(task: Mapping[str, Any], as_of: datetime) -> str:
    """Say how old a task is, in its largest unit."""
    return _largest(as_of - datetime.fromisoformat(task["first_seen_at"]))


def _largest(length: timedelta) -> str:
    seconds = max(0.0, length.total_seconds())
    return " ".join(duration(seconds).split(" ")[:1]) if seconds else "new"


def place_of(task: Mapping[str, Any]) -> str:
    """Say where a task comes from and where it lies: source, file and line."""
    place = task["location"] or task["component"] or ""
    if place and task["line"]:
        place = f"{place}:{task['line']}"
    return " · ".join(part for part in (task["source"], place) if part)
