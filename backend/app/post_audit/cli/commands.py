"""The commands. Each builds the application, does one thing, and tells of it in words or as one JSON document."""

from __future__ import annotations

import getpass
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.report import decision_view, print_run
from app.post_audit.codec import encode, to_json
from app.post_audit.compose import Application, build, open_connection
from app.post_audit.db.migrate import migrate as apply_migration
from app.post_audit.errors import InputError, NotFound
from app.post_audit.formats import count, ist
from app.post_audit.protocol import PostAuditProtocol
from app.post_audit.runner import AnyStep, RunReport, StepReport
from app.post_audit.settings import load_settings

__all__ = ["app"]

app = typer.Typer(
    help="Six watches over a marketplace that decide, act and say why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Decide only; change nothing.")]
_Identifier = Annotated[int, typer.Argument(metavar="ID", help="The decision's number, as reports show it.")]
_StepName = Annotated[
    str, typer.Argument(metavar="STEP", help="The step's name, as `post-audit status` shows it.")
]

# Wide enough for a sentence where there is no terminal to ask.
_out = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(to_json(document), ensure_ascii=False, indent=2) + "\n")


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


class _Bars:
    """Shows on a terminal which step is being run, and how far a long one has come."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("Starting", total=None)

    def step_started(self, step: AnyStep) -> None:
        self._bars.update(self._task, description=f"{step.title}: {step.question}")

    def step_ended(self, report: StepReport) -> None:
        self._bars.update(self._task, description=f"{report.title}: {report.state}")

    def batch_done(self, remaining: int) -> None:
        self._bars.update(self._task, description=f"Carrying out: {count(remaining)} changes to go")

    def waiting(self, owner: str) -> None:
        self._bars.update(self._task, description=f"Another run is going on ({owner}); following it")


@contextmanager
def _progress() -> Iterator[_Bars]:
    # On standard error, and only on a terminal: standard output belongs to the report.
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield _Bars(bars)


def _report_run(application: Application, report: RunReport, *, as_json: bool) -> int:
    place = application.database.describe()
    if as_json:
        document: Any = to_json(report)
        _print_json({**document, "database": place})
    else:
        print_run(_out, report, place=place, is_embedded=application.is_embedded)
    return 1 if report.failed else 0


def _run(names: list[str] | None, *, dry_run: bool, as_json: bool) -> int:
    with build() as application:
        with _progress() as bars:
            report = PostAuditProtocol(application).run_steps(names, dry_run=dry_run, progress=bars)
        return _report_run(application, report, as_json=as_json)


@app.command()
def run(dry_run: _DryRun = False, as_json: _AsJson = False) -> int:
    """Run the six steps once, and print what was decided and why."""
    return _run(None, dry_run=dry_run, as_json=as_json)


@app.command()
def step(name: _StepName, dry_run: _DryRun = False, as_json: _AsJson = False) -> int:
    """Run one step alone."""
    return _run([name], dry_run=dry_run, as_json=as_json)


@app.command()
def schedule(
    interval_hours: Annotated[float, typer.Option(min=0.001, help="Hours from one run to the next.")] = 2,
    as_json: _AsJson = False,
) -> int:
    """Run now and then every two hours, until stopped (Ctrl-C or SIGTERM)."""
    with build(terminal_level=logging.INFO) as application:

        def show(report: RunReport) -> None:
            _report_run(application, report, as_json=as_json)

        PostAuditProtocol(application).run_continuous(interval_hours, on_report=show)
    return 0


@app.command()
def serve(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port; 8000 when not given.")] = None,
) -> int:
    """Serve the API on this machine (127.0.0.1) until stopped."""
    from app.post_audit.web.server import serve as serve_application

    with build() as application:
        return serve_application(application, port=port or application.settings.port)


@app.command()
def migrate(as_json: _AsJson = False) -> int:
    """Apply the migration to the database; can be repeated."""
    place = open_connection(load_settings())
    try:
        warnings = apply_migration(place.conninfo)
    finally:
        if place.server is not None:
            place.server.close()
    if as_json:
        _print_json({"migrated": True, "warnings": warnings})
        return 0
    _out.print("The migration is applied.")
    for warning in warnings:
        _out.print(f"Note: {warning}", markup=False)
    return 0


@app.command()
def status(as_json: _AsJson = False) -> int:
    """Name the database, each step's mode, the last run, and what waits."""
    with build() as application:
        now: Any = application.database.call("post_audit_read_status")
        document = {"database": application.database.describe(), "embedded": application.is_embedded, **now}
    if as_json:
        _print_json(document)
    else:
        _print_status(document)
    return 0


