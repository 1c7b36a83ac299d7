"""Tables of findings as CSV of no known tool, with a line of names on top; comma, semicolon, tab or bar between."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO, Final

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.finding import Finding
from app.post_audit.steps.enhancements.readers.columns import finding_of_row, mapping_of, tells_of_findings
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader

__all__ = ["READER"]

_GUESS: Final = 10
_SEPARATORS: Final = (",", ";", "\t", "|")
_HEADER_LETTERS: Final = 20_000
_MOST_LINES: Final = 500_000
"""Lines of one table, empty ones too: as many take a second to pass over."""


def _header(head: Head) -> tuple[str, list[str]] | None:
    """Find the separator that gives most columns with a meaning; None where no columns are those of findings."""
    text = head.text[:_HEADER_LETTERS]
    if head.looks_like_json or text.lstrip()[:1] == "<":
        return None
    found: list[tuple[int, str, list[str]]] = []
    for separator in _SEPARATORS:
        try:
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), [])
        except csv.Error:
            continue
        mapping = mapping_of(name.strip() for name in names)
        if len(names) > 1 and tells_of_findings(mapping):
            found.append((len(mapping), separator, [name.strip() for name in names]))
    if not found:
        return None
    _, separator, names = max(found, key=lambda candidate: candidate[0])
    return separator, names


def _detect(head: Head) -> int:
    return 0 if _header(head) is None else _GUESS


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    separator, names = _header(notes.head) or (",", [])
    mapping = mapping_of(names)
    notes.mapping.update(mapping)
    lines = _Lines(io.TextIOWrapper(stream, encoding="utf-8", newline=""), notes)
    rows = csv.reader(lines, delimiter=separator, strict=True)
    try:
        next(rows)
        for row in rows:
            if rows.line_num > _MOST_LINES:
                raise InputError(
                    f"{notes.name} has more than {_MOST_LINES} lines.",
                    cure="Import it in parts, each with a --target.",
                )
            if not any(cell.strip() for cell in row):
                continue
            place = f"line {rows.line_num}"
            if len(row) < len(names) and not lines.last.endswith(("\n", "\r")):
                raise InputError(
                    f"{notes.name} was cut off: {place}, its last, has {len(row)} of {len(names)} columns.",
                    cure="Make the report again and import all of it.",
                )
            if len(row) > len(names):
                notes.fail(place, f"{len(row)} columns, {len(names)} names")
                continue
            finding = finding_of_row(dict(zip(names, row, strict=False)), mapping)
            if finding is None:
                notes.fail(place, "no title")
            else:
                yield finding
    except csv.Error as error:
        raise InputError(
            f"{notes.name} is no valid CSV at line {rows.line_num}: {error}.",
            cure="Look for a quote that is not closed; make the report again and import all of it.",
        ) from error


class _Lines:
    """The lines of a text, none beyond the limit, remembering the last one that was given."""

    def __init__(self, text: io.TextIOWrapper, notes: Notes) -> None:
        self._text = text
        self._notes = notes
        self._number = 0
        self.last = ""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        longest = self._notes.policy.maximum_text_bytes
        self.last = self._text.readline(longest)
        self._number += 1
        if len(self.last) == longest:
            raise InputError(
                f"Line {self._number} of {self._notes.name} has more than {longest} letters.",
                cure="No table of findings has such a line; look at what made it.",
            )
        if not self.last:
            raise StopIteration
        return self.last


READER = Reader(name="generic_csv", title="a CSV table of findings", detect=_detect, read=_read)
