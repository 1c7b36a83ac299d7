"""Lighthouse's JSON: one finding for each audit that did not pass, which is a score below 0.9.

| Lighthouse says | means |
|---|---|
| score below 0.5, weight of 7 or more in its category | high |
| score below 0.5 | medium |
| score from 0.5 to below 0.9 | low |

Audits that inform, do not apply or have to be done by hand have no score that counts. An audit that failed to run
makes the report incomplete, so nothing is closed by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.json_events import ANY, Started, walk
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader
from app.post_audit.steps.enhancements.readers.values import at, items, number, text

__all__ = ["READER"]

_SURE: Final = 95
_WANTED: Final = (
    ("finalDisplayedUrl",),
    ("finalUrl",),
    ("requestedUrl",),
    ("runtimeError", "message"),
    ("audits",),
    ("audits", ANY),
    ("categories", ANY, "auditRefs", ANY),
)
_LARGE: Final = frozenset({"headings", "debugData", "screenshot", "nodes", "treemap-data"})
_MODES: Final = frozenset({"binary", "numeric", "metricSavings", "opportunity"})
_PASSED: Final = 0.9
_FAILED: Final = 0.5
_WEIGHTY: Final = 7
_LISTED: Final = 10
_MOST_AUDITS: Final = 2_000
_CATEGORIES: Final = {
    "performance": "performance",
    "accessibility": "accessibility",
    "seo": "seo",
    "best-practices": "quality",
    "pwa": "ui",
}


def _detect(head: Head) -> int:
    return _SURE if ("lighthouseVersion",) in head.paths else 0


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    notes.source = "Lighthouse"
    failed: dict[str, dict[str, Any]] = {}
    weights: dict[str, tuple[float, str]] = {}
    page, is_there = "", False
    for path, value in walk(stream, _WANTED, name=notes.name, policy=notes.policy, passing_over=_LARGE):
        match path:
            case ("runtimeError", "message"):
                raise InputError(
                    f"{notes.name} holds no audit: Lighthouse says {text(value)[:200]!r}.",
                    cure="Make Lighthouse reach the page, and import its report.",
                )
            case ("audits",):
                is_there = isinstance(value, Started)
            case ("audits", str(name)):
                if _is_failed(value, name, notes):
                    failed[name] = value
                if len(failed) > _MOST_AUDITS:
                    notes.fail("$.audits", f"more than {_MOST_AUDITS} audits failed")
                    break
            case ("categories", str(category), "auditRefs", _):
                name = text(at(value, "id"))
                # an audit may count in two categories; the one that gives it most weight tells what it is about
                weights[name] = max(
                    weights.get(name, (-1.0, "")), (number(at(value, "weight")) or 0.0, category)
                )
            case _:
                page = page or text(value)
    notes.target = page
    if not is_there:
        notes.fail("$.audits", "the report has no audits")
    for name, audit in failed.items():
        weight, category = weights.get(name, (0.0, ""))
        yield _finding(name, audit, page, weight, category)


def _is_failed(audit: Any, name: str, notes: Notes) -> bool:  # noqa: ANN401 - a JSON value
    if not isinstance(audit, dict):
        notes.fail(f"$.audits.{name}", "not an object")
        return False
    mode = text(audit.get("scoreDisplayMode"))
    if mode == "error":
        notes.fail(f"$.audits.{name}", text(audit.get("errorMessage"))[:200] or "the audit did not run")
    score = number(audit.get("score"))
    return mode in _MODES and score is not None and score < _PASSED


def _finding(name: str, audit: dict[str, Any], page: str, weight: float, category: str) -> Finding:
    score = number(audit.get("score")) or 0.0
    entries = items(at(audit, "details", "items"))
    where = [text(at(entry, "node", "selector")) or text(at(entry, "url")) for entry in entries[:_LISTED]]
    more = f" and {len(entries) - _LISTED} more" if len(entries) > _LISTED else ""
    lines = [
        text(audit.get("description")),
        f"Measured: {text(audit.get('displayValue'))}." if audit.get("displayValue") else "",
        f"At {', '.join(place for place in where if place)}{more}." if any(where) else "",
    ]
    severity = "low" if score >= _FAILED else "high" if weight >= _WEIGHTY else "medium"
    return make_finding(
        title=text(audit.get("title")),
        severity=severity,
        description="\n\n".join(line for line in lines if line),
        category=_CATEGORIES.get(category, "performance" if "insight" in name else "quality"),
        location=page,
        rule=name,
        occurrences=max(1, len(entries)),
    )


READER = Reader(name="lighthouse", title="Lighthouse JSON", detect=_detect, read=_read)
