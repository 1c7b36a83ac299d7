"""Small things inside a line or section of a report: numbers, ids, labels with their values, paths, hours."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_blocks import (
    Listing,
    Paragraph,
    Section,
    Table,
    plain,
)
from app.post_audit.steps.enhancements.readers.markdown_roles import has_role_words_only
from app.post_audit.steps.enhancements.readers.markdown_verdicts import Verdict, sign_of, status_of
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs
from app.post_audit.steps.enhancements.readers.markdown_words import Label, label_of, severity_in

__all__ = [
    "Fields",
    "fields_of",
    "hours_in",
    "id_of",
    "is_pair_table",
    "is_role_only",
    "label_and_value",
    "path_in",
    "split_title",
    "without_number",
]

_NUMBER: Final = re.compile(
    r"^(?:\(?\d{1,3}(?:\.\d{1,3}){1,4}[.)]?|\(?\d{1,3}(?:[.)]|\ufe0f?\u20e3)|[A-Za-z][.)]|[ivxIVX]{1,5}[.)]|#\d{1,4}[.):]?|[०-९]+[.)])(?:\s+|(?=[A-Z*]))[:–—-]?\s*"  # noqa: RUF001 - digits and colons of other scripts are meant
)
_NAMED_ID: Final = re.compile(
    r"^\W{0,3}(?P<word>finding|issue|vulnerability|vuln|problem|bug|observation|defect|recommendation|risk|gap|barrier|weakness|"
    r"concern|violation|item|befund|feststellung|mangel|schwachstelle|fehler|empfehlung|hallazgo|problema|vulnerabilidad|"
    r"constat|problème|vulnérabilité|anomalie|achado|vulnerabilidade|riscontro|bevinding|समस्या|कमी|त्रुटि|निष्कर्ष)"
    r"(?:\s*#\s*|\s*(?:no\.?|nr\.?|n[°º]|number)\s*|\s+|-)(?P<id>[A-Za-z]{0,3}-?[\d०-९]{1,4}(?:\.\d{1,3})?|(?-i:[A-Z]))(?![\w])\s*[\])]?\s*[:.)–—-]*\s*",  # noqa: RUF001 - digits and colons of other scripts are meant
    re.IGNORECASE,
)
_CODED_ID: Final = re.compile(
    r"^\W{0,3}[\[(]?(?P<id>[A-Z][A-Z0-9]{0,9}(?:[-_][A-Z0-9]{1,8}){0,2}[-_ ]?\d{1,4}(?:\.\d{1,2})?|\d{4}-\d{1,3})"
    r"[\])]?(?=[\s:.)–—\]-]|$)\s*[:.)–—|-]*\s*"
)
_NO_ID: Final = re.compile(
    r"^(HTTP|HTTPS|WCAG|RFC|SHA|TLS|SSL|ISO|UTF|MD|ES|H|IPV|IE|EC|S|OAUTH|PHP|CSS|AES|RSA|TOP|OWASP|"
    r"AA|API|SOC|PCI|CWE|V|VERSION|WEEK|PHASE|DAY|Q|STEP|SPRINT|PART|LINE|ERC|ERC20|EIP|"
    r"UDP|TCP|PORT|MVP|NODE|PYTHON|WINDOWS|IOS|ANDROID|HTML|K|CIS|NIST|SP)[-_ ]?\d",
    re.IGNORECASE,
)
_LEVEL: Final = re.compile(r"[PS][0-4]")
"""A level that many findings share, and no id."""
_LABELLED: Final = re.compile(
    r"^[^\w*_\[]{0,4}(?:\*\*|__)?([^*_:|]{1,48}?)(?:\*\*|__)?\s*[:：](?:\*\*|__)?\s*(.*)$"  # noqa: RUF001 - digits and colons of other scripts are meant
)
_DASHED: Final = re.compile(r"^[^\w*_\[]{0,4}(?:\*\*|__)([^*_:|]{1,48}?)(?:\*\*|__)\s*[–—-]\s*(.*)$")
_INLINE_LABEL: Final = re.compile(r"(?:\*\*|__)([^*_:|]{2,40}?)(?::(?:\*\*|__)|(?:\*\*|__)\s*:)\s*([^*|]+)")
_CODE: Final = re.compile(r"`([^`\n]{1,200})`")
_URL: Final = re.compile(r"https?://[^\s)>\]|`\"']{3,300}")
_PATH: Final = re.compile(
    r"(?<![\w.])(?:/[\w\[\].{}:*?=&%-]+(?:/[\w\[\].{}:*?=&%-]*)*|\.{1,2}/[\w@./\[\]-]+|"
    r"[\w@.-]+(?:/[\w@.\[\]-]+)*/[\w@\[\]-]+\.\w{1,5}|[\w-]+\."
    r"(?:py|js|jsx|ts|tsx|sol|go|rs|"
    r"java|rb|php|css|scss|html|vue|json|ya?ml|toml|sql|sh|cs|cpp|c|h|kt|swift|env|conf|md|xml))(?::\d+)?(?![\w])"
)
_HOURS: Final = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:[-–—to]+\s*(\d+(?:\.\d+)?)\s*)?(hours?|hrs?|h|stunden?|"
    r"std|horas?|heures?|ore|uur|घंटे|days?|d|pd|tage?|días?|dias?|jours?|"
    r"giorni|dagen|दिन|weeks?|wochen?|semanas?|semaines?|सप्ताह|minutes?|mins?|minuten)(?![\w])",
    re.IGNORECASE,
)
_UNITS: Final = (
    (("hour", "hr", "h", "stund", "std", "hora", "heure", "ore", "uur", "घंटे"), 1.0),
    (("day", "d", "pd", "tag", "día", "dia", "jour", "giorn", "dage", "दिन"), 8.0),
    (("week", "woche", "seman", "semai", "सप्ताह"), 40.0),
    (("min",), 1 / 60),
)


@dataclass(slots=True, kw_only=True)
class Fields:
    """What the labels of a section say of it."""

    labels: set[Label] = field(default_factory=set)
    status: Verdict | None = None
    severity: str | None = None
    priority: str | None = None
    location: str = ""
    hours: float | None = None
    fixes: list[str] = field(default_factory=list)

    @property
    def has_status(self) -> bool:
        """Whether a state stands there."""
        return self.status is not None

    def take(self, label: Label, value: str, name: str = "") -> None:
        """Take one label with its value, the first of each kind."""
        self.labels.add(label)
        shown = plain(value)
        if label is Label.STATUS:
            found = status_of(shown)
            if found is Verdict.GOOD and (
                "resol" in name.casefold() + shown.casefold() or "response" in name.casefold()
            ):
                found = Verdict.DONE
            # the better known state wins: "Result: fail", then "Status: fixed"
            if found is not None and (self.status is None or found is Verdict.DONE):
                self.status = found
        elif label is Label.SEVERITY:
            self.severity = self.severity or severity_in(shown)
        elif label is Label.PRIORITY:
            self.priority = self.priority or severity_in(shown)
        elif label is Label.LOCATION:
            self.location = self.location or path_in(value) or shown[:200]
        elif label is Label.EFFORT:
            self.hours = self.hours if self.hours is not None else hours_in(shown)
        elif label is Label.FIX:
            self.fixes.append(value)


def fields_of(section: Section) -> Fields:  # noqa: C901, PLR0912 - one case after another
    """Collect the labels of a section: of its lines, list entries, tables of pairs and headings that are labels."""
    fields = Fields()
    for block in section.blocks:
        if isinstance(block, Paragraph):
            _of_lines(block.lines, fields)
        elif isinstance(block, Listing):
            for item in block.items:
                label, value = label_and_value(item.text)
                if label is not None:
                    nested = " ".join(child.text for child in item.children)
                    fields.take(label, value or nested, item.text)
        elif is_pair_table(block):
            for cells in (block.header, *(row.cells for row in block.rows)):
                label = label_of(plain(cells[0]))
                if label is not None:
                    fields.take(label, cells[1])
    for child in section.children:
        label = label_of(without_number(plain(child.title)).rstrip(":"))
        if label is not None:
            first = child.blocks[0] if child.blocks else None
            value = ""
            if isinstance(first, Paragraph):
                value = first.text
            elif isinstance(first, Listing) and first.items:
                value = first.items[0].text
            fields.take(label, value, child.title)
            if label not in {Label.STATUS, Label.SEVERITY}:
                _nested(child, fields)
    return fields


def _nested(section: Section, fields: Fields) -> None:
    for block in section.blocks:
        if isinstance(block, Paragraph):
            _of_lines(block.lines, fields)


def _of_lines(lines: list[tuple[int, str]], fields: Fields) -> None:
    for _, text in lines:
        pairs = [(name, value) for name, value in _INLINE_LABEL.findall(text) if label_of(name) is not None]
        if len(pairs) > 1:
            for name, value in pairs:
                label = label_of(name)
                if label is not None:
                    fields.take(label, value.strip(" ·;,—–-"), name)
            continue
        parts = [part for part in re.split(r"\s+[|·•;]\s+", text) if part]
        for part in parts if len(parts) > 1 and all(":" in p for p in parts) else [text]:
            label, value = label_and_value(part)
            if label is not None:
                fields.take(label, value, part)


@lru_cache(maxsize=8192)
def label_and_value(text: str) -> tuple[Label | None, str]:
    """Split `**Label:** value`; (None, "") where the words before the colon are no label."""
    for pattern in (_LABELLED, _DASHED):
        found = pattern.match(text.strip())
        if found:
            label = label_of(found[1])
            if label is not None:
                return label, found[2].strip()
    return None, ""


def is_pair_table(table: Table) -> bool:
    """Whether a table is a list of labels with their values."""
    if len(table.header) != 2 or not table.rows:  # noqa: PLR2004 - label and value
        return False
    cells = [row.cells[0] for row in table.rows if row.cells]
    known = sum(label_of(plain(cell)) is not None for cell in cells)
    return known >= 2 and known * 2 >= len(cells)  # noqa: PLR2004 - one may be chance


@lru_cache(maxsize=8192)
def without_number(text: str) -> str:
    """Take signs and a number or letter off the beginning of a title."""
    bare = text.strip()
    for _ in range(3):
        stripped = re.sub(r"^[^\w\[(#`/\"'<]+", "", bare)
        shorter = _NUMBER.sub("", stripped, count=1)
        if shorter == bare or not shorter:
            return stripped or bare
        bare = shorter
    return bare


@lru_cache(maxsize=8192)
def id_of(title: str) -> tuple[str, str]:
    """Split an id off a title ("H-01: Reentrancy", "Issue 3 - ..."): (id, rest); ("", "") without one."""
    coded = _CODED_ID.match(title)
    if (
        coded
        and not _LEVEL.fullmatch(coded["id"])
        and (not _NO_ID.match(coded["id"]) or re.match(r"^\W{0,3}[\[(]?[HS]-\d", title))
    ):
        return re.sub(r"[-_ ]+", "-", coded["id"]), title[coded.end() :].strip()
    named = _NAMED_ID.match(title)
    if named and not title[named.end() :].startswith((".", "%")):
        return f"{named['word'].casefold()} {named['id'].upper()}", title[named.end() :].strip()
    return "", ""


def split_title(title: str) -> tuple[str, str]:
    """Split a state off a title: what stands behind a sign, a dash or in brackets at its end."""
    for position, letter in enumerate(title):
        if position > 2 and sign_of(letter) is not None:  # noqa: PLR2004 - a sign at the beginning is no tail
            tail = title[position:].strip()
            return title[:position].strip(" -–—:|"), tail
    found = re.search(
        r"\s*(?:[\[(]([^\[\]()]{2,40})[\])]|\s[–—-]+\s*([^–—]{2,30})|:\s*([^:]{2,24}))\s*$", title
    )
    if found:
        tail = next(part for part in found.groups() if part)
        if status_of(tail) is not None and len(tail.split()) <= 4:  # noqa: PLR2004 - a tag and no sentence
            return title[: found.start()].strip(), tail
        if severity_in(tail) is not None and len(tail.split()) <= 3:  # noqa: PLR2004 - as above
            return title[: found.start()].strip(), ""
    begun = re.match(r"^\s*[\[(]([^\[\]()]{2,24})[\])]\s*[:–—-]?\s*(.+)$", title)
    if begun and (severity_in(begun[1]) or status_of(begun[1])):
        return begun[2].strip(), begun[1] if status_of(begun[1]) and not severity_in(begun[1]) else ""
    return title, ""


@lru_cache(maxsize=8192)
def is_role_only(title: str) -> bool:
    """Whether a title names a part of the report ("Critical issues", "Phase 2: fixes") and no single thing."""
    return has_role_words_only(without_signs(without_number(title)))


def path_in(text: str) -> str:
    """Find the path or address that a text points at: in code letters, else a URL, else a path."""
    for code in _CODE.findall(text):
        if _PATH.fullmatch(code.strip()) or _URL.fullmatch(code.strip()):
            return str(code.strip())
    found = _URL.search(text) or _PATH.search(plain(text))
    return found[0].rstrip(".,;:") if found else ""


def hours_in(text: str) -> float | None:
    """Read an estimate in hours; of a range the upper end. A day has 8, a week 40."""
    found = _HOURS.search(text)
    if not found:
        return None
    number = float(found[2] or found[1])
    unit = found[3].casefold()
    return next((number * factor for names, factor in _UNITS if unit.startswith(names)), None)
