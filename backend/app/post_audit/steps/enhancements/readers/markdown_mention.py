"""A place of a report that speaks of a finding, and what holds for the entries around it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_blocks import Item, plain
from app.post_audit.steps.enhancements.readers.markdown_fields import (
    hours_in,
    id_of,
    is_role_only,
    label_and_value,
    path_in,
    without_number,
)
from app.post_audit.steps.enhancements.readers.markdown_roles import Role
from app.post_audit.steps.enhancements.readers.markdown_states import without_lead_state
from app.post_audit.steps.enhancements.readers.markdown_verdicts import Verdict, status_of
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs
from app.post_audit.steps.enhancements.readers.markdown_words import Label, label_of, severity_in

__all__ = ["SENTENCE", "Context", "Mention", "heading_severity", "mention_of", "number_of", "shortened"]


@dataclass(slots=True, kw_only=True)
class Mention:
    """A place of the report that speaks of a finding.

    `container` is the list, table or section that it is one of; `about` is all that is said there. `status` is None
    where it is only implied.
    """

    title: str
    line: int
    container: int
    role: Role | None
    about: str = ""
    identifier: str = ""
    status: Verdict | None = None
    severity: str | None = None
    priority: str | None = None
    location: str = ""
    hours: float | None = None
    context: str = ""
    is_sure: bool = True
    is_property: bool = False
    is_guessed: bool = False
    """Whether its section's part was told by the entries and not by the heading."""
    number: str = ""
    parts: tuple[str, ...] = ()
    lines: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What holds for the entries of a section or list."""

    role: Role | None = None
    severity: str | None = None
    status: Verdict | None = None
    heading: str = ""
    container: int = 0
    is_good_unit: bool = False
    is_guessed: bool = False
    is_tracked: bool = False
    """Whether the entries begin with states: a tick before another of them says that it is done."""
    is_untold: bool = False
    """Whether no heading of the report announces findings: then those that announce nothing else have them."""
    level: int = 0


_NEXT: Final = re.compile(r"^\W*(next|todo|pending|in progress|wip|open|now|later|soon)\W", re.IGNORECASE)
SENTENCE: Final = re.compile(r"(?<=[.!?।])\s+")
_CRITERION: Final = re.compile(r"^\W*(\d{1,2}(?:\.\d{1,2}){2})\b")
"""A number of three parts, as criteria of WCAG and chapters of standards have: it names the same thing everywhere."""
_TITLE: Final = 160


def heading_severity(title: str) -> str | None:
    """Read a severity that a heading gives to all below it: "High priority", "Critical", "[Low] ..."."""
    bare = without_number(title)
    return severity_in(bare, is_free=True) or (
        severity_in(f"[{bare}]", is_free=True) if is_role_only(bare) else None
    )


def mention_of(  # noqa: PLR0913 - one case after another
    text: str,
    line: int,
    context: Context,
    raw: str,
    *,
    status: Verdict | None = None,
    item: Item | None = None,
) -> Mention:
    """Make a mention out of an entry or paragraph."""
    bare = without_number(plain(text))
    identifier, named = id_of(bare)
    severity, priority, location, hours = severity_in(bare, is_free=True), None, path_in(raw), hours_in(bare)
    lines = [line]
    about = plain(raw)
    for child in item.children if item is not None else ():
        label, value = label_and_value(child.text)
        lines.append(child.line)
        about = f"{about}\n{plain(child.text)}"
        if label is Label.SEVERITY:
            severity = severity_in(plain(value)) or severity
        elif label is Label.PRIORITY:
            priority = severity_in(plain(value)) or priority
        elif label is Label.LOCATION:
            location = location or path_in(child.text) or plain(value)
        elif label is Label.EFFORT:
            hours = hours_in(value)
    title = _lead(named or bare, raw)
    if context.is_good_unit or (context.role is Role.GOOD and context.heading):
        title = f"{context.heading}: {title}"
    return Mention(
        title=shortened(title),
        is_property=context.is_good_unit,
        is_guessed=context.is_guessed,
        parts=tuple(path_in(child.text) for child in item.children) if item is not None else (),
        line=line,
        container=context.container,
        role=context.role,
        about=about,
        identifier=identifier,
        status=status if status is not None else context.status,
        severity=severity or context.severity,
        priority=priority,
        location=location,
        hours=hours,
        context=context.heading,
        lines=lines,
    )


_LEAD: Final = re.compile(
    r"^(?:\d+[.)]\s*)?[^\w*_`]{0,4}(?:\*\*|__)(.{3,120}?)(?:\*\*|__)\s*(?:[:–—-]\s*)?(.*)$"
)


def _lead(bare: str, raw: str) -> str:
    """Choose the words that name it: bold ones at its beginning, else its first sentence."""
    text = without_signs(without_lead_state(bare))
    found = _LEAD.match(raw.strip())
    if found:
        lead = without_signs(without_number(plain(found[1]))).strip(" :.-–—")
        rest = without_signs(plain(found[2]))
        is_telling = len(lead.split()) > 1 or not rest
        if (
            is_telling
            and not is_role_only(lead)
            and label_of(lead) is None
            and status_of(lead) is not Verdict.DONE
        ):
            _, named = id_of(lead)
            lead = named or lead
            return lead if len(lead.split()) > 2 or not rest else f"{lead}: {rest}"  # noqa: PLR2004 - too short alone
    text = _NEXT.sub("", text) if ":" in text[:14] else text
    text = re.sub(r"^[\[(][^\[\]()]{2,20}[\])]\s*[:–—-]?\s*", "", text) or text
    head, colon, rest = text.partition(":")
    if (
        colon
        and rest.strip()
        and (severity_in(head) or status_of(head) or label_of(head))
        and len(head.split()) < 3  # noqa: PLR2004 - a count of words or entries, said beside it
    ):
        text = rest.strip()
    return SENTENCE.split(text.strip())[0].rstrip(".:")


def shortened(title: str) -> str:
    """Cut a title to 160 letters, without the marks at its ends."""
    title = " ".join(title.split()).strip(" -–—:|*_")
    return title if len(title) <= _TITLE else title[: _TITLE - 1].rstrip() + "…"


def number_of(title: str) -> str:
    """Read a number of three parts that a title begins with, as criteria of WCAG have; empty without one."""
    found = _CRITERION.match(title)
    return found[1] if found else ""
