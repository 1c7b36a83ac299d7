"""JSON lists of findings of no known tool: a list of objects, or one under a name such as `findings`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from app.post_audit.steps.enhancements.finding import Finding
from app.post_audit.steps.enhancements.json_events import ANY, Path, walk
from app.post_audit.steps.enhancements.readers.columns import finding_of_row, mapping_of, tells_of_findings
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader

__all__ = ["READER"]

_GUESS: Final = 10
_SAY_FINDINGS: Final = ("findings", "issues", "vulnerabilities", "results", "alerts", "problems")
"""Names that say findings even where the list is empty."""
_MAY_BE_FINDINGS: Final = ("items", "tasks", "data")
_SHAPES: Final = 200
"""Different sets of keys whose meaning is remembered."""


def _entries(head: Head) -> Path | None:
    """Find the list whose entries are findings, as the path of an entry; None where there is none."""
    names = (*_SAY_FINDINGS, *_MAY_BE_FINDINGS)
    for path in ((ANY,), *((name, ANY) for name in names)):
        if path not in head.paths:
            continue
        keys = sorted(str(p[-1]) for p in head.paths if len(p) == len(path) + 1 and p[:-1] == path)
        if tells_of_findings(mapping_of(keys)) or (not keys and path[0] in _SAY_FINDINGS):
            return path
    return None


def _detect(head: Head) -> int:
    return 0 if _entries(head) is None else _GUESS


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    entries = _entries(notes.head) or (ANY,)
    mappings: dict[tuple[str, ...], dict[str, str]] = {}
    for path, value in walk(stream, [entries], name=notes.name, policy=notes.policy):
        place = "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
        if not isinstance(value, dict):
            notes.fail(place, "not an object")
            continue
        names = tuple(value)
        mapping = mappings.get(names)
        if mapping is None:
            mapping = mapping_of(names)
            if len(mappings) < _SHAPES:
                mappings[names] = mapping
            notes.mapping.update(mapping)
        finding = finding_of_row(value, mapping)
        if finding is None:
            notes.fail(place, "no title")
        else:
            yield finding


READER = Reader(name="generic_json", title="a JSON list of findings", detect=_detect, read=_read)
