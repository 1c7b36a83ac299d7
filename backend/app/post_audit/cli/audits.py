"""`post-audit import`: audit reports become tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from app.post_audit.cli.run import report_run
from app.post_audit.cli.shared import AsJson, app, build, out, person, plain_table, print_json, progress
from app.post_audit.formats import count, counted

if TYPE_CHECKING:
    from app.post_audit.ports import Database
    from app.post_audit.runner import RunReport
    from app.post_audit.steps.enhancements.importing import StoredAudit
    from app.post_audit.steps.enhancements.parsing import ParsedAudit
    from app.post_audit.steps.enhancements.tasks import ImportedAudit

__all__: list[str] = []

_CLOSES_MOST: Final = "enhancements.closes_most"
"""The code of the reason for which an import waits that would close over half of its scope."""


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
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm", help="Agree that over half of the open tasks are closed as no longer reported."
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Take in audit reports, all of them or none, and run the six steps: what was found becomes tasks.

    The same content a second time changes nothing.
    """
    from app.post_audit.steps.enhancements import queue
    from app.post_audit.steps.enhancements.importing import store_audit
    from app.post_audit.steps.enhancements.parsing import parse_files

    with progress() as bars:
        bars.say(f"Reading {len(files)} reports" if len(files) > 1 else f"Reading {files[0].name}")
        audits = parse_files(files)
    if dry_run:
        return _tell_read(audits, as_json=as_json)
    with build() as application:
        with progress() as bars:
            stored = [
                store_audit(
                    application.database, audit, source=source, target=target, show=_shown(bars.say, audit)
                )
                for audit in audits
            ]
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
        confirmed = _confirm(application.database, report, new) if confirm else []
        if confirmed:
            application.deliver()
        effects = [
            told
            for told in queue.recent_audits(application.database, limit=len(new) + 20).audits
            if told.id in new
        ]
        if as_json:
            print_json({"audits": stored, "run": report, "effects": effects, "confirmed": confirmed})
            return 1 if report.failed else 0
        _print_stored(audits, stored)
        code = report_run(application, report, as_json=False)
        for effect in reversed(effects):
            _print_effect(effect)
        return code


def _tell_read(audits: Sequence[ParsedAudit], *, as_json: bool) -> int:
    """Tell what was read from reports of which nothing is stored."""
    from app.post_audit.steps.enhancements.parsing import dry_run_document

    if as_json:
        print_json(dry_run_document(audits))
    else:
        for audit in audits:
            _print_audit(audit)
    return 0


def _print_stored(audits: Sequence[ParsedAudit], stored: Sequence[StoredAudit]) -> None:
    """Say of each report whether it is new."""
    for audit, item in zip(audits, stored, strict=True):
        known = "had been taken in before" if item.is_known else f"was taken in as audit {item.id}"
        out.print(Text(f"{audit.name} ({audit.format}, {counted(len(audit.different), 'finding')}) {known}."))


def _shown(say: Callable[[str], None], audit: ParsedAudit) -> Callable[[int, int], None]:
    return lambda sent, total: say(f"Storing {audit.name}: {count(sent)} of {counted(total, 'finding')}")


def _confirm(database: Database, report: RunReport, audits: list[int]) -> list[int]:
    """Approve those imports of these audits that wait only because they close over half; which they were."""
    wanted = {f"audit:{audit_id}" for audit_id in audits}
    confirmed: list[int] = []
    for step in report.steps:
        if step.step != "enhancements" or step.decision is None:
            continue
        subjects = [
            change["subject"]
            for change in step.decision["changes"]
            if change["state"] == "proposed"
            and change["subject"] in wanted
            and (change["needs_approval"] or {}).get("code") == _CLOSES_MOST
        ]
        if subjects:
            database.call(
                "post_audit_apply_approval",
                decision_id=step.decision["id"],
                actor=person(),
                subjects=subjects,
            )
            confirmed += [int(subject.removeprefix("audit:")) for subject in subjects]
    return confirmed


def _print_effect(effect: ImportedAudit) -> None:
    """Say what an import did, or that it waits and for whom."""
    if effect.report is None:
        out.print(Text(f"{effect.name} waits; see: post-audit decisions --waiting"))
        return
    done = effect.report
    words = ("new", "reopened", "changed", "unchanged", "closed", "kept")
    out.print(Text(f"{effect.name}: " + ", ".join(f"{count(done[word])} {word}" for word in words) + "."))
    if done["gone"]:
        out.print(Text(f"  {count(done['gone'])} closed because the report no longer has them."))
    if not effect.complete:
        out.print("  Not all of it could be read, so nothing was closed as gone.")


def _print_audit(audit: ParsedAudit) -> None:
    out.print(Text(f"{audit.name}: {audit.format}, {counted(len(audit.findings), 'finding')}", style="bold"))
    for column, field in audit.mapping.items():
        out.print(Text(f"  column {column} is read as {field}", style="dim"))
    table = plain_table("priority", "title", "place")
    for finding in audit.different:
        place = finding.location or finding.component or ""
        table.add_row(
            finding.priority, Text(finding.title), Text(f"{place}:{finding.line}" if finding.line else place)
        )
    out.print(table)
    for note in audit.errors:
        out.print(Text(f"  not read, {note.place}: {note.message}"))
