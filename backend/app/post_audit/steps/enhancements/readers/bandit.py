"""Bandit's JSON: one finding for each result.

| Bandit says | means |
|---|---|
| `issue_severity` HIGH, MEDIUM, LOW | high, medium, low |
| UNDEFINED | low: Bandit itself does not rank it |

`issue_confidence` is told in the description and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.json_events import ANY, Path, Started, walk
from app.post_audit.steps.enhancements.lexicon import category_of, severity_of_word
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader
from app.post_audit.steps.enhancements.readers.values import at, text, whole

__all__ = ["READER"]

_SURE: Final = 90
_WANTED: Final = (("errors", ANY), ("results",), ("results", ANY))


def _detect(head: Head) -> int:
    paths = head.paths
    # "metrics" stands before "results" and may fill all of the head
    is_metrics = ("metrics", "_totals", "SEVERITY.HIGH") in paths
    return _SURE if is_metrics or ("results", ANY, "test_id") in paths else 0


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    notes.source = "Bandit"
    is_there = False
    for path, value in walk(stream, _WANTED, name=notes.name, policy=notes.policy):
        if isinstance(value, Started):
            is_there = True
        elif path[0] == "errors":
            notes.fail(
                _place(path), f"{text(at(value, 'filename'))[:200]}: {text(at(value, 'reason'))[:200]}"
            )
        elif isinstance(value, dict):
            yield _finding(value)
        else:
            notes.fail(_place(path), "not an object")
    if not is_there:
        notes.fail("$.results", "the report has no results")


def _place(path: Path) -> str:
    return f"$.{path[0]}[{path[1]}]"


def _finding(result: dict[str, Any]) -> Finding:
    rule, name = text(result.get("test_id")), text(result.get("test_name"))
    said = text(result.get("issue_text"))
    cwe = text(at(result, "issue_cwe", "id"))
    lines = [
        said,
        text(result.get("more_info")),
        f"CWE-{cwe}." if cwe else "",
        f"Bandit's confidence is {text(result.get('issue_confidence')).lower()}."
        if result.get("issue_confidence")
        else "",
    ]
    place = text(result.get("filename"))
    return make_finding(
        title=said.split("\n", 1)[0] or name,
        severity=severity_of_word(text(result.get("issue_severity"))) or "low",
        description="\n\n".join(line for line in lines if line),
        category="secrets"
        if "password" in name or "secret" in name
        else category_of(f"security {name}", place),
        location=place,
        rule=rule,
        line=whole(result.get("line_number")),
        code=_bare_code(text(result.get("code"))),
    )


def _bare_code(code: str) -> str:
    """Take the line numbers off the excerpt, so that a shifted line is the same code."""
    return "\n".join(line.strip().lstrip("0123456789").strip() for line in code.splitlines())


READER = Reader(name="bandit", title="Bandit JSON", detect=_detect, read=_read)
