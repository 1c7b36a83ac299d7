"""What the commands of `post-audit tasks` share: the group, its options, and how a task is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, cast

import typer
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.shared import app, plain_table
from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.tasks import Filters, Priority, Status, Task

__all__ = [
    "ActingAs",
    "Categories",
    "Dispositions",
    "FromSource",
    "Ids",
    "IsLate",
    "Note",
    "OfOwner",
    "Priorities",
    "Statuses",
    "filters_of",
    "place_of",
    "state_of",
    "table_of",
    "tasks",
]


tasks = typer.Typer(help="What audits found, as a queue.", no_args_is_help=True)
app.add_typer(tasks, name="tasks")

Statuses = Annotated[
    list[str] | None,
    typer.Option("--status", help="pending, in_progress, completed or cancelled; may be repeated."),
]
Priorities = Annotated[
    list[str] | None, typer.Option("--priority", help="critical, high, medium or low; may be repeated.")
]
Categories = Annotated[list[str] | None, typer.Option("--category", help="May be repeated.")]
Dispositions = Annotated[
    list[str] | None,
    typer.Option(
        "--disposition",
        help="review, blocked, accepted, false_positive, duplicate, reopened, gone, reported or none.",
    ),
]
FromSource = Annotated[str | None, typer.Option(help="Only what this tool reported.")]
OfOwner = Annotated[str | None, typer.Option(help="Only whose it is; empty for nobody's.")]
IsLate = Annotated[bool | None, typer.Option("--late/--in-time", help="Only what is late, or what is not.")]
ActingAs = Annotated[str | None, typer.Option("--as", help="Who does it; you, when not given.")]
Note = Annotated[str | None, typer.Option(help="What is to be remembered.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="The tasks' numbers.")]


def filters_of(
    status: list[str] | None,
    priority: list[str] | None,
    category: list[str] | None,
    disposition: list[str] | None,
    source: str | None,
    owner: str | None,
    *,
    late: bool | None,
) -> Filters:
    """What passes the options of a command; raises `InputError` for a status or priority that there is not."""
    _known("status", status, ("pending", "in_progress", "completed", "cancelled"))
    _known("priority", priority, ("critical", "high", "medium", "low"))
    return Filters(
        status=cast("tuple[Status, ...]", tuple(status)) if status else None,
        priority=cast("tuple[Priority, ...]", tuple(priority)) if priority else None,
        category=tuple(category) if category else None,
        disposition=tuple(disposition) if disposition else None,
        source=source,
        owner=owner,
        late=late,
    )


def _known(name: str, given: list[str] | None, known: tuple[str, ...]) -> None:
    for value in given or ():
        if value not in known:
            raise InputError(f"There is no {name} named {value}.", cure=f"Give one of {', '.join(known)}.")


def table_of(tasks: Iterable[Task]) -> Table:
    """A line for each task."""
    table = plain_table("id", "score", "priority", "state", "title", "place")
    for task in tasks:
        score = "" if task.score is None else f"{task.score:g}"
        late = Text("late ", style="bold red") if task.late else Text()
        table.add_row(
            str(task.id), score, task.priority, late + state_of(task), Text(task.title), Text(place_of(task))
        )
    return table


def state_of(task: Task) -> str:
    """A task's state with who works on it, in words."""
    state = task.status.replace("_", " ")
    if task.disposition:
        state += f" ({task.disposition.replace('_', ' ')})"
    return state + (f", {task.owner}" if task.owner and task.status == "in_progress" else "")


def place_of(task: Task) -> str:
    """Where a task is: `path:line`; empty where that is not known."""
    place = task.location or task.component or ""
    return f"{place}:{task.line}" if place and task.line else place
