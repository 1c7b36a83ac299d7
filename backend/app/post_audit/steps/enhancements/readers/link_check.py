"""Plain text of a link checker such as broken-link-checker: one finding for each broken address.

    Getting links from: https://example.com/suppliers
    ├─BROKEN─ https://example.com/logo.png (HTTP_404)
    Finished! 24 links found. 22 excluded. 1 broken.

Told as broken are 404, 410 and what does not answer; a server's own error (5xx) is high, the rest medium. The same
address on several pages is one finding that counts its occurrences.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader

__all__ = ["READER"]

_SURE: Final = 90
_PAGE: Final = re.compile(r"^Getting links from: (\S{1,2000})")
_BROKEN: Final = re.compile(r"^[\s├└│─|+`-]{1,40}BROKEN[\s─-]{1,40}(\S{1,2000})(?: \(([^()]{1,100})\))?")
_FINISHED: Final = re.compile(
    r"^Finished! (\d{1,9}) links? found\.(?: (\d{1,9}) excluded\.)?.* (\d{1,9}) broken\."
)
_SERVER: Final = re.compile(r"HTTP_5\d\d")
_LONGEST_LINE: Final = 10_000
_MOST_LINES: Final = 500_000


def _detect(head: Head) -> int:
    begins = sum(_PAGE.match(line) is not None for line in head.text[:20_000].splitlines()[:200])
    return _SURE if begins else 0


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    notes.source = "link check"
    page, broken, declared = "", 0, None
    lines = io.TextIOWrapper(stream, encoding="utf-8", newline=None)
    number = 0
    while line := lines.readline(_LONGEST_LINE):
        number += 1
        if number > _MOST_LINES:
            raise InputError(
                f"{notes.name} has more than {_MOST_LINES} lines.", cure="Check fewer pages at a time."
            )
        if found := _PAGE.match(line):
            page = found[1]
            notes.target = notes.target or page
        elif found := _BROKEN.match(line):
            broken += 1
            yield _finding(found[1], found[2] or "no answer", page, number)
        elif found := _FINISHED.match(line):
            declared = int(found[3])
    # The last line counts all pages; without it the check was broken off.
    if declared is None:
        notes.fail("the last line", "the check did not finish")
    elif declared != broken:
        notes.fail("the last line", f"declares {declared} broken links, and {broken} are listed")


def _finding(address: str, answer: str, page: str, line: int) -> Finding:
    return make_finding(
        title=f"Broken link: {address}",
        severity="high" if _SERVER.search(answer) else "medium",
        description=f"{address} answers {answer}. It is linked from {page}."
        if page
        else f"{address} answers {answer}.",
        category="ui",
        location=address,
        component=page,
        rule="broken-link",
        line=line,
    )


READER = Reader(name="link_check", title="a link checker's text", detect=_detect, read=_read)
