"""What a parsed audit tells of itself, and how many findings may be read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.parsing import dry_run_document, parse_stream
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.post_audit.steps.enhancements.parsing import ParsedAudit


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


def test_too_many_findings_are_refused() -> None:
    rows = ",".join(f'{{"title": "T{number}", "severity": "low"}}' for number in range(4))
    text = f'{{"findings": [{rows}]}}'.encode()
    assert len(parse_stream(io.BytesIO(text), "x", EnhancementsPolicy(maximum_findings=4)).findings) == 4
    for policy in (EnhancementsPolicy(maximum_findings=3), EnhancementsPolicy(maximum_reported=3)):
        with pytest.raises(InputError, match="different findings, or"):
            parse_stream(io.BytesIO(text), "x", policy)
