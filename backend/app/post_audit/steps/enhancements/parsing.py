"""From report files to findings: read whole or not at all, by the reader that knows the format.

`parse_files` reads reports; `dry_run_document` tells what was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from app.post_audit.errors import InputError
from app.post_audit.ports import JSON
from app.post_audit.steps.enhancements.finding import Finding, merge
from app.post_audit.steps.enhancements.held import FindingStore
from app.post_audit.steps.enhancements.json_events import walk
from app.post_audit.steps.enhancements.json_scan import scan_json
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.readers import reader_for
from app.post_audit.steps.enhancements.readers.reader import Head, Note, Notes
from app.post_audit.steps.enhancements.report_archive import open_reports
from app.post_audit.steps.enhancements.report_file import HEAD_BYTES, ReportFile, report_of

__all__ = [
    "ParsedAudit",
    "dry_run_document",
    "finding_in_short",
    "parse_files",
    "parse_report",
    "parse_stream",
]

_SAMPLE = 5_000
"""Findings after which a report is judged by what it has shown: they take a fifth of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAudit:
    """One report, read.

    `findings` are listed as the report lists them, with what repeats; `different` merges those of one fingerprint.
    `source` is the tool and `target` what it looked at: together the scope within which missing findings are closed,
    and only when `is_complete`. `content_hash` is the SHA-256 of the file. `mapping` tells which column was read as
    what, where that was guessed.
    """

    name: str
    content_hash: str
    format: str
    source: str
    target: str
    is_complete: bool
    findings: Sequence[Finding]
    different: Sequence[Finding]
    needs_review: tuple[Finding, ...]
    errors: tuple[Note, ...]
    mapping: dict[str, str]

    @property
    def unclear(self) -> tuple[Finding, ...]:
        """What is too unclear for the queue, once each: it waits there for a person to confirm or to dismiss it."""
        if not self.needs_review:
            return ()
        certain = {finding.fingerprint for finding in self.different}
        return tuple(
            replace(finding, status="pending", disposition="review")
            for finding in merge(self.needs_review)
            if finding.fingerprint not in certain
        )


def parse_files(paths: Iterable[Path], policy: EnhancementsPolicy | None = None) -> list[ParsedAudit]:
    """Read every file, or none: `InputError` names the first that cannot be read, the place and the cure."""
    limits = policy or EnhancementsPolicy()
    parsed: list[ParsedAudit] = []
    for path in paths:
        parsed.extend(parse_report(report, limits) for report in open_reports(path, limits))
    return parsed


def parse_stream(file: IO[bytes], name: str, policy: EnhancementsPolicy | None = None) -> ParsedAudit:
    """Read a report that came in over the network; `file` is seekable. Raises `InputError`."""
    limits = policy or EnhancementsPolicy()
    return parse_report(report_of(file, name, limits), limits)


def parse_report(report: ReportFile, policy: EnhancementsPolicy) -> ParsedAudit:
    """Choose the reader by content and read. Raises `InputError`."""
    head = Head(name=report.name, text=report.head)
    if head.looks_like_json:
        scan_json(report.stream(), report.name, policy)
        if report.size <= HEAD_BYTES:
            # A small mistake near the beginning is to be named, and not to hide the format.
            for _ in walk(report.stream(), (), name=report.name, policy=policy):
                pass
    reader = reader_for(head)
    notes = Notes(head=head, policy=policy, source=reader.name.replace("_", " "))
    store = FindingStore()
    for number, finding in enumerate(reader.read(report.stream(), notes), start=1):
        store.add(finding)
        if number == _SAMPLE:
            _check_sample(report, store.count_different(), policy)
        if number > policy.maximum_reported or (
            number > policy.maximum_findings and store.count_different() > policy.maximum_findings
        ):
            raise InputError(
                f"{report.name} has more than {policy.maximum_findings} different findings, or "
                f"{policy.maximum_reported} in all.",
                cure="Let the tool report fewer rules or folders at a time, each with a --target of its own.",
            )
    if not len(store) and notes.errors:
        first = notes.errors[0]
        raise InputError(
            f"{report.name} holds no finding that can be read; at {first.place}: {first.message}.",
            cure="Make the report again and import all of it.",
        )
    findings, different = store.all_and_different()
    return ParsedAudit(
        name=Path(report.name).name,
        content_hash=report.sha256,
        format=reader.name,
        source=notes.source,
        target=notes.target,
        is_complete=notes.is_complete and not notes.needs_review,
        findings=findings,
        different=different,
        needs_review=tuple(notes.needs_review),
        errors=tuple(notes.errors),
        mapping=notes.mapping,
    )


def _check_sample(report: ReportFile, different: int, policy: EnhancementsPolicy) -> None:
    """Refuse early what is bound to be too much: one thing over and over, or more findings than may be."""
    expected = _SAMPLE * report.size // max(1, report.file.tell())
    if expected > policy.maximum_reported * 2 or (different * 100 < _SAMPLE and expected > _SAMPLE * 4):
        raise InputError(
            f"{report.name} has about {expected} findings, {different} different ones among the first {_SAMPLE}; "
            f"at most {policy.maximum_reported} are read.",
            cure="Let the tool report fewer rules or folders at a time, each with a --target of its own.",
        )


def dry_run_document(audits: Sequence[ParsedAudit]) -> dict[str, JSON]:
    """Tell what was read, as `import FILE --dry-run --json` prints it; several formats are joined by ` + `."""
    return {
        "format": " + ".join(sorted({audit.format for audit in audits})),
        "findings": [finding_in_short(finding) for audit in audits for finding in audit.findings],
        "needs_review": [finding_in_short(finding) for audit in audits for finding in audit.needs_review],
        "errors": [
            {"file": audit.name, "place": error.place, "message": error.message}
            for audit in audits
            for error in audit.errors
        ],
    }


def finding_in_short(finding: Finding) -> dict[str, JSON]:
    """Tell what identifies a finding and how bad it is, without its description."""
    return {
        "title": finding.title,
        "severity": finding.severity,
        "priority": finding.priority,
        "status": finding.status,
        "category": finding.category,
        "location": finding.location,
        "component": finding.component,
        "rule": finding.rule,
        "line": finding.line,
        "fingerprint": finding.fingerprint,
    }
