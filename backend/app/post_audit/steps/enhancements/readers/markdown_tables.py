"""Tables of a report: which column plays which part, and which rows speak of findings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_blocks import Row, Table, plain
from app.post_audit.steps.enhancements.readers.markdown_fields import hours_in, id_of, path_in, without_number
from app.post_audit.steps.enhancements.readers.markdown_roles import Role, role_of
from app.post_audit.steps.enhancements.readers.markdown_verdicts import (
    Verdict,
    sign_of,
    state_alone,
    status_of,
)
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs
from app.post_audit.steps.enhancements.readers.markdown_words import Label, has_problem, label_of, severity_in

__all__ = ["TableFinding", "rows_of"]

_NUMERIC: Final = re.compile(r"^[\s\d.,%/+:x×~<>≤≥()–—-]*$")
_CODE: Final = re.compile(r"^\W*(?:[A-Za-z]{0,6}[-. ]?\d[\w.-]*|\d{1,2}[./ -]\w{2,9}[./ -]?\d{0,4})\W*$")
_TOTAL: Final = re.compile(
    r"^(total|sum|overall|gesamt|summe|totales?|totaux|totale|totaal|कुल)\b", re.IGNORECASE
)
_DONE_HEADER: Final = re.compile(
    r"(fixed|resolved|done|closed|behoben|erledigt|corregid|resuelt|corrigé|résolu|retest)", re.IGNORECASE
)
_MOST_ROWS: Final = 1_000
"""More than a report may have findings: they are counted, and the report is refused."""
_TITLES: Final = (Label.PROBLEM, Label.TITLE, Label.ACTION)
_LAST: Final = (*_TITLES, Label.LOCATION, Label.CATEGORY, Label.DETAIL, None)
"""Where no column has words."""
_DESCRIBING: Final = re.compile(
    r"(descri|beschreib|detail|विवरण|observ|note|remark|comment|impact)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFinding:
    """A row that speaks of a finding."""

    title: str
    line: int
    about: str
    identifier: str = ""
    status: Verdict | None = None
    severity: str | None = None
    priority: str | None = None
    location: str = ""
    hours: float | None = None


def rows_of(table: Table, role: Role | None) -> list[TableFinding] | None:
    """List the rows that speak of findings; None where the table's columns say nothing of any state."""
    labels = [_column(name) for name in table.header]
    kinds = [_kind(table, place) for place in range(len(labels))]
    labels = [
        Label.STATUS
        if kind is _Kind.STATE and label in {Label.PROBLEM, Label.TITLE, Label.DETAIL, Label.FIX}
        else label
        for label, kind in zip(labels, kinds, strict=True)
    ]
    if _is_counting(table, labels):
        return []
    status = _status_column(table, labels)
    named = [label for label in labels if label is not None]
    is_telling = status is not None or bool(
        {Label.SEVERITY, Label.PRIORITY, Label.PROBLEM, Label.ACTION} & set(named)
    )
    if not is_telling and not (Label.ID in named and Label.DETAIL in named):
        many = len(table.rows) > 12 or not any(  # noqa: PLR2004 - a count of words or entries, said beside it
            has_problem(plain(cell)) for row in table.rows for cell in row.cells
        )
        if many or role not in {Role.FINDINGS, Role.ACTIONS, Role.FIXED}:
            return None
    title = _title_column(table, labels, kinds, status)
    found = []
    for row in table.rows[:_MOST_ROWS]:
        cells = row.cells + [""] * (len(labels) - len(row.cells))
        finding = _row(Row(line=row.line, cells=cells), table.header, labels, status, title, role)
        if finding is not None:
            found.append(finding)
    return found


def _column(name: str) -> Label | None:
    label = label_of(plain(name))
    if label is None:
        words = [label_of(word) for word in re.split(r"[\s/&]+", without_signs(plain(name)))]
        label = next(
            (
                found
                for found in words
                if found in {Label.STATUS, Label.SEVERITY, Label.PRIORITY, Label.COUNT}
            ),
            None,
        )
        label = label or next((found for found in words if found in {Label.PROBLEM, Label.ACTION}), None)
    return label


def _is_counting(table: Table, labels: list[Label | None]) -> bool:
    """Whether a table counts things: a column of counts, or mostly numbers beside the first column."""
    if not table.rows:
        return True
    others = [plain(cell) for row in table.rows for cell in row.cells[1:]]
    numeric = sum(bool(cell) and _NUMERIC.match(cell) is not None for cell in others)
    filled = sum(bool(cell) for cell in others)
    if filled and numeric * 5 >= filled * 4:
        return True
    first = [plain(row.cells[0]) for row in table.rows if row.cells]
    severities = sum(severity_in(cell) is not None and len(cell.split()) < 3 for cell in first)  # noqa: PLR2004 - a level's name
    is_scale = severities * 2 > len(first) and labels[:1] != [None] and len(set(first)) == len(first)
    return is_scale and Label.PROBLEM not in labels and Label.ID not in labels and Label.TITLE not in labels


def _status_column(table: Table, labels: list[Label | None]) -> int | None:
    """Find the column of states: by its name, else by signs in most of its cells."""
    named = [place for place, label in enumerate(labels) if label is Label.STATUS]
    if named:
        return (
            named[-1] if len(named) > 1 and _DONE_HEADER.search(plain(table.header[named[-1]])) else named[0]
        )
    best = None
    for place, label in enumerate(labels):
        if label not in {None, Label.FIX}:
            continue
        cells = [row.cells[place] for row in table.rows if place < len(row.cells) and row.cells[place]]
        signed = sum(
            sign_of(cell) is not None or (status_of(plain(cell)) is not None and len(plain(cell).split()) < 3)  # noqa: PLR2004 - a state's name
            for cell in cells
        )
        if place and cells and signed * 10 >= len(table.rows) * 6:
            best = place
    return best


