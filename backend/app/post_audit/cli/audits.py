"""`post-audit import`: audit reports become tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.run import report_run
from app.post_audit.cli.shared import AsJson, app, out, print_json, progress
from app.post_audit.compose import build
from app.post_audit.formats import count
from app.post_audit.steps.enhancements.importing import (
    ParsedAudit,
    dry_run_document,
    parse_files,
    store_audit,
)

__all__: list[str] = []


@app.command("import")
def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Reports of audit tools.")],
    source: Annotated[
        str | None, typer.Option(help="Which tool it is from; read from the report when not given.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="What was audited; read from the report when not given.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what is read; store nothing.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Take in audit reports, all of them or none, and run the six steps: what was found becomes tasks.

    The same content a second time changes nothing.
    """
    audits = parse_files(files)
    if dry_run:
        if as_json:
            print_json(dry_run_document(audits))
        else:
            for audit in audits:
                _print_audit(audit)
        return 0
    with build() as application:
        stored = [store_audit(application.database, audit, source=source, target=target) for audit in audits]
        # also one whose run ended before it took it up
        new = [item.id for item in stored if item.state == "received"]
        if not new:
            if as_json:
                print_json({"audits": stored, "run": None})
            else:
                out.print("These reports have been taken in before; nothing is new.")
            return 0
        with progress() as bars:
            report = application.run(kind="audit", tick=f"audit:{new[-1]}", progress=bars)
        if as_json:
            print_json({"audits": stored, "run": report})
            return 1 if report.failed else 0
        for audit, item in zip(audits, stored, strict=True):
            known = "had been taken in before" if item.is_known else f"was taken in as audit {item.id}"
            out.print(Text(f"{audit.name} ({audit.format}, {count(len(audit.different))} findings) {known}."))
        return report_run(application, report, as_json=False)


def _print_audit(audit: ParsedAudit) -> None:
    out.print(Text(f"{audit.name}: {audit.format}, {count(len(audit.findings))} findings", style="bold"))
    for column, field in audit.mapping.items():
        out.print(Text(f"  column {column} is read as {field}", style="dim"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("priority", "title", "place"):
        table.add_column(title)
    for finding in audit.different:
        place = finding.location or finding.component or ""
        table.add_row(
            finding.priority, Text(finding.title), Text(f"{place}:{finding.line}" if finding.line else place)
        )
    out.print(table)
    for note in audit.errors:
        out.print(Text(f"  not read, {note.place}: {note.message}"))
