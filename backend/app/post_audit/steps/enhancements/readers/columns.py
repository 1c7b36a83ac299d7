"""Lists of findings in columns or keys of any name: which column means what, and a finding out of a row.

The mapping is guessed from the names alone and kept, so that a person can see it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.lexicon import State, category_of, severity_of_word, state_of_word
from app.post_audit.steps.enhancements.readers.values import at, items, number, text, whole

__all__ = ["finding_of_row", "has_title", "mapping_of", "tells_of_findings"]

# Names in lower case without separators; those of a field stand in the order of trust.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    field: tuple(names.split())
    for field, names in {
        "title": "title name summary subject headline finding issue issuetitle problem vulnerability vulnerabilityname "
        "alert testname check issuetext message",
        "description": "description details detail body text longdescription issuetext message explanation",
        "severity": "severity risk risklevel severitylevel level criticality issueseverity threat",
        "priority": "priority prio urgency",
        "status": "status state resolution",
        "category": "category area group class",
        "location": "filepath file path filename sourcefile location url uri endpoints endpoint page pageurl address "
        "link",
        "line": "line linenumber lineno startline row",
        "component": "componentname component packagename package module modulename library dependency service",
        "rule": "ruleid rule checkid testid vulnerabilityids vulnerabilityid vulnid cves cve code cwes cwe cweid",
        "uid": "uniqueidfromtool uniqueid uid guid vulnuniqueidfromtool",
        "hours": "estimatedhours estimatehours efforthours hours",
        "occurrences": "occurrences nboccurences nboccurrences count",
        "fix": "mitigation recommendation remediation solution fix suggestion",
        "impact": "impact",
        "references": "references reference moreinfo",
        "falsepositive": "falsepositive falsep",
        "duplicate": "duplicate isduplicate",
        "mitigated": "ismitigated mitigated",
        "accepted": "riskaccepted accepted",
    }.items()
}
_FLAGS: Final = {
    "falsepositive": State("cancelled", "false_positive"),
    "duplicate": State("cancelled", "duplicate"),
    "mitigated": State("completed", "reported"),
    "accepted": State("cancelled", "accepted"),
}
_TELLING: Final = frozenset(
    {"severity", "priority", "description", "rule", "location", "line", "status", "fix"}
)
_NO: Final = frozenset({"", "false", "no", "0", "n", "none", "null"})
_LISTED: Final = 10
_PLACE_KEYS: Final = ("url", "uri", "file_path", "path", "host", "name", "value", "id")


def mapping_of(columns: Iterable[str]) -> dict[str, str]:
    """Tell each column that means something: {column: field}. Columns of unknown names are left out."""
    fields = {name: field for field, names in reversed(tuple(_NAMES.items())) for name in names}
    found: dict[str, str] = {}
    for column in columns:
        field = fields.get(_bare(column))
        if field is not None:
            found[column] = field
    titles = sorted(
        (c for c, field in found.items() if field == "title"), key=lambda c: _NAMES["title"].index(_bare(c))
    )
    for column in titles[1:]:
        # beside a better title, a message describes
        if _bare(column) in _NAMES["description"]:
            found[column] = "description"
    if not titles:
        # no better name: the description's first line is the title
        described = next((column for column, field in found.items() if field == "description"), None)
        if described is not None:
            found[described] = "title"
    return found


def has_title(mapping: Mapping[str, str]) -> bool:
    """Whether rows of these columns can be findings at all."""
    return "title" in mapping.values()


def tells_of_findings(mapping: Mapping[str, str]) -> bool:
    """Whether columns are those of findings and not of people or products: a title, and what goes with one."""
    return has_title(mapping) and not _TELLING.isdisjoint(mapping.values())


def finding_of_row(row: Mapping[str, Any], mapping: Mapping[str, str]) -> Finding | None:
    """Make a finding out of a row; None where it has no title."""
    values = _by_field(row, mapping)
    title = _first(values, "title")
    if not title:
        return None
    said = _first(values, "severity")
    severity = severity_of_word(said)
    rule = _first(values, "rule")
    # A column of CWEs has bare numbers.
    rule = f"CWE-{rule}" if re.fullmatch(r"[1-9]\d{0,4}", rule) else "" if rule == "0" else rule
    location = _first(values, "location")
    description = _description(values, title, said if severity is None else "")
    severity = severity or "medium"
    return make_finding(
        title=title.split("\n", 1)[0],
        severity=severity,
        description=description,
        priority=severity_of_word(_first(values, "priority")),
        state=_state(values),
        category=_first(values, "category").lower() or category_of(rule, title, location, description),
        location=location,
        component=_first(values, "component"),
        rule=rule,
        line=whole(_first(values, "line")),
        occurrences=whole(_first(values, "occurrences")) or 1,
        estimated_hours=number(_first(values, "hours")),
        uid=_first(values, "uid"),
        is_known_by_title=True,
    )


def _description(values: Mapping[str, list[str]], title: str, unknown_severity: str) -> str:
    """Put what describes it together; a severity of unknown words is kept here, in its own words."""
    said = _first(values, "description")
    parts = [
        ("", "" if said == title else said),
        ("Impact: ", _first(values, "impact")),
        ("Fix: ", _first(values, "fix")),
        ("References: ", _first(values, "references")),
        ("Severity as reported: ", unknown_severity),
    ]
    return "\n\n".join(label + words for label, words in parts if words)


def _by_field(row: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, list[str]]:
    """Collect the values of each field, those of the most trusted column first."""
    values: dict[str, list[tuple[int, str]]] = {}
    for column, field in mapping.items():
        found = _written(row.get(column))
        if found:
            values.setdefault(field, []).append((_rank(column, field), found))
    return {field: [found for _, found in sorted(pairs)] for field, pairs in values.items()}


def _first(values: Mapping[str, list[str]], field: str) -> str:
    return next(iter(values.get(field, ())), "")


def _state(values: Mapping[str, list[str]]) -> State:
    """Read the state: a flag that is set (a date counts as set), else the word for it, else open."""
    for field, state in _FLAGS.items():
        if _first(values, field).lower() not in _NO:
            return state
    return state_of_word(_first(values, "status")) or State("pending")


def _written(value: Any) -> str:  # noqa: ANN401 - a JSON value
    """Write a value on one line: the entries of a list one after another, of an object what names it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        host, path = text(value.get("host")), text(value.get("path"))
        if host:
            protocol, port = text(value.get("protocol")), text(value.get("port"))
            beginning = f"{protocol}://{host}" if protocol else host
            return beginning + (f":{port}" if port else "") + (f"/{path.lstrip('/')}" if path else "")
        return next((found for key in _PLACE_KEYS if (found := text(at(value, key)))), "")
    if isinstance(value, list):
        return ", ".join(found for item in items(value)[:_LISTED] if (found := _written(item)))
    return text(value)


@lru_cache(maxsize=1024)
def _rank(column: str, field: str) -> int:
    """How much a column is trusted to be its field, the most first."""
    names, bare = _NAMES[field], _bare(column)
    return names.index(bare) if bare in names else len(names)


@lru_cache(maxsize=1024)
def _bare(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", column.casefold())