def _print_status(document: dict[str, Any]) -> None:
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
        rows.add_row(
            "last run", Text(f"{last['id']}, {last['state']}, begun {ist(_moment(last['started_at']))}")
        )
    for name, mode in document["modes"].items():
        rows.add_row(
            name,
            {"act": "acts", "propose": "proposes (post-audit arm " + name + ")", "paused": "paused"}[mode],
        )
    rows.add_row(
        "waiting",
        f"{count(document['waiting'])} decisions wait for you"
        if document["waiting"]
        else "nothing waits for you",
    )
    messages = ", ".join(f"{count(number)} {state}" for state, number in document["outbox"].items())
    rows.add_row("messages", messages or "none")
    for role in document["bindings_needed"]:
        rows.add_row("binding", f"{role} has no table: post-audit bind {role} SCHEMA.TABLE")
    _out.print(rows)


def _moment(text: str) -> Any:  # noqa: ANN401 - a datetime
    from datetime import datetime

    return datetime.fromisoformat(text)


@app.command()
def decisions(
    identifier: Annotated[int | None, typer.Argument(metavar="[ID]", help="Show this one whole.")] = None,
    step_name: Annotated[str | None, typer.Option("--step", help="Only this step's.")] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for approval.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    before: Annotated[int | None, typer.Option(help="Only those before this number (the next page).")] = None,
    as_json: _AsJson = False,
) -> int:
    """List decisions, newest first, or show one with its reasons and numbers."""
    with build() as application:
        if identifier is not None:
            return _show_decision(application, identifier, as_json=as_json)
        found: Any = application.database.call(
            "post_audit_read_decisions", before=before, limit=limit, step=step_name, waiting=waiting
        )
    if as_json:
        _print_json({"decisions": found})
        return 0
    if not found:
        _out.print("Nothing waits for approval." if waiting else "No decisions yet: post-audit run")
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("ID", "decided", "step", "state"):
        table.add_column(title, no_wrap=True)
    table.add_column("decision")
    for decision in found:
        table.add_row(
            str(decision["id"]),
            ist(_moment(decision["decided_at"])),
            decision["step"],
            decision["state"],
            Text(decision["headline"]),
        )
    _out.print(table)
    return 0


def _show_decision(application: Application, identifier: int, *, as_json: bool) -> int:
    found: Any = application.database.call("post_audit_read_decision", decision_id=identifier)
    if found is None:
        raise NotFound(f"There is no decision {identifier}.", cure="See the list: post-audit decisions")
    if as_json:
        _print_json(found)
        return 0
    _out.print(
        Text(
            f"Decision {identifier} · {found['step']} · {found['state']}"
            f" · {ist(_moment(found['decided_at']))} · {found['actor']}",
            style="dim",
        )
    )
    _out.print(Text(found["headline"], style="bold"))
    _out.print(decision_view(found, with_numbers=True))
    return 0


_Subjects = Annotated[
    list[str] | None, typer.Option("--subject", help="Only this subject of the decision; may be repeated.")
]


def _settle(function: str, identifier: int, *, as_json: bool, **arguments: object) -> int:
    """Approve, reject or undo, carry out what is left in batches, and show the decision that came of it."""
    with build() as application:
        with _progress() as bars:
            answer: Any = application.database.call(
                function, decision_id=identifier, actor=_person(), **arguments
            )
            decision = answer["decision"]
            if answer["remaining"]:
                decision = application.runner.carry_out(decision["id"], answer["remaining"], bars)
            application.deliver()
        return _show_decision(application, decision["id"], as_json=as_json)


