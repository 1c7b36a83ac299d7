"""`post-audit tasks list`, `show`, `export` and `stats`: the queue of what audits found, for people and for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from app.post_audit.cli.shared import AsJson, build, out, plain_table, print_json, progress
from app.post_audit.cli.task_shared import (
    Categories,
    Dispositions,
    FromSource,
    IsLate,
    OfOwner,
    Priorities,
    Statuses,
    filters_of,
    place_of,
    state_of,
    table_of,
    tasks,
)
from app.post_audit.errors import InputError
from app.post_audit.formats import count, counted, ist
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.export import as_csv, as_github_issues

__all__: list[str] = []

_SHOWN = 20


@tasks.command("list")
def list_tasks(
    status: Statuses = None,
    priority: Priorities = None,
    category: Categories = None,
    disposition: Dispositions = None,
    source: FromSource = None,
    owner: OfOwner = None,
    late: IsLate = None,
    sort: Annotated[
        Literal["score", "age", "recent"], typer.Option(help="By score, by age, or closed last.")
    ] = "score",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = _SHOWN,
    after: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    as_json: AsJson = False,
) -> int:
    """List tasks, the most urgent first; without --status what is pending or in progress."""
    open_ones = ["pending", "in_progress"] if sort != "recent" else None
    wanted = filters_of(status or open_ones, priority, category, disposition, source, owner, late=late)
    with build() as application:
        page = queue.list_tasks(application.database, wanted, sort=sort, limit=limit, after=after)
    if as_json:
        print_json(page)
        return 0
    if not page.tasks:
        out.print("No task is like that.")
        return 0
    out.print(table_of(page.tasks))
    if page.next is not None:
        out.print(f"{count(len(page.tasks))} of {count(page.count or 0)}; more: --limit 1000", style="dim")
    return 0


@tasks.command()
def show(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task's number.")], as_json: AsJson = False
) -> int:
    """Show a task, why it has its score, and what happened to it."""
    with build() as application:
        found = queue.show(application.database, task_id)
    if as_json:
        print_json(found)
        return 0
    task = found.task
    out.print(Text(f"{task.id}  {task.title}", style="bold"))
    for name, text in (
        ("state", state_of(task)),
        ("priority", task.priority),
        ("score", f"{task.score:g}" if task.score is not None else ""),
        ("place", place_of(task)),
        ("rule", task.rule or ""),
        ("from", " on ".join(part for part in (task.source, task.target) if part)),
        ("owner", task.owner or ""),
        ("note", task.note or ""),
        ("to be fixed by", ist(task.due_at) if task.due_at else ""),
    ):
        if text:
            out.print(Text(f"  {name}: {text}"))
    for reason in task.reasons:
        out.print(Text(f"    {reason}", style="dim"))
    if task.description:
        out.print(Text(task.description))
    for event in found.events:
        said = f": {event.note}" if event.note else ""
        by = f"audit {event.audit}" if event.audit else event.actor
        out.print(Text(f"  {ist(event.happened_at)}  {event.kind.replace('_', ' ')} ({by}){said}"))
    return 0


@tasks.command()
def export(
    kind: Annotated[
        Literal["csv", "github"],
        typer.Option("--format", help="A table, or GitHub issues, one JSON object a line."),
    ] = "csv",
    output: Annotated[Path | None, typer.Option(help="The file; standard output when not given.")] = None,
    status: Statuses = None,
    priority: Priorities = None,
    category: Categories = None,
    disposition: Dispositions = None,
    source: FromSource = None,
    owner: OfOwner = None,
    late: IsLate = None,
) -> int:
    """Write tasks for other programs; without --status what is pending or in progress."""
    wanted = filters_of(
        status or ["pending", "in_progress"], priority, category, disposition, source, owner, late=late
    )
    with build() as application:
        found = queue.every_task(application.database, wanted)
        lines = as_csv(found) if kind == "csv" else as_github_issues(found)
        if output is None:
            sys.stdout.writelines(lines)
            return 0
        written = _write(output, lines)
    out.print(f"{counted(written - (kind == 'csv'), 'task')} written to {output}.")
    return 0


@tasks.command()
def stats(
    days: Annotated[int, typer.Option(min=1, max=366, help="Over how many days.")] = 30,
    as_json: AsJson = False,
) -> int:
    """Count what is open and late, and what came and went."""
    with build() as application:
        told = queue.statistics(application.database, days=days)
    if as_json:
        print_json(told)
        return 0
    table = plain_table(
        "priority", "open", "in progress", "late", "oldest, days", "completed", "of these late"
    )
    closed = {row.priority: row for row in told.closed}
    for row in told.open:
        ended = closed.get(row.priority)
        table.add_row(
            row.priority,
            count(row.open),
            count(row.in_progress),
            count(row.late),
            f"{row.oldest_days:g}",
            count(ended.closed if ended else 0),
            count(ended.late if ended else 0),
        )
    out.print(table)
    came = sum(day.opened + day.reopened for day in told.daily)
    went = sum(day.completed + day.closed_by_audits + day.put_aside for day in told.daily)
    out.print(f"In {days} days {count(came)} came and {count(went)} went.")
    return 0


def _write(output: Path, lines: Iterable[str]) -> int:
    written = 0
    try:
        with output.open("w", encoding="utf-8", newline="") as file, progress() as bars:
            for line in lines:
                file.write(line)
                written += 1
                bars.say(f"Writing: {counted(written, 'task')}")
    except OSError as error:
        raise InputError(
            f"{output} cannot be written: {error.strerror}.", cure="Name another file."
        ) from error
    return written
