"""`post-audit tasks claim`, `start`, `done` and the others: what one does with tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from app.post_audit.cli.shared import AsJson, build, out, person, print_json
from app.post_audit.cli.task_shared import (
    ActingAs,
    Categories,
    FromSource,
    Ids,
    Note,
    Priorities,
    filters_of,
    state_of,
    table_of,
    tasks,
)
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.tasks import Action

__all__: list[str] = []


@tasks.command()
def claim(
    owner: ActingAs = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 1,
    lease_seconds: Annotated[
        int, typer.Option(min=1, max=604_800, help="After how long without a sign of life it goes back.")
    ] = 900,
    priority: Priorities = None,
    category: Categories = None,
    source: FromSource = None,
    as_json: AsJson = False,
) -> int:
    """Take the most urgent tasks for a while; `start` makes one yours without a limit of time."""
    wanted = filters_of(None, priority, category, None, source, None, late=None)
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
        out.print(table_of(claimed.tasks))
    else:
        out.print("Nothing waits.")
    return 0


@tasks.command()
def start(ids: Ids, note: Note = None, actor: ActingAs = None, as_json: AsJson = False) -> int:
    """Work on tasks; what was blocked goes on."""
    return _act(ids, Action.START, actor, note=note, as_json=as_json)


@tasks.command()
def release(ids: Ids, note: Note = None, actor: ActingAs = None, as_json: AsJson = False) -> int:
    """Give tasks back."""
    return _act(ids, Action.RELEASE, actor, note=note, as_json=as_json)


@tasks.command()
def block(
    ids: Ids,
    note: Annotated[str, typer.Option(help="What they wait for.")],
    actor: ActingAs = None,
    as_json: AsJson = False,
) -> int:
    """Say that tasks wait for something else; nobody is given them until they are started."""
    return _act(ids, Action.BLOCK, actor, note=note, as_json=as_json)


@tasks.command()
def confirm(ids: Ids, note: Note = None, actor: ActingAs = None, as_json: AsJson = False) -> int:
    """Let what was under review into the queue."""
    return _act(ids, Action.CONFIRM, actor, note=note, as_json=as_json)


@tasks.command()
def done(ids: Ids, note: Note = None, actor: ActingAs = None, as_json: AsJson = False) -> int:
    """Complete tasks; one that an audit reports again is reopened."""
    return _act(ids, Action.DONE, actor, note=note, as_json=as_json)


@tasks.command()
def cancel(ids: Ids, note: Note = None, actor: ActingAs = None, as_json: AsJson = False) -> int:
    """Cancel tasks that will not be done; no audit reopens them."""
    return _act(ids, Action.CANCEL, actor, note=note, as_json=as_json)


@tasks.command()
def reopen(ids: Ids, note: Note = None, actor: ActingAs = None, as_json: AsJson = False) -> int:
    """Put closed tasks back into the queue."""
    return _act(ids, Action.REOPEN, actor, note=note, as_json=as_json)


@tasks.command()
def accept(
    ids: Ids,
    until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day, at most 366 from now: 2026-03-31.")
    ],
    note: Annotated[str, typer.Option(help="Why the risk is borne.")],
    actor: ActingAs = None,
    as_json: AsJson = False,
) -> int:
    """Bear the risk of tasks until the end of a day; then they come back."""
    return _act(ids, Action.ACCEPT, actor, note=note, until=until, as_json=as_json)


@tasks.command("false-positive")
def false_positive(ids: Ids, note: Note = None, actor: ActingAs = None, as_json: AsJson = False) -> int:
    """Say that tasks are none; no audit reopens them."""
    return _act(ids, Action.FALSE_POSITIVE, actor, note=note, as_json=as_json)


@tasks.command()
def merge(
    ids: Ids,
    into: Annotated[str, typer.Option(help="The task that stays.")],
    note: Note = None,
    actor: ActingAs = None,
    as_json: AsJson = False,
) -> int:
    """Say that tasks are duplicates of another one."""
    return _act(ids, Action.MERGE, actor, note=note, keep=into, as_json=as_json)


@tasks.command()
def prioritise(
    ids: Ids,
    priority: Annotated[str, typer.Option("--to", help="critical, high, medium or low.")],
    note: Note = None,
    actor: ActingAs = None,
    as_json: AsJson = False,
) -> int:
    """Set the priority; audits leave it as it is from then on."""
    return _act(ids, Action.PRIORITISE, actor, note=note, priority=priority, as_json=as_json)


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
            out.print(Text(f"Task {task.id} is {state_of(task)}: {task.title}"))
        for refused in ended.refused:
            out.print(Text(f"Left as it was: {refused.message} {refused.cure}"))
    return 1 if ended.refused else 0
