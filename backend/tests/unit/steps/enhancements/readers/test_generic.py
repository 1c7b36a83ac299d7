"""Lists and tables of no known tool."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.readers import all_readers
from app.post_audit.steps.enhancements.readers.columns import finding_of_row, mapping_of

if TYPE_CHECKING:
    from app.post_audit.steps.enhancements.parsing import ParsedAudit

Read = Callable[..., "ParsedAudit"]


def row(**values: object) -> Any:  # noqa: ANN401 - a finding, or None where there is no title
    return finding_of_row(values, mapping_of(values))


def test_every_module_with_a_reader_is_one() -> None:
    assert [reader.name for reader in all_readers()] == [
        "axe",
        "bandit",
        "generic_csv",
        "generic_json",
        "lighthouse",
        "link_check",
        "markdown",
        "npm_audit",
        "sarif",
        "semgrep",
        "zap",
    ]


@pytest.mark.parametrize(
    ("columns", "mapping"),
    [
        (["Title", "Severity", "Colour"], {"Title": "title", "Severity": "severity"}),
        (
            ["File Path", "line_number", "Message"],
            {"File Path": "location", "line_number": "line", "Message": "title"},
        ),
        (["title", "message"], {"title": "title", "message": "description"}),
        (["Description", "Risk"], {"Description": "title", "Risk": "severity"}),
        ([], {}),
    ],
)
def test_columns_are_known_by_their_names(columns: list[str], mapping: dict[str, str]) -> None:
    assert mapping_of(columns) == mapping


def test_a_row_is_a_finding() -> None:
    found = row(
        title="Open port\nmore",
        severity="High",
        priority="P3",
        status="in progress",
        category="Network",
        url="https://shop.example/",
        cve="",
        cwe="79",
        line="12",
        estimated_hours="2.5",
        occurrences="3",
        mitigation="Close it",
        impact="Bad",
        references=["a", {"url": "b"}],
    )
    assert (found.title, found.severity, found.priority, found.status) == (
        "Open port",
        "high",
        "low",
        "in_progress",
    )
    assert (found.category, found.location, found.rule, found.line) == (
        "network",
        "https://shop.example/",
        "CWE-79",
        12,
    )
    assert (found.estimated_hours, found.occurrences) == (2.5, 3)
    assert found.description == "Impact: Bad\n\nFix: Close it\n\nReferences: a, b"


def test_a_severity_of_unknown_words_is_medium_and_told() -> None:
    found = row(title="x", severity="purple")
    assert (found.severity, found.description) == ("medium", "Severity as reported: purple")


@pytest.mark.parametrize(
    ("flags", "status", "disposition"),
    [
        ({"false_p": True}, "cancelled", "false_positive"),
        ({"duplicate": "yes"}, "cancelled", "duplicate"),
        ({"is_mitigated": True, "mitigated": "2021-01-16"}, "completed", "reported"),
        ({"mitigated": "2021-01-16"}, "completed", "reported"),
        ({"risk_accepted": "true"}, "cancelled", "accepted"),
        ({"false_p": False, "duplicate": "False", "mitigated": None, "active": False}, "pending", None),
        ({"status": "no idea"}, "pending", None),
    ],
)
def test_flags(flags: dict[str, object], status: str, disposition: str | None) -> None:
    found = row(title="x", severity="low", **flags)
    assert (found.status, found.disposition) == (status, disposition)


@pytest.mark.parametrize(
    ("endpoint", "location"),
    [
        ({"host": "a.example", "protocol": "https", "port": 8443, "path": "/x"}, "https://a.example:8443/x"),
        ({"host": "a.example"}, "a.example"),
        (["a.example", "b.example"], "a.example, b.example"),
        ([{}, 5], "5"),
        ({"other": 1}, None),
    ],
)
def test_places(endpoint: object, location: str | None) -> None:
    assert row(title="x", endpoints=endpoint).location == location


def test_findings_of_one_cwe_are_told_apart_by_their_titles() -> None:
    assert row(title="a", cwe=79).fingerprint != row(title="b", cwe=79).fingerprint
    assert (
        row(title="a", cwe=79, severity="low").fingerprint
        == row(title="A!", cwe="79", severity="high").fingerprint
    )
    assert (
        row(title="a", unique_id_from_tool="7").fingerprint
        == row(title="b", unique_id_from_tool="7").fingerprint
    )


def test_without_a_title_there_is_no_finding() -> None:
    assert row(title=" ", severity="high") is None


@pytest.mark.parametrize(
    "document",
    [
        {"findings": [{"title": "x", "severity": "low"}]},
        [{"title": "x", "severity": "low"}],
        {"meta": {"count": 1}, "issues": [{"summary": "x", "priority": "low"}]},
    ],
    ids=["under a name", "a list", "after other things"],
)
def test_lists_of_json(read: Read, document: object) -> None:
    audit = read(document)
    assert (audit.format, [finding.title for finding in audit.findings]) == ("generic_json", ["x"])


@pytest.mark.parametrize(
    "document",
    [{"data": []}, {"people": [{"name": "x", "severity": 1}]}, {"items": [{"name": "x"}]}, {}],
    ids=["an empty list that says nothing", "a name that says nothing", "people", "nothing"],
)
def test_what_says_nothing_of_findings_is_refused(read: Read, document: object) -> None:
    with pytest.raises(InputError, match="no format"):
        read(document)


def test_an_empty_list_of_findings_is_an_audit(read: Read) -> None:
    audit = read({"results": []})
    assert (audit.findings, audit.is_complete) == ((), True)


def test_entries_that_are_none_are_told(read: Read) -> None:
    audit = read({"findings": [{"title": "x", "severity": "low"}, 5, {"severity": "low"}]})
    assert [(error.place, error.message) for error in audit.errors] == [
        ("$.findings[1]", "not an object"),
        ("$.findings[2]", "no title"),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"])
def test_tables(read: Read, separator: str) -> None:
    lines = [
        ["Title", "Severity", "Description"],
        ["Port", "High", '"two\nlines"'],
        ["", "", ""],
        ["Key", "Low", "x"],
    ]
    audit = read("\r\n".join(separator.join(line) for line in lines) + "\r\n", "report.txt")
    assert audit.format == "generic_csv"
    assert [(f.title, f.severity, f.description) for f in audit.findings] == [
        ("Port", "high", "two\nlines"),
        ("Key", "low", "x"),
    ]
    assert audit.mapping == {"Title": "title", "Severity": "severity", "Description": "description"}


def test_rows_of_another_length_are_told(read: Read) -> None:
    audit = read("title,severity,url\na,low\nb,low,x,y\n,low,x\n", "r.csv")
    assert [finding.title for finding in audit.findings] == ["a"]
    assert [(error.place, error.message) for error in audit.errors] == [
        ("line 3", "4 columns, 3 names"),
        ("line 4", "no title"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("title,severity\na,low\nb", "cut off: line 3"),
        ('title,severity\n"a,low\n', "no valid CSV at line 2"),
        ("name,phone\nx,1\n", "no format"),
        ("title\nx\n", "no format"),
        ("title,severity\n" + "x" * 1_000_001, "more than 1000000 letters"),
        ('"title,severity\n', "no format"),
    ],
    ids=["cut off", "an open quote", "people", "one column", "a line without end", "an open quote on top"],
)
def test_what_is_no_table_is_refused(read: Read, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(text, "r.csv")
