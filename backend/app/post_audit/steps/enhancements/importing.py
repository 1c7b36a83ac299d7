"""Findings into the database. Nothing here decides.

`store_audit` hands an audit over to the database, where the next run of the step takes it up; `import_audit` brings it
into the queue at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Final, TypedDict

from app.post_audit.ports import JSON, Database
from app.post_audit.step import parse_facts
from app.post_audit.steps.enhancements.finding import Finding
from app.post_audit.steps.enhancements.parsing import ParsedAudit, finding_in_short
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

__all__ = ["ImportReport", "StoredAudit", "import_audit", "store_audit"]


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
        "needs_review": [finding_in_short(finding) for finding in audit.needs_review],
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
