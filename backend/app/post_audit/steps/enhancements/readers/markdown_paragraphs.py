"""Mentions of findings in paragraphs: labelled lines, lines with a state or a sign, numbered ones, and prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_blocks import Paragraph, plain
from app.post_audit.steps.enhancements.readers.markdown_fields import (
    id_of,
    label_and_value,
    split_title,
    without_number,
)
from app.post_audit.steps.enhancements.readers.markdown_headings import BAD
from app.post_audit.steps.enhancements.readers.markdown_mention import SENTENCE, Context, Mention, mention_of
from app.post_audit.steps.enhancements.readers.markdown_roles import Role
from app.post_audit.steps.enhancements.readers.markdown_verdicts import (
    Verdict,
    is_told_fixed,
    sign_of,
    status_of,
)
from app.post_audit.steps.enhancements.readers.markdown_words import (
    Label,
    has_problem,
    has_strong_problem,
    is_action,
)

__all__ = ["is_numbered", "mentions_of_paragraph"]

_COUNTING: Final = re.compile(
    r"(following|below|above|in total|this section|this report|these issues|see the|summar|we (found|identified) \d+|"
    r"\d+ (issues|findings|problems|vulnerabilities|items) (were|was|in|have)|folgende|siguientes|suivant|निम्नलिखित)"
)
_ORDINAL: Final = re.compile(
    r"^\W*(?:\(?\d{1,3}[).:]|(?:first|second|third|fourth|fifth|sixth|finally|lastly|next|another|erstens|zweitens|drittens|"
    r"primero|segundo|tercero)\b)",
    re.IGNORECASE,
)
_COLON_LEAD: Final = re.compile(r"^\*\*[^*]{2,40}(?::\*\*|\*\*\s*:)|^\W*(?i:total|overall)\b")
_REMARK: Final = 25


def mentions_of_paragraph(block: Paragraph, context: Context, *, has_lists: bool) -> Iterator[Mention]:  # noqa: C901, PLR0912 - one case after another
    """Find what a paragraph mentions; where its section `has_lists`, prose frames them and is none."""
    if context.role is Role.NOISE or _is_metadata(block, context):
        return
    taken = False
    for line, text in block.lines:
        label, value = label_and_value(text)
        if label is Label.ACTION and value and not context.is_good_unit:
            yield mention_of(value, line, replace(context, role=Role.ACTIONS, status=None), text)
            taken = True
        elif label is Label.PROBLEM and value:
            yield mention_of(value, line, context, text)
            taken = True
        elif label is None and sign_of(text[:4]) is Verdict.OPEN and len(plain(text).split()) > 1:
            if context.role is not Role.GOOD or not text.rstrip().endswith(":"):
                yield mention_of(text, line, context, text)
                taken = True
        elif label is not None:
            taken = True
    if taken:
        return
    told = [(line, found) for line, text in block.lines if (found := _told_line(plain(text)))]
    if told and len(told) == len(block.lines):
        for line, (verdict, words) in told:
            if verdict in BAD:
                yield mention_of(words, line, context, words, status=verdict)
        return
    text = plain(block.text)
    identifier, rest = id_of(without_number(text))
    state = _told_state(block)
    if state is Verdict.NONE:
        return
    if identifier and rest and context.role is not Role.GOOD:
        yield mention_of(text, block.line, context, block.text, status=state)
    elif context.role in {Role.FINDINGS, Role.ACTIONS, Role.FIXED} and not text.endswith(":"):
        first = SENTENCE.split(text)[0]
        if _COLON_LEAD.match(block.text) and not has_strong_problem(text):
            return
        numbered = is_numbered(block)
        if numbered or (
            not has_lists
            and not _COUNTING.search(text.casefold())
            and (has_problem(first) or is_action(first) or len(text.split()) <= _REMARK)
        ):
            yield mention_of(text, block.line, context, block.text, status=state)


_TOLD: Final = re.compile(r"^[\[(]?([A-Z]{2,8}|N/A)[\])]?[\s:–—-]{1,4}(\S.*)$")


def _told_line(text: str) -> tuple[Verdict, str] | None:
    """Read a line that begins with a state in capitals: "FAIL Port 22 is open"."""
    found = _TOLD.match(text)
    state = status_of(found[1]) if found else None
    return (state, found[2]) if found and state is not None else None


def is_numbered(block: Paragraph) -> bool:
    """Whether a paragraph is one of several that are told apart by numbers or words in bold letters."""
    return _ORDINAL.match(plain(block.text)) is not None or block.text.startswith("**")


def _told_state(block: Paragraph) -> Verdict | None:
    """Read the state of a finding told in a paragraph: behind its title, or in a sentence of its own."""
    _, tail = split_title(plain(block.lines[0][1]))
    state = status_of(tail) if tail else None
    if state is None and is_told_fixed(plain(block.text)):
        return Verdict.DONE
    return Verdict.DONE if state is Verdict.GOOD else state


def _is_metadata(block: Paragraph, context: Context) -> bool:
    """Whether a paragraph frames the report: lines such as "Date: ...", or a count of what follows."""
    labelled = sum(_LINE_LABEL.match(text) is not None for _, text in block.lines)
    if re.match(r"^\W*total\b", block.text, re.IGNORECASE):
        return True
    return (
        labelled > 1
        and (labelled == len(block.lines))
        and (context.container == 0 or context.level < 2 or _is_footer(block))  # noqa: PLR2004 - a count of words or entries, said beside it
    )


def _is_footer(block: Paragraph) -> bool:
    return not any(
        label_and_value(text)[0] in {Label.PROBLEM, Label.ACTION, Label.SEVERITY} for _, text in block.lines
    )


_LINE_LABEL: Final = re.compile(r"^[^\w*]{0,4}(?:\*\*|__)[^*_]{2,60}(?::(?:\*\*|__)|(?:\*\*|__)\s*:)")
