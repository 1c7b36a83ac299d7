"""`post-audit tasks`: the queue of what audits found, for people and for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, cast

import typer
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.shared import AsJson, app, out, person, print_json, progress
from app.post_audit.compose import build
from app.post_audit.errors import InputError
from app.post_audit.formats import count, ist
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.export import as_csv, as_github_issues
from app.post_audit.steps.enhancements.tasks import Action, Filters, Priority, Status, Task

__all__: list[str] = []

_tasks = typer.Typer(help="What audits found, as a queue.", no_args_is_help=True)
app.add_typer(_tasks, name="tasks")

_SHOWN = 20

_Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="The tasks' numbers.")]
_Statuses = Annotated[
    list[str] | None,
    typer.Option("--status", help="pending, in_progress, completed or cancelled; may be repeated."),
]
_Priorities = Annotated[
    list[str] | None, typer.Option("--priority", help="critical, high, medium or low; may be repeated.")
]
_Categories = Annotated[list[str] | None, typer.Option("--category", help="May be repeated.")]
_Dispositions = Annotated[
    list[str] | None,
    typer.Option(
        "--disposition",
        help="review, blocked, accepted, false_positive, duplicate, reopened, gone, reported or none.",
    ),
]
_Source = Annotated[str | None, typer.Option(help="Only what this tool reported.")]
_Owner = Annotated[str | None, typer.Option(help="Only whose it is; empty for nobody's.")]
_Late = Annotated[bool | None, typer.Option("--late/--in-time", help="Only what is late, or what is not.")]
_Note = Annotated[str | None, typer.Option(help="What is to be remembered.")]
_As = Annotated[str | None, typer.Option("--as", help="Who does it; you, when not given.")]


@_tasks.command("list")
def list_tasks(
    status: _Statuses = None,
    priority: _Priorities = None,
    category: _Categories = None,
    disposition: _Dispositions = None,
    source: _Source = None,
    owner: _Owner = None,
    late: _Late = None,
    sort: Annotated[
        Literal["score", "age", "recent"], typer.Option(help="By score, by age, or closed last.")
    ] = "score",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = _SHOWN,
    after: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    as_json: AsJson = False,
) -> int:
    """List tasks, the most urgent first; without --status what is pending or in progress."""
    open_ones = ["pending", "in_progress"] if sort != "recent" else None
    wanted = _filters(status or open_ones, priority, category, disposition, source, owner, late=late)
    with build() as application:
        page = queue.list_tasks(application.database, wanted, sort=sort, limit=limit, after=after)
    if as_json:
        print_json(page)
        return 0
    if not page.tasks:
        out.print("No task is like that.")
        return 0
    out.print(_table(page.tasks))
    if page.next is not None:
        out.print(f"{count(len(page.tasks))} of {count(page.count or 0)}; more: --limit 1000", style="dim")
    return 0


@_tasks.command()
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
        ("state", _state(task)),
        ("priority", task.priority),
        ("score", f"{task.score:g}" if task.score is not None else ""),
        ("place", _place(task)),
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


@_tasks.command()
def claim(
    owner: _As = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 1,
    lease_seconds: Annotated[
        int, typer.Option(min=1, max=604_800, help="After how long without a sign of life it goes back.")
    ] = 900,
    priority: _Priorities = None,
    category: _Categories = None,
    source: _Source = None,
    as_json: AsJson = False,
) -> int:
    """Take the most urgent tasks for a while; `start` makes one yours without a limit of time."""
    wanted = _filters(None, priority, category, None, source, None, late=None)
    with build() as application:
        claimed = queue.claim(
            application.database,
            owner or person(),
            limit=limit,
            lease_seconds=lease_seconds,
            filters=wanted,
        )
    if as_json:
        print_json(claimed)
    elif claimed.tasks:
        out.print(_table(claimed.tasks))
    else:
        out.print("Nothing waits.")
    return 0


@_tasks.command()
def start(ids: _Ids, note: _Note = None, actor: _As = None, as_json: AsJson = False) -> int:
    """Work on tasks; what was blocked goes on."""
    return _act(ids, Action.START, actor, note=note, as_json=as_json)


@_tasks.command()
def release(ids: _Ids, note: _Note = None, actor: _As = None, as_json: AsJson = False) -> int:
    """Give tasks back."""
    return _act(ids, Action.RELEASE, actor, note=note, as_json=as_json)


@_tasks.command()
def block(
    ids: _Ids,
    note: Annotated[str, typer.Option(help="What they wait for.")],
    actor: _As = None,
    as_json: AsJson = False,
) -> int:
    """Say that tasks wait for something else; nobody is given them until they are started."""
    return _act(ids, Action.BLOCK, actor, note=note, as_json=as_json)


@_tasks.command()
def confirm(ids: _Ids, note: _Note = None, actor: _As = None, as_json: AsJson = False) -> int:
    """Let what was under review into the queue."""
    return _act(ids, Action.CONFIRM, actor, note=note, as_json=as_json)


@_tasks.command()
def done(ids: _Ids, note: _Note = None, actor: _As = None, as_json: AsJson = False) -> int:
    """Complete tasks; one that an audit reports again is reopened."""
    return _act(ids, Action.DONE, actor, note=note, as_json=as_json)


@_tasks.command()
def cancel(ids: _Ids, note: _Note = None, actor: _As = None, as_json: AsJson = False) -> int:
    """Cancel tasks that will not be done; no audit reopens them."""
    return _act(ids, Action.CANCEL, actor, note=note, as_json=as_json)


@_tasks.command()
def reopen(ids: _Ids, note: _Note = None, actor: _As = None, as_json: AsJson = False) -> int:
    """Put closed tasks back into the queue."""
    return _act(ids, Action.REOPEN, actor, note=note, as_json=as_json)


@_tasks.command()
def accept(
    ids: _Ids,
    until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day, at most 366 from now: 2026-03-31.")
    ],
    note: Annotated[str, typer.Option(help="Why the risk is borne.")],
    actor: _As = None,
    as_json: AsJson = False,
) -> int:
    """Bear the risk of tasks until the end of a day; then they come back."""
    return _act(ids, Action.ACCEPT, actor, note=note, until=until, as_json=as_json)


@_tasks.command("false-positive")
def false_positive(ids: _Ids, note: _Note = None, actor: _As = None, as_json: AsJson = False) -> int:
    """Say that tasks are none; no audit reopens them."""
    return _act(ids, Action.FALSE_POSITIVE, actor, note=note, as_json=as_json)


@_tasks.command()
def merge(
    ids: _Ids,
    into: Annotated[str, typer.Option(help="The task that stays.")],
    note: _Note = None,
    actor: _As = None,
    as_json: AsJson = False,
) -> int:
    """Say that tasks are duplicates of another one."""
    return _act(ids, Action.MERGE, actor, note=note, keep=into, as_json=as_json)


@_tasks.command()
def prioritise(
    ids: _Ids,
    priority: Annotated[str, typer.Option("--to", help="critical, high, medium or low.")],
    note: _Note = None,
    actor: _As = None,
    as_json: AsJson = False,
) -> int:
    """Set the priority; audits leave it as it is from then on."""
    return _act(ids, Action.PRIORITISE, actor, note=note, priority=priority, as_json=as_json)


@_tasks.command()
def export(
    kind: Annotated[
        Literal["csv", "github"],
        typer.Option("--format", help="A table, or GitHub issues, one JSON object a line."),
    ] = "csv",
    output: Annotated[Path | None, typer.Option(help="The file; standard output when not given.")] = None,
    status: _Statuses = None,
    priority: _Priorities = None,
    category: _Categories = None,
    disposition: _Dispositions = None,
    source: _Source = None,
    owner: _Owner = None,
    late: _Late = None,
) -> int:
    """Write tasks for other programs; without --status what is pending or in progress."""
    wanted = _filters(
        status or ["pending", "in_progress"], priority, category, disposition, source, owner, late=late
    )
    with build() as application:
        found = queue.every_task(application.database, wanted)
        lines = as_csv(found) if kind == "csv" else as_github_issues(found)
        if output is None:
            sys.stdout.writelines(lines)
            return 0
        written = _write(output, lines)
    out.print(f"{count(written - (kind == 'csv'))} tasks are in {output}.")
    return 0


@_tasks.command()
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
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("priority", "open", "in progress", "late", "oldest, days", "completed", "of these late"):
        table.add_column(title)
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


def _act(
    ids: list[str],
    action: Action,
    actor: str | None,
    *,
    note: str | None,
    as_json: bool,
    until: datetime | None = None,
    keep: str | None = None,
    priority: str | None = None,
) -> int:
    """Do it and tell what became of each; 1 when one of several was refused."""
    with build() as application:
        ended = queue.act(
            application.database,
            ids,
            action,
            actor or person(),
            note=note,
            until=None if until is None else until.date(),
            keep=keep,
            priority=priority,
        )
    if as_json:
        print_json(ended)
    else:
        for task in ended.tasks:
            out.print(Text(f"Task {task.id} is {_state(task)}: {task.title}"))
        for refused in ended.refused:
            out.print(Text(f"Left as it was: {refused.message} {refused.cure}"))
    return 1 if ended.refused else 0


def _filters(
    status: list[str] | None,
    priority: list[str] | None,
    category: list[str] | None,
    disposition: list[str] | None,
    source: str | None,
    owner: str | None,
    *,
    late: bool | None,
) -> Filters:
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


def _write(output: Path, lines: Iterable[str]) -> int:
    written = 0
    try:
        with output.open("w", encoding="utf-8", newline="") as file, progress() as bars:
            for line in lines:
                file.write(line)
                written += 1
                bars.say(f"Writing: {count(written)} tasks")
    except OSError as error:
        raise InputError(
            f"{output} cannot be written: {error.strerror}.", cure="Name another file."
        ) from error
    return written


def _table(tasks: Iterable[Task]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("id", "score", "priority", "state", "title", "place"):
        table.add_column(title)
    for task in tasks:
        score = "" if task.score is None else f"{task.score:g}"
        late = Text("late ", style="bold red") if task.late else Text()
        table.add_row(
            str(task.id), score, task.priority, late + _state(task), Text(task.title), Text(_place(task))
        )
    return table


def _state(task: Task) -> str:
    state = task.status.replace("_", " ")
    if task.disposition:
        state += f" ({task.disposition.replace('_', ' ')})"
    return state + (f", {task.owner}" if task.owner and task.status == "in_progress" else "")


def _place(task: Task) -> str:
    place = task.location or task.component or ""
    return f"{place}:{task.line}" if place and task.line else place
