"""`post-audit status`, `migrate`, `arm` and `pause`: how the house stands, and who may act in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.shared import AsJson, StepName, app, build, ist_of, out, person, print_json, tell
from app.post_audit.formats import count, counted

__all__: list[str] = []


@app.command()
def migrate(as_json: AsJson = False) -> int:
    """Apply the migration to the database; can be repeated."""
    from app.post_audit.db.migrate import migrate as apply_migration
    from app.post_audit.db.place import find_database
    from app.post_audit.engine import install
    from app.post_audit.settings import load_settings

    with closing(find_database(load_settings())) as place:
        warnings = apply_migration(place.conninfo)
        install(place.conninfo)
    if as_json:
        print_json({"migrated": True, "warnings": warnings})
        return 0
    out.print("The migration is applied.")
    for warning in warnings:
        out.print(f"Note: {warning}", markup=False)
    return 0


@app.command()
def status(as_json: AsJson = False) -> int:
    """Name the database, each step's mode, the runs, who works on them, and what waits."""
    with build() as application:
        now: Any = application.database.call("post_audit_read_status")
        document = {
            "database": application.database.describe(),
            "embedded": application.is_embedded,
            **now,
            "operations": application.operations(),
        }
    if as_json:
        print_json(document)
    else:
        _print_status(document)
    return 0


def _print_status(document: dict[str, Any]) -> None:
    from app.post_audit.compose import STEP_NAMES

    rows = Table.grid(padding=(0, 3))
    rows.add_column(style="dim")
    rows.add_column()
    rows.add_row(
        "database",
        Text(f"{document['database']} · {document['marketplace']} · schema {document['schema_version']}"),
    )
    last = document["last_run"]
    if last is None:
        rows.add_row("last run", "none yet: post-audit run")
    else:
        rows.add_row("last run", Text(f"{last['id']}, {last['state']}, begun {ist_of(last['started_at'])}"))
    for what, told in _operations(document["operations"]):
        rows.add_row(what, Text(told))
    for name in STEP_NAMES:
        mode = document["modes"][name]
        rows.add_row(
            name,
            {"act": "acts", "propose": "proposes (post-audit arm " + name + ")", "paused": "paused"}[mode],
        )
    rows.add_row(
        "waiting",
        f"{counted(waiting, 'decision')} {'waits' if waiting == 1 else 'wait'} for you"
        if (waiting := document["waiting"])
        else "nothing waits for you",
    )
    messages = ", ".join(f"{count(number)} {state}" for state, number in document["outbox"].items())
    oldest = document["operations"]["messages"]
    if oldest["waiting"]:
        messages += f"; the oldest waits for {_seconds(oldest['oldest_seconds'])}"
    rows.add_row("messages", messages or "none")
    for role in document["bindings_needed"]:
        rows.add_row("binding", f"{role} has no table: post-audit bind {role} SCHEMA.TABLE")
    out.print(rows)


def _operations(now: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The run that goes on, who works, what is asked for, and when the next tick is."""
    from app.post_audit.runner import owner

    run = now["run"]
    if run is not None:
        done = ", ".join(f"{step['step']} {step['state']}" for step in run["steps"])
        lease = float(run["lease_remaining_seconds"])
        held = f"lease for {_seconds(lease)} more" if lease > 0 else "lease has run out"
        yield "running", f"run {run['id']}, {owner.readable(run['owner'])}, {held}: {done}"
    for kind in ("worker", "schedule"):
        alive = [w for w in now["workers"] if w["kind"] == kind and w["alive"]]
        missed = sum(w["kind"] == kind and not w["alive"] for w in now["workers"])
        told = ", ".join(owner.readable(w["name"]) for w in alive) or "none"
        yield f"{kind}s", told + (f"; {count(missed)} not seen for a minute" if missed else "")
    queue = now["queue"]
    if queue is not None and (queue["waiting"] or queue["failed"]):
        told = f"{counted(queue['waiting'], 'run')} in it, the oldest for {_seconds(queue['oldest_waiting_seconds'])}"
        yield "queue", told + (f"; {count(queue['failed'])} given up" if queue["failed"] else "")
    if now["next_tick"] is not None:
        yield "next tick", ist_of(now["next_tick"])


def _seconds(seconds: float) -> str:
    """A length of time, for people."""
    if seconds < 120:  # noqa: PLR2004 - two minutes are still told in seconds
        return f"{seconds:.0f} s"
    if seconds < 7200:  # noqa: PLR2004 - and two hours in minutes
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def _set_mode(name: str, mode: str, *, as_json: bool) -> int:
    with build() as application:
        application.runner.step(name)
        answer: Any = application.database.call("post_audit_apply_mode", step=name, mode=mode, actor=person())
    sentence = {
        "act": f"{name} acts from the next run on.",
        "propose": f"{name} proposes and waits for approval.",
        "paused": f"{name} is paused. Wake it: post-audit arm {name}",
    }[mode]
    return tell(answer, sentence, as_json=as_json)


@app.command()
def arm(
    name: StepName,
    propose: Annotated[bool, typer.Option("--propose", help="Only propose, and wait for approval.")] = False,
    as_json: AsJson = False,
) -> int:
    """Let a step act by itself."""
    return _set_mode(name, "propose" if propose else "act", as_json=as_json)


@app.command()
def pause(name: StepName, as_json: AsJson = False) -> int:
    """Let a step rest."""
    return _set_mode(name, "paused", as_json=as_json)
