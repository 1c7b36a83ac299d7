"""From report files to findings, and from findings into the database. Nothing here decides.

`parse_files` reads reports whole or not at all; `dry_run_document` tells what was read. `store_audit` hands an audit
over to the database, where the next run of the step takes it up; `import_audit` brings it into the queue at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, Final, TypedDict

from app.post_audit.errors import InputError
from app.post_audit.ports import JSON, Database
from app.post_audit.step import parse_facts
from app.post_audit.steps.enhancements.finding import Finding, merge
from app.post_audit.steps.enhancements.held import FindingStore
from app.post_audit.steps.enhancements.json_events import walk
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.readers import reader_for
from app.post_audit.steps.enhancements.readers.reader import Head, Note, Notes
from app.post_audit.steps.enhancements.report_archive import open_reports
from app.post_audit.steps.enhancements.report_file import (
    HEAD_BYTES,
    ReportFile,
    report_of,
    scan_json,
)

__all__ = [
    "ImportReport",
    "ParsedAudit",
    "StoredAudit",
    "dry_run_document",
    "import_audit",
    "parse_files",
    "parse_report",
    "parse_stream",
    "store_audit",
]


_SAMPLE = 5_000
"""Findings after which a report is judged by what it has shown: they take a fifth of a second."""


class _Arguments(TypedDict):
    content_hash: str
    source: str
    target: str
    name: str
    format: str
    complete: bool
    total: int
    reported: int
    needs_review: list[dict[str, JSON]]
    errors: list[dict[str, str]]


def _silent(_sent: int, _total: int) -> None:
    """Nobody watches."""


_SUMMED: Final = (
    "new",
    "recorded",
    "unchanged",
    "changed",
    "reopened",
    "closed",
    "kept",
    "new_critical",
    "new_high",
    "open_and_reported",
)
_FIELDS: Final = tuple(field.name for field in fields(Finding))
_values: Final = attrgetter(*_FIELDS)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAudit:
    """An audit in the database. `is_known` when the same content was the newest of its scope already."""

    id: int
    state: str
    is_known: bool
    received_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did to the tasks of its scope, or would do.

    `new` are the tasks it made, `recorded` those that the report says are done; `unchanged` are reported as they
    were, `changed` with another place, severity or count, `reopened` again after they had been closed. `closed` holds
    what the report says is done and what it no longer reports (`gone`); `kept` are reported although a person put
    them aside. `open_before` are the tasks of the scope that were open.

    `repeated` when the same content has been imported before and nothing else since; `audit_id` is None of a dry run.
    """

    new: int
    recorded: int
    unchanged: int
    changed: int
    reopened: int
    closed: int
    kept: int
    gone: int
    open_before: int
    new_critical: int
    new_high: int
    repeated: bool
    audit_id: int | None = None

    @property
    def closes_most(self) -> bool:
        """Whether over half of the scope's open tasks would be closed as gone."""
        return self.gone * 2 > self.open_before


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
        "findings": [_listed(finding) for audit in audits for finding in audit.findings],
        "needs_review": [_listed(finding) for audit in audits for finding in audit.needs_review],
        "errors": [
            {"file": audit.name, "place": error.place, "message": error.message}
            for audit in audits
            for error in audit.errors
        ],
    }


def store_audit(  # noqa: PLR0913 - two may replace what the report says, one watches
    database: Database,
    audit: ParsedAudit,
    *,
    source: str | None = None,
    target: str | None = None,
    policy: EnhancementsPolicy | None = None,
    show: Callable[[int, int], None] = _silent,
) -> StoredAudit:
    """Hand an audit over to the database, once per content; the next run of the step takes it up.

    `source` and `target` take the place of what the report says of itself. A large one goes in parts; a part that is
    sent again changes nothing, so an upload that broke off is finished by repeating it. `show(sent, total)` is told
    of each.
    """
    arguments = _arguments(audit, source, target)
    parts = _parts(audit, policy or EnhancementsPolicy())
    first, part = next(parts)
    show(0, arguments["total"])
    stored = _stored(database.call("post_audit_apply_audit", **arguments, findings=part, position=first))
    for position, following in () if stored.is_known else parts:
        show(position, arguments["total"])
        stored = _stored(
            database.call("post_audit_apply_audit", **arguments, findings=following, position=position)
        )
    return stored