class _Kind(Enum):
    """What most cells of a column are."""

    STATE = "states"
    SEVERITY = "severities"
    CODE = "ids, numbers, dates"
    NAME = "one or two words"
    WORDS = "words"


def _kind(table: Table, place: int) -> _Kind:
    """Tell what a column has by its cells; a title is never looked for among states, levels, ids, and dates."""
    cells = [
        plain(row.cells[place]) for row in table.rows if place < len(row.cells) and row.cells[place].strip()
    ]
    most = len(cells) * 0.6
    if not cells:
        return _Kind.CODE
    if sum(state_alone(cell) is not None for cell in cells) >= most:
        return _Kind.STATE
    if sum(severity_in(cell) is not None and len(cell.split()) < 3 for cell in cells) >= most:  # noqa: PLR2004 - a level's name
        return _Kind.SEVERITY
    if sum(_CODE.match(cell) is not None or _NUMERIC.match(cell) is not None for cell in cells) >= most:
        return _Kind.CODE
    return _Kind.NAME if sum(len(cell.split()) for cell in cells) < len(cells) * 2 else _Kind.WORDS


def _length(table: Table, place: int) -> int:
    return sum(len(row.cells[place]) for row in table.rows if place < len(row.cells))


def _title_column(table: Table, labels: list[Label | None], kinds: list[_Kind], status: int | None) -> int:
    free = [place for place in range(len(labels)) if place != status and labels[place] is not Label.STATUS]
    telling = [place for place in free if kinds[place] in {_Kind.WORDS, _Kind.NAME}]
    unnamed = [place for place in telling if labels[place] is None]
    worded = [place for place in unnamed if kinds[place] is _Kind.WORDS]
    # of "Control | Requirement" the one that says it in words, and not the one that names a kind
    told = sorted(telling, key=lambda place: (kinds[place] is _Kind.NAME, place))
    best = [
        *(place for wanted in _TITLES for place in told if labels[place] is wanted),
        *sorted(worded, key=lambda place: (-_length(table, place), place)),
        *unnamed,
        *(p for p in telling if labels[p] is Label.DETAIL and _DESCRIBING.search(table.header[p])),
        *(place for wanted in _LAST for place in free if labels[place] is wanted),
    ]
    return best[0] if best else 0


def _row(  # noqa: C901, PLR0911, PLR0912, PLR0913, PLR0917 - the parts of a table
    row: Row, header: list[str], labels: list[Label | None], status: int | None, title: int, role: Role | None
) -> TableFinding | None:
    cells = [plain(cell) for cell in row.cells]
    by: dict[Label, str] = {}
    for place, label in enumerate(labels):
        if label is not None and place != status and place < len(cells) and label not in by:
            by[label] = cells[place]
    name = (
        without_signs(without_number(cells[title]))
        if not re.fullmatch(r"[\d.]+\s+\S.*", cells[title])
        else without_signs(cells[title])
    )
    if len(name) < 2 or _TOTAL.match(name):  # noqa: PLR2004 - a dash
        return None
    if severity_in(name) and len(name.split()) < 3 and severity_in(name) == severity_in(cells[0]):  # noqa: PLR2004 - a level's name
        return None
    verdict = None
    if status is not None:
        verdict = status_of(cells[status])
        if verdict is Verdict.GOOD and (
            _DONE_HEADER.search(plain(header[status])) or role in {Role.ACTIONS, Role.FIXED}
        ):
            verdict = Verdict.DONE
        if (
            verdict is None
            and cells[status]
            and not severity_in(cells[status])
            and role not in {Role.FINDINGS, Role.ACTIONS, Role.FIXED}
        ):
            return None
    if verdict in {Verdict.GOOD, Verdict.NONE} or (role is Role.GOOD and verdict is None):
        return None
    severity = severity_in(by.get(Label.SEVERITY, ""))
    priority = severity_in(by.get(Label.PRIORITY, ""))
    if severity is None and status is not None:
        severity = severity_in(cells[status]) if verdict is None else None
    if (
        verdict is None
        and severity is None
        and priority is None
        and role not in {Role.FINDINGS, Role.ACTIONS, Role.FIXED}
    ):
        if Label.PROBLEM not in by and Label.ACTION not in by:
            return None
        if not by.get(Label.PROBLEM, by.get(Label.ACTION, "")):
            return None
    identifier = by.get(Label.ID, "")
    identifier = identifier if re.search(r"[A-Za-z]", identifier) else ""
    own, rest = id_of(name)
    if own and rest:
        identifier, name = identifier or own, rest
    coded = id_of(identifier)[0] if identifier else ""
    location = by.get(Label.LOCATION, "")
    return TableFinding(
        title=_titled(name, cells, labels, status, title),
        line=row.line,
        about=" | ".join(cell for cell in cells if cell),
        identifier=coded or identifier,
        status=verdict,
        severity=severity,
        priority=priority,
        location=path_in(location) or path_in(" ".join(row.cells)) or location[:200],
        hours=hours_in(by.get(Label.EFFORT, "")),
    )


def _titled(name: str, cells: list[str], labels: list[Label | None], status: int | None, title: int) -> str:
    """Add what is wrong to a name that only says where: the words of its state or its notes."""
    if labels[title] is Label.PROBLEM or has_problem(name) or len(name.split()) > 6:  # noqa: PLR2004 - it says it itself
        return name
    for place, label in enumerate(labels):
        if (
            place not in {status, title}
            and label is Label.DETAIL
            and has_problem(cells[place])
            and role_of(cells[place]) is None
        ):
            return f"{name}: {cells[place]}"
    return name
