"""Commands that run steps: `run`, `step`, `serve`."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from app.post_audit.cli.report import print_run
from app.post_audit.cli.shared import AsJson, DryRun, StepName, app, build, out, print_json, progress
from app.post_audit.codec import to_json
from app.post_audit.formats import count

if TYPE_CHECKING:
    from app.post_audit.compose import Application
    from app.post_audit.runner import RunReport

__all__ = ["report_run"]


def report_run(application: Application, report: RunReport, *, as_json: bool) -> int:
    """Tell of a run in words or as one document; return the exit code."""
    from app.post_audit.cli.demo import print_verdict
    from app.post_audit.demonstration import confusion

    place = application.database.describe()
    verdict = None
    if report.marketplace == "demonstration" and report.origin != "preview":
        verdict = confusion(application.database)
    if as_json:
        document: Any = to_json(report)
        print_json({**document, "database": place, "demonstration": verdict})
        return 1 if report.failed else 0
    print_run(out, report, place=place, is_embedded=application.is_embedded)
    if verdict is not None:
        out.print(
            Text("\nWhat was planted in the demonstration, and what the steps found of it:", style="bold")
        )
        print_verdict(out, verdict)
    return 1 if report.failed else 0


def _run(names: list[str] | None, *, dry_run: bool, as_json: bool) -> int:
    from app.post_audit.protocol import PostAuditProtocol

    # the report tells of failures; the log has the details
    with build(terminal_level=logging.CRITICAL) as application:
        loaded = None
        with progress() as bars:
            if names is None:
                bars.say("Looking for a marketplace")
                loaded = application.prepare_first_run()
            report = PostAuditProtocol(application).run_steps(names, dry_run=dry_run, progress=bars)
        if loaded is not None:
            rows = count(sum(loaded.rows.values()))
            note = f"The database was empty, so the demonstration was loaded into it first: {rows} rows."
            report = replace(report, notes=(note, *report.notes))
        return report_run(application, report, as_json=as_json)


@app.command()
def run(dry_run: DryRun = False, as_json: AsJson = False) -> int:
    """Run the six steps once, and print what was decided and why."""
    return _run(None, dry_run=dry_run, as_json=as_json)


@app.command()
def step(name: StepName, dry_run: DryRun = False, as_json: AsJson = False) -> int:
    """Run one step alone."""
    return _run([name], dry_run=dry_run, as_json=as_json)


@app.command()
def serve(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port; 8000 when not given.")] = None,
) -> int:
    """Serve pages and API on port 8000 until stopped; without POST_AUDIT_SECRET for this machine alone."""
    from app.post_audit.web.server import serve as serve_application

    with build() as application:
        return serve_application(application, port=port or application.settings.port)