@app.command()
def approve(identifier: _Identifier, subject: _Subjects = None, as_json: _AsJson = False) -> int:
    """Carry out what a decision proposes."""
    return _settle("post_audit_apply_approval", identifier, as_json=as_json, subjects=subject or None)


@app.command()
def reject(
    identifier: _Identifier,
    hold_days: Annotated[
        int | None, typer.Option(min=0, help="For how many days the same is not proposed again.")
    ] = None,
    as_json: _AsJson = False,
) -> int:
    """Decline what a decision proposes."""
    return _settle("post_audit_apply_rejection", identifier, as_json=as_json, hold_days=hold_days)


@app.command()
def undo(
    identifier: _Identifier,
    subject: _Subjects = None,
    hold_days: Annotated[
        int | None, typer.Option(min=0, help="For how many days the same is not done again.")
    ] = None,
    as_json: _AsJson = False,
) -> int:
    """Take a decision back: restore the former values, tell the receivers, and hold."""
    return _settle(
        "post_audit_apply_undo", identifier, as_json=as_json, subjects=subject or None, hold_days=hold_days
    )


def _set_mode(name: str, mode: str, *, as_json: bool) -> int:
    with build() as application:
        application.runner.step(name)
        answer: Any = application.database.call(
            "post_audit_apply_mode", step=name, mode=mode, actor=_person()
        )
    if as_json:
        _print_json(answer)
    else:
        _out.print(
            {
                "act": f"{name} acts from the next run on.",
                "propose": f"{name} proposes and waits for approval.",
                "paused": f"{name} is paused. Wake it: post-audit arm {name}",
            }[mode]
        )
    return 0


@app.command()
def arm(
    name: _StepName,
    propose: Annotated[bool, typer.Option("--propose", help="Only propose, and wait for approval.")] = False,
    as_json: _AsJson = False,
) -> int:
    """Let a step act by itself."""
    return _set_mode(name, "propose" if propose else "act", as_json=as_json)


@app.command()
def pause(name: _StepName, as_json: _AsJson = False) -> int:
    """Let a step rest."""
    return _set_mode(name, "paused", as_json=as_json)


@app.command()
def bind(
    role: Annotated[
        str | None, typer.Argument(help="The role, for example suppliers; all are listed when not given.")
    ] = None,
    relation: Annotated[str | None, typer.Argument(help="Your table or view, with its schema.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="OURS=THEIRS, for each column of another name; may be repeated.")
    ] = None,
    as_json: _AsJson = False,
) -> int:
    """Point a role at a table of your own, or list what each role is bound to."""
    if (role is None) != (relation is None):
        raise InputError(
            "A binding needs a role and a table.",
            cure="For example: post-audit bind suppliers public.companies --column name=title",
        )
    with build() as application:
        if role is None:
            found: Any = application.database.call("post_audit_read_bindings")
        else:
            found = [
                application.database.call(
                    "post_audit_apply_binding",
                    role=role,
                    relation=relation,
                    columns=_mapping(column or []),
                    actor=_person(),
                )
            ]
    if as_json:
        _print_json({"bindings": found})
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("role", "table", "columns of other names"):
        table.add_column(title)
    for item in found:
        table.add_row(
            item["role"],
            item["relation"] if item["bound"] else f"needed: post-audit bind {item['role']} SCHEMA.TABLE",
            Text(encode(item["columns"]) if item["columns"] else ""),
        )
    _out.print(table)
    return 0


def _mapping(columns: list[str]) -> dict[str, str]:
    mapping = {}
    for item in columns:
        ours, equals, theirs = item.partition("=")
        if not (ours and equals and theirs):
            raise InputError(
                f"--column {item} is not OURS=THEIRS.", cure="For example: --column name=company_name"
            )
        mapping[ours] = theirs
    return mapping
