"""Semgrep's own JSON: one finding for each result.

| Semgrep says | means |
|---|---|
| CRITICAL, HIGH, MEDIUM, LOW | the same |
| ERROR, WARNING, INFO, INVENTORY | high, medium, low, low |

A result that is ignored in the code (`is_ignored`) is cancelled as a false positive. An error of the scan makes the
report incomplete, so nothing is closed by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.fingerprint import normal_place
from app.post_audit.steps.enhancements.json_events import ANY, Started, walk
from app.post_audit.steps.enhancements.lexicon import State, category_of, severity_of_word
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader
from app.post_audit.steps.enhancements.readers.values import at, items, text, whole

__all__ = ["READER"]

_SURE: Final = 90
_WANTED: Final = (("errors", ANY), ("results",), ("results", ANY))
_ERRORS: Final = frozenset({"error", "ERROR"})
_NO_FINGERPRINT: Final = "requires login"
"""What Semgrep writes in place of a fingerprint to who has no account."""


def _detect(head: Head) -> int:
    paths = head.paths
    if ("results", ANY, "check_id") in paths and ("results", ANY, "extra") in paths:
        return _SURE
    if ("results",) not in paths or ("errors",) not in paths or ("results", ANY, "test_id") in paths:
        return 0
    # without results: the newer ones tell their version and paths, the oldest had these two keys alone
    is_only = {path[0] for path in paths} == {"results", "errors"}
    is_newer = ("paths", "scanned") in paths or ("skipped_rules",) in paths
    is_empty = not any(len(path) > 2 and path[0] == "results" for path in paths)  # noqa: PLR2004 - a key of an entry
    return _SURE if is_newer or (is_only and is_empty) else 0


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    notes.source = "Semgrep"
    is_there = False
    for path, value in walk(stream, _WANTED, name=notes.name, policy=notes.policy):
        place = f"$.{path[0]}" + (f"[{path[1]}]" if len(path) > 1 else "")
        if isinstance(value, Started):
            is_there = True
        elif path[0] == "errors":
            if text(at(value, "level")) in _ERRORS:
                notes.fail(place, text(at(value, "message"))[:200] or "the scan had an error")
        elif isinstance(value, dict):
            yield _finding(value)
        else:
            notes.fail(place, "not an object")
    if not is_there:
        notes.fail("$.results", "the report has no results")


def _finding(result: dict[str, Any]) -> Finding:
    rule, place = text(result.get("check_id")), text(result.get("path"))
    extra = result.get("extra")
    message = text(at(extra, "message"))
    metadata = at(extra, "metadata")
    cwes = [text(cwe) for cwe in items(at(metadata, "cwe"))] or [text(at(metadata, "cwe"))]
    references = ", ".join(text(reference) for reference in items(at(metadata, "references"))[:5])
    lines = [message, *cwes, references, f"Proposed: {text(at(extra, 'fix'))}" if at(extra, "fix") else ""]
    said = text(at(metadata, "category"))
    fingerprint = text(at(extra, "fingerprint"))
    guessed = category_of(rule, message, "cwe" if any(cwes) else "")
    return make_finding(
        title=message.split("\n", 1)[0].split(". ", 1)[0].rstrip(".") or rule,
        severity=severity_of_word(text(at(extra, "severity"))) or "medium",
        description="\n\n".join(line for line in lines if line),
        state=State("cancelled", "false_positive") if at(extra, "is_ignored") is True else State("pending"),
        category=guessed if guessed != "general" or said not in {"security", "performance"} else said,
        location=place,
        rule=rule,
        line=whole(at(result, "start", "line")),
        uid=f"semgrep {rule} {normal_place(place)} {fingerprint}"
        if fingerprint and fingerprint != _NO_FINGERPRINT
        else "",
        code=_code(text(at(extra, "lines"))),
    )


def _code(lines: str) -> str:
    return "" if lines == _NO_FINGERPRINT else lines


READER = Reader(name="semgrep", title="Semgrep JSON", detect=_detect, read=_read)
