"""axe-core's JSON, of one page or as a list of pages: one finding for each rule that a page violates.

| axe says | means |
|---|---|
| `impact` critical, serious, moderate, minor | critical, high, medium, low |

`occurrences` counts the elements. What axe calls `incomplete` it could not decide, so it is no finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.json_events import ANY, Path, Started, walk
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader
from app.post_audit.steps.enhancements.readers.values import at, items, text

__all__ = ["READER"]

_SURE: Final = 90
_IMPACTS: Final = {"critical": "critical", "serious": "high", "moderate": "medium", "minor": "low"}
_KEYS: Final = (("url",), ("violations",), ("violations", ANY))
_WANTED: Final = (*_KEYS, *((ANY, *key) for key in _KEYS))
_LISTED: Final = 10


def _detect(head: Head) -> int:
    paths = head.paths
    return next(
        (
            _SURE
            for start in ((), (ANY,))
            if (*start, "testEngine", "name") in paths or (*start, "violations", ANY, "nodes") in paths
        ),
        0,
    )


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    notes.source = "axe"
    pages: dict[Path, str] = {}
    waiting: list[tuple[Path, dict[str, Any]]] = []
    is_there = False
    for path, value in walk(stream, _WANTED, name=notes.name, policy=notes.policy):
        page = path[:1] if isinstance(path[0], int) else ()
        if path[-1] == "url":
            pages[page] = text(value)
        elif isinstance(value, Started):
            is_there = True
        elif not isinstance(value, dict):
            notes.fail(f"$.violations[{path[-1]}]", "not an object")
        elif page in pages:
            yield _finding(value, pages[page])
        else:
            waiting.append((page, value))
            if len(waiting) > notes.policy.maximum_reported:
                notes.fail("$.url", "the page comes after too many violations")
                break
    for page, violation in waiting:
        yield _finding(violation, pages.get(page, ""))
    notes.target = next(iter(pages.values()), "") if len(pages) == 1 else ""
    if not is_there:
        notes.fail("$.violations", "the report has no violations, not even an empty list")


def _finding(violation: dict[str, Any], page: str) -> Finding:
    nodes = items(violation.get("nodes"))
    where = [" ".join(text(part) for part in items(at(node, "target"))) for node in nodes[:_LISTED]]
    more = f" and {len(nodes) - _LISTED} more" if len(nodes) > _LISTED else ""
    lines = [
        text(violation.get("description")),
        text(at(nodes, 0, "failureSummary")),
        f"At {', '.join(place for place in where if place)}{more}." if any(where) else "",
        text(violation.get("helpUri") or violation.get("helpUrl")),
    ]
    return make_finding(
        title=text(violation.get("help")),
        severity=_IMPACTS.get(text(violation.get("impact")), "medium"),
        description="\n\n".join(line for line in lines if line),
        category="accessibility",
        location=page,
        rule=text(violation.get("id")),
        occurrences=len(nodes),
    )


READER = Reader(name="axe", title="axe-core JSON", detect=_detect, read=_read)
