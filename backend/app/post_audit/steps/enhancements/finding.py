"""A finding: one thing that an audit says is wrong, in one shape for all tools."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from app.post_audit.ports import JSON
from app.post_audit.steps.enhancements.fingerprint import fingerprint
from app.post_audit.steps.enhancements.lexicon import OPEN, SEVERITIES, State, category_of

__all__ = ["Finding", "clean", "clean_line", "make_finding", "merge"]

_TITLE_LENGTH = 200
_DESCRIPTION_LENGTH = 2_000
_NAME_LENGTH = 500
_LARGEST_LINE = 2_000_000_000
_LONGEST_ESTIMATE = 99_999.0

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What a database or a terminal chokes on: control characters, halves of surrogate pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding. Texts are clean (no control characters) and of bounded length.

    `severity` is what the tool says, `priority` how soon it is to be done (the same unless the report says
    otherwise); both critical, high, medium or low. `status` is one of the four states of a task, `disposition` the
    finer one. `estimated_hours` only where the report states them. `occurrences` counts how often one report lists it.
    """

    title: str
    severity: str
    fingerprint: str
    description: str = ""
    priority: str = "medium"
    status: str = "pending"
    disposition: str | None = None
    category: str = "general"
    location: str | None = None
    component: str | None = None
    rule: str | None = None
    line: int | None = None
    occurrences: int = 1
    estimated_hours: float | None = None

    def as_json(self) -> dict[str, JSON]:
        """Give all fields under their names, as the database takes them."""
        return asdict(self)


def make_finding(  # noqa: PLR0913 - one argument for each thing that a report may say
    *,
    title: str,
    severity: str,
    description: str = "",
    priority: str | None = None,
    state: State = OPEN,
    category: str | None = None,
    location: str = "",
    component: str = "",
    rule: str = "",
    line: int | None = None,
    occurrences: int = 1,
    estimated_hours: float | None = None,
    uid: str = "",
    code: str = "",
    is_known_by_title: bool = False,
) -> Finding:
    """Clean what a reader found, guess what it does not say, and make its fingerprint.

    `uid` is the tool's own lasting id, `code` the piece of code pointed at. `is_known_by_title` where the rule alone
    is too broad to tell findings apart. Without a title the rule or the place stands for it.
    """
    rule, component, location = (clean_line(text, _NAME_LENGTH) for text in (rule, component, location))
    title = clean_line(title, _TITLE_LENGTH) or rule or location or "Finding without a title"
    description = clean(description, _DESCRIPTION_LENGTH)
    return Finding(
        title=title,
        description=description,
        severity=severity,
        priority=priority or severity,
        status=state.status,
        disposition=state.disposition,
        category=clean_line(category or "", _NAME_LENGTH) or category_of(rule, title, location, description),
        location=location or None,
        component=component or None,
        rule=rule or None,
        line=line if line is not None and 0 < line < _LARGEST_LINE else None,
        occurrences=max(1, min(occurrences, _LARGEST_LINE)),
        estimated_hours=_hours(estimated_hours),
        fingerprint=fingerprint(
            uid=clean_line(uid, _NAME_LENGTH),
            rule=rule,
            place=location,
            component=component,
            code=clean(code, _DESCRIPTION_LENGTH),
            title=title if is_known_by_title or not rule else "",
        ),
    )


def clean(text: str, longest: int) -> str:
    """Take out what no database or terminal bears, and cut at `longest` characters."""
    # most texts are printable but for their line ends: told in a tenth of the time
    is_clean = text.isprintable() or text.replace("\n", "").isprintable()
    text = (text if is_clean else _CONTROL.sub("", text)).strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def clean_line(text: str, longest: int) -> str:
    """Clean a text that is one line: white space of any kind and length is one space, accents are composed."""
    # Bounded before the slow work: a hostile title may have a million characters.
    if not text:
        return ""
    bounded = text[: longest * 4]
    if bounded.isprintable():
        # of white space, only the space itself is printable
        line = " ".join(bounded.split()) if "  " in bounded else bounded.strip()
    else:
        line = " ".join(_CONTROL.sub("", bounded).split())
    if not line.isascii():
        line = clean(unicodedata.normalize("NFC", line), longest)
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """Put findings of one fingerprint together, in an order that does not depend on theirs.

    The first in the file (smallest line, then title) stands for all; the worst severity and priority count; it is
    closed only where all are.
    """
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.fingerprint, []).append(finding)
    return [_merged(group) for _, group in sorted(groups.items())]


def _merged(group: list[Finding]) -> Finding:
    if len(group) == 1:
        return group[0]
    is_open = [finding for finding in group if finding.status in {"pending", "in_progress"}]
    first = min(is_open or group, key=lambda f: (f.line or math.inf, f.title, f.description, f.status))
    return replace(
        first,
        severity=min((f.severity for f in group), key=SEVERITIES.index),
        priority=min((f.priority for f in group), key=SEVERITIES.index),
        occurrences=min(sum(f.occurrences for f in group), _LARGEST_LINE),
    )


def _hours(hours: float | None) -> float | None:
    if hours is None or not math.isfinite(hours) or not 0 <= hours <= _LONGEST_ESTIMATE:
        return None
    return round(hours, 2)
