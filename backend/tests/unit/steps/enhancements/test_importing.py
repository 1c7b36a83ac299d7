from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from app.post_audit.codec import to_json
from app.post_audit.errors import InputError, UnexpectedAnswer
from app.post_audit.steps.enhancements.importing import (
    dry_run_document,
    import_audit,
    parse_stream,
    store_audit,
)
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.post_audit.ports import JSON
    from app.post_audit.steps.enhancements.importing import ParsedAudit

COUNTS = dict.fromkeys(
    (
        "new",
        "recorded",
        "unchanged",
        "changed",
        "reopened",
        "closed",
        "kept",
        "gone",
        "open_before",
        "open_and_reported",
        "new_critical",
        "new_high",
    ),
    0,
)


class Recorder:
    """A database that takes everything and remembers the calls."""

    def __init__(self, *, known: bool = False) -> None:
        self.known = known
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, function: str, **arguments: object) -> JSON:
        self.calls.append((function, {name: to_json(value) for name, value in arguments.items()}))
        if function == "post_audit_apply_audit":
            return {
                "id": 5,
                "state": "received",
                "known": self.known,
                "received_at": "2025-11-09T00:00:00+00:00",
            }
        return COUNTS | {"repeated": False, "audit_id": 5}

    def describe(self) -> str:
        return "a recorder"

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def audit(read: Callable[..., ParsedAudit]) -> ParsedAudit:
    titles = ["One", "Two", "Two", "Three"]
    return read(
        {"findings": [*({"title": title, "severity": "high"} for title in titles), {"severity": "low"}]}
    )


def test_an_audit_tells_what_it_is(audit: ParsedAudit) -> None:
    assert (audit.name, audit.format, audit.source, audit.target) == (
        "report.json",
        "generic_json",
        "generic json",
        "",
    )
    assert (len(audit.findings), len(audit.different), audit.is_complete) == (4, 3, False)
    assert [f.occurrences for f in audit.different if f.title == "Two"] == [2]
    assert len(audit.content_hash) == 64
    assert audit.mapping == {"title": "title", "severity": "severity"}


def test_the_dry_run_document_has_its_shape(audit: ParsedAudit) -> None:
    document = dry_run_document([audit])
    assert list(document) == ["format", "findings", "needs_review", "errors"]
    assert document["format"] == "generic_json"
    findings: Any = document["findings"]
    assert len(findings) == 4
    assert list(findings[0]) == [
        "title",
        "severity",
        "priority",
        "status",
        "category",
        "location",
        "component",
        "rule",
        "line",
        "fingerprint",
    ]
    assert document["errors"] == [{"file": "report.json", "place": "$.findings[4]", "message": "no title"}]


def test_documents_of_several_formats_are_joined(
    audit: ParsedAudit, read: Callable[..., ParsedAudit]
) -> None:
    table = read("title,severity\nFour,low\n", "report.csv")
    document = dry_run_document([audit, table])
    assert document["format"] == "generic_csv + generic_json"


def test_a_large_audit_is_stored_in_parts(audit: ParsedAudit) -> None:
    database = Recorder()
    stored = store_audit(database, audit, target="shop", policy=EnhancementsPolicy(findings_per_call=2))
    assert (stored.id, stored.is_known) == (5, False)
    sent = [(c["position"], len(c["findings"]), c["total"], c["target"]) for _, c in database.calls]
    assert sent == [(0, 2, 3, "shop"), (2, 1, 3, "shop")]


def test_a_known_audit_is_sent_no_further(audit: ParsedAudit) -> None:
    database = Recorder(known=True)
    assert store_audit(database, audit, policy=EnhancementsPolicy(findings_per_call=1)).is_known
    assert len(database.calls) == 1
    import_audit(database, audit, policy=EnhancementsPolicy(findings_per_call=1))
    assert [name for name, _ in database.calls[1:]] == ["post_audit_apply_audit", "post_audit_apply_import"]


def test_a_dry_run_reads_only(audit: ParsedAudit) -> None:
    database = Recorder()
    assert import_audit(database, audit, dry_run=True, source="S").new == 0
    ((function, arguments),) = database.calls
    assert function == "post_audit_read_import_preview"
    assert (arguments["source"], arguments["complete"], len(arguments["findings"])) == ("S", False, 3)


def test_an_import_sends_the_last_part_with_its_confirmation(audit: ParsedAudit) -> None:
    database = Recorder()
    import_audit(database, audit, confirm=True, policy=EnhancementsPolicy(findings_per_call=2))
    assert [(name, c["position"], c.get("confirm")) for name, c in database.calls] == [
        ("post_audit_apply_audit", 0, None),
        ("post_audit_apply_import", 2, True),
    ]


def test_an_audit_without_findings_is_sent_too(read: Callable[..., ParsedAudit]) -> None:
    database = Recorder()
    store_audit(database, read({"findings": []}))
    assert database.calls[0][1]["findings"] == []


def test_too_many_findings_are_refused() -> None:
    rows = ",".join(f'{{"title": "T{number}", "severity": "low"}}' for number in range(4))
    text = f'{{"findings": [{rows}]}}'.encode()
    assert len(parse_stream(io.BytesIO(text), "x", EnhancementsPolicy(maximum_findings=4)).findings) == 4
    for policy in (EnhancementsPolicy(maximum_findings=3), EnhancementsPolicy(maximum_reported=3)):
        with pytest.raises(InputError, match="different findings, or"):
            parse_stream(io.BytesIO(text), "x", policy)


def test_an_answer_of_another_shape_is_refused(audit: ParsedAudit) -> None:
    class Broken(Recorder):
        def call(self, function: str, **arguments: object) -> JSON:
            super().call(function, **arguments)
            return ["nothing"]

    with pytest.raises(UnexpectedAnswer):
        store_audit(Broken(), audit)
