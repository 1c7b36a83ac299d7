"""Markdown reports written by people, of any structure and in several languages.

The text is read as sections with lists, tables and paragraphs (`markdown_blocks`); in them mentions of findings are
looked for (`markdown_sections`), and mentions of the same finding are put together (`markdown_merge`). What is only
guessed from a sentence outside every section about findings goes to review and not into the queue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.lexicon import State
from app.post_audit.steps.enhancements.readers.markdown_blocks import Section, plain, sections_of
from app.post_audit.steps.enhancements.readers.markdown_merge import Group, grouped
from app.post_audit.steps.enhancements.readers.markdown_roles import Role, role_of
from app.post_audit.steps.enhancements.readers.markdown_sections import mentions_of
from app.post_audit.steps.enhancements.readers.markdown_verdicts import Verdict, sign_of, status_of
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader

__all__ = ["READER"]

_SURE: Final = 40
_GUESS: Final = 5
_LONGEST: Final = 500_000
_VERDICT_WORDS: Final = 3
_MOST_LINES: Final = 15_000
_MOST_MENTIONS: Final = 800
"""Each is compared with those before it: 800 take a second at worst. The longest of 40 reports has 120."""

_HEADING: Final = re.compile(r"^ {0,3}#{1,6}\s+\S", re.MULTILINE)
_UNDERLINED: Final = re.compile(r"^\S.*\n(?:={3,}|-{3,})\s*$", re.MULTILINE)
_RULE: Final = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*\|", re.MULTILINE)
_ENTRY: Final = re.compile(r"^[ \t]*(?:[-*+]|\d{1,3}[.)])\s+\S", re.MULTILINE)
_COLUMNS: Final = re.compile(r"^[^\n#|`]*(?:\w[,;\t]\w[^\n]*){2,}$")

_STATES: Final = {
    Verdict.OPEN: State("pending"),
    Verdict.PARTIAL: State("in_progress"),
    Verdict.DONE: State("completed", "reported"),
}


def _detect(head: Head) -> int:
    text = head.text
    if head.looks_like_json or text.lstrip()[:1] == "<":
        return 0
    first = next((line for line in text.splitlines() if line.strip()), "")
    if _COLUMNS.match(first):
        return 0
    entries = len(_ENTRY.findall(text[:50_000]))
    headings = len(_HEADING.findall(text[:50_000])) + len(_UNDERLINED.findall(text[:50_000]))
    if headings > 1 or (headings and entries) or _RULE.search(text):
        return _SURE
    return _GUESS if headings or entries > 1 else 0


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    text = _text(stream, notes)
    root = sections_of(text)
    notes.source = "report"
    notes.target = _title(root)
    is_fixed = _is_settled(root)
    mentions = mentions_of(root, _MOST_MENTIONS + 1)
    if len(mentions) > _MOST_MENTIONS:
        raise InputError(
            f"{notes.name} has more than {_MOST_MENTIONS} places that tell of findings.",
            cure="Import it in parts, or give the tool's own JSON or CSV.",
        )
    for group in grouped(mentions):
        finding = _finding(group, is_fixed=is_fixed)
        if any(mention.is_sure for mention in group.mentions):
            yield finding
        else:
            notes.needs_review.append(finding)


def _text(stream: BinaryIO, notes: Notes) -> str:
    data = stream.read(_LONGEST + 1)
    if len(data) > _LONGEST or data.count(b"\n") > _MOST_LINES:
        raise InputError(
            f"{notes.name} has more than {_LONGEST // 1000} kB or {_MOST_LINES} lines of text.",
            cure="No person writes a report that long; give the tool's own JSON or CSV.",
        )
    return data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _title(root: Section) -> str:
    first = root.children[0] if root.children else None
    return " ".join(plain(first.title).split())[:120] if first is not None and first.level < 3 else ""  # noqa: PLR2004 - a report's own title


def _is_settled(root: Section) -> bool:
    """Whether the report ends with a heading that says all of it is fixed ("Status: fixed")."""
    for section in root.walk():
        title = plain(section.title)
        head, colon, tail = title.partition(":")
        is_verdict = bool(colon) and len(tail.split()) <= _VERDICT_WORDS and status_of(tail) is Verdict.DONE
        is_whole = section.level in {1, 2} and role_of(head) in {None, Role.NOISE}
        if is_verdict and is_whole and sign_of(title) is not Verdict.OPEN:
            return True
    return False


def _finding(group: Group, *, is_fixed: bool) -> Finding:
    first = group.first
    status = group.status
    if is_fixed and status is Verdict.OPEN and first.role is not Role.ACTIONS:
        status = Verdict.DONE
    severity = next((m.severity or m.priority for m in group.mentions if m.severity or m.priority), None)
    priority = next((m.priority for m in group.mentions if m.priority), None)
    return make_finding(
        title=first.title,
        severity=severity or "medium",
        priority=priority,
        description="\n\n".join(dict.fromkeys(m.about for m in group.mentions if m.about)),
        state=_STATES[status],
        location=group.location,
        line=first.line,
        occurrences=1,
        estimated_hours=next((m.hours for m in group.mentions if m.hours is not None), None),
        uid="",
        is_known_by_title=True,
    )


READER = Reader(name="markdown", title="a Markdown report", detect=_detect, read=_read)
