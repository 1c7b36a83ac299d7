"""Tasks for other programs: a CSV that no spreadsheet runs as a formula, and issues for GitHub.

GitHub takes one issue a call: `post-audit tasks export --format github` writes one JSON object a line, which
`gh api repos/OWNER/NAME/issues --input -` takes as it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Final

from app.post_audit.steps.enhancements.tasks import Task

__all__ = ["COLUMNS", "as_csv", "as_github_issues", "safe_cell"]

COLUMNS: Final = (
    "id",
    "title",
    "priority",
    "score",
    "status",
    "disposition",
    "category",
    "source",
    "target",
    "location",
    "line",
    "component",
    "rule",
    "severity",
    "occurrences",
    "estimated_hours",
    "owner",
    "first_seen_at",
    "last_seen_at",
    "due_at",
    "completed_at",
    "accepted_until",
    "duplicate_of",
    "note",
    "description",
)
"""The columns of the CSV, in their order. Moments are ISO 8601 in UTC."""

_RUN_AS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets fold the wide forms
_LONGEST_TITLE: Final = 250
"""GitHub takes 256 signs."""


def safe_cell(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula; it shows the rest as text.

    >>> safe_cell("=1+1")
    "'=1+1"
    """
    return "'" + text if text.lstrip(" ").startswith(_RUN_AS_FORMULA) else text


def as_csv(tasks: Iterable[Task]) -> Iterator[str]:
    """Write the head and then one line a task, as RFC 4180 has it (a line of text may hold line breaks)."""
    yield _line(COLUMNS)
    for task in tasks:
        yield _line([_cell(getattr(task, column)) for column in COLUMNS])


def as_github_issues(tasks: Iterable[Task]) -> Iterator[str]:
    """Write one issue a line, as GitHub's address for new issues takes it: title, body, labels."""
    for task in tasks:
        yield json.dumps(_issue(task), ensure_ascii=False) + "\n"


def _line(cells: Iterable[str]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return safe_cell(value)
        case int() | float():
            return f"{value}"
        case _:
            return str(value)


def _issue(task: Task) -> dict[str, object]:
    place = task.location or task.component or ""
    facts = [
        ("Place", f"`{place}`" + (f", line {task.line}" if task.line else "") if place else ""),
        ("Rule", f"`{task.rule}`" if task.rule else ""),
        ("Reported by", " on ".join(part for part in (task.source, task.target) if part)),
        ("First seen", f"{task.first_seen_at:%Y-%m-%d}"),
        ("To be fixed by", f"{task.due_at:%Y-%m-%d}" if task.due_at else ""),
        ("Seen", f"{task.occurrences} times" if task.occurrences > 1 else ""),
        ("Estimate", f"{task.estimated_hours:g} hours" if task.estimated_hours is not None else ""),
        ("Task", str(task.id)),
    ]
    body = "\n".join(
        [
            *([task.description, ""] if task.description else []),
            *(f"- {name}: {text}" for name, text in facts if text),
        ]
    )
    labels = [f"priority: {task.priority}", f"category: {task.category}"]
    if task.disposition:
        labels.append(task.disposition.replace("_", " "))
    return {"title": task.title[:_LONGEST_TITLE], "body": body, "labels": labels}