def import_audit(  # noqa: PLR0913 - two may replace what the report says, three are switches
    database: Database,
    audit: ParsedAudit,
    *,
    source: str | None = None,
    target: str | None = None,
    dry_run: bool = False,
    confirm: bool = False,
    policy: EnhancementsPolicy | None = None,
) -> ImportReport:
    """Bring an audit into the queue at once, without a decision of its own; a dry run only tells what would happen.

    Raises `StateMoved` when more than half of the scope's open tasks would be closed as gone, unless `confirm`.
    """
    arguments = _arguments(audit, source, target)
    if dry_run:
        return _preview(database, audit, arguments, policy or EnhancementsPolicy())
    limits = policy or EnhancementsPolicy()
    position = 0
    last: list[JSON] = []
    is_known = False
    for position, last in _parts(audit, limits):
        if position + limits.findings_per_call >= arguments["total"]:
            break
        if not is_known:
            answer = database.call("post_audit_apply_audit", **arguments, findings=last, position=position)
            is_known = _stored(answer).is_known
    answer = database.call(
        "post_audit_apply_import", **arguments, findings=last, position=position, confirm=confirm
    )
    return parse_facts(ImportReport, answer)


def _preview(
    database: Database, audit: ParsedAudit, arguments: _Arguments, policy: EnhancementsPolicy
) -> ImportReport:
    """Add up what each part would do; what is gone is what is open and in none of them."""
    sums: Counter[str] = Counter()
    answer: Any = None
    for _, part in _parts(audit, policy):
        answer = database.call(
            "post_audit_read_import_preview",
            source=arguments["source"],
            target=arguments["target"],
            complete=False,
            findings=part,
            content_hash=audit.content_hash,
        )
        sums.update({name: answer[name] for name in _SUMMED})
    gone = answer["open_before"] - sums["open_and_reported"] if audit.is_complete else 0
    sums.update(gone=gone, closed=gone)
    return parse_facts(ImportReport, answer | sums)


def _arguments(audit: ParsedAudit, source: str | None, target: str | None) -> _Arguments:
    return {
        "content_hash": audit.content_hash,
        "source": audit.source if source is None else source,
        "target": audit.target if target is None else target,
        "name": audit.name,
        "format": audit.format,
        "complete": audit.is_complete,
        "total": len(audit.different) + len(audit.unclear),
        "reported": len(audit.findings),
        "needs_review": [_listed(finding) for finding in audit.needs_review],
        "errors": [{"place": error.place, "message": error.message} for error in audit.errors],
    }


def _parts(audit: ParsedAudit, policy: EnhancementsPolicy) -> Iterator[tuple[int, list[JSON]]]:
    """Split the findings into calls; at least one, so that an audit without findings is told of too.

    Each part is made when it is asked for: as rows, 100,000 findings take 150 MB.
    """
    unclear = audit.unclear
    found = chain(audit.different, unclear)
    size = policy.findings_per_call
    for start in range(0, max(1, len(audit.different) + len(unclear)), size):
        yield start, [_row(finding) for finding in islice(found, size)]


def _row(finding: Finding) -> JSON:
    """A finding under the names of its fields; `dataclasses.asdict` takes ten times as long."""
    return dict(zip(_FIELDS, _values(finding), strict=True))


def _stored(answer: JSON) -> StoredAudit:
    fields = dict(answer) if isinstance(answer, dict) else {}
    return parse_facts(
        StoredAudit,
        {
            "id": fields.get("id"),
            "state": fields.get("state"),
            "is_known": fields.get("known"),
            "received_at": fields.get("received_at"),
        },
    )


def _listed(finding: Finding) -> dict[str, JSON]:
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
