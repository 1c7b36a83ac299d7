"""OWASP ZAP's reports, as JSON and as XML: one finding for each alert of each site.

| ZAP's `riskcode` | means |
|---|---|
| 3 (high), 2 (medium), 1 (low) | the same |
| 0 (informational) | low |

An alert that was marked as a false positive (`confidence` 0) is cancelled as one. The places of an alert are told in
its description; `occurrences` counts them. The same alert may stand twice for one site with other risks or texts: each
is told, and both lead to one task.

The XML is read as a stream by defusedxml: entities and document types are refused, and what is read is let go.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.json_events import ANY, Started, walk
from app.post_audit.steps.enhancements.lexicon import State, category_of
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader
from app.post_audit.steps.enhancements.readers.values import items, text, whole

__all__ = ["READER"]

_SURE: Final = 90
_RISKS: Final = {"3": "high", "2": "medium", "1": "low", "0": "low"}
_TAG: Final = re.compile(r"<[^<>]{1,80}>")
_ROOT: Final = re.compile(r"<\s*OWASPZAPReport\b")
_SITE: Final = ("site", ANY)
_WANTED: Final = (("site",), (*_SITE, "@name"), (*_SITE, "alerts"), (*_SITE, "alerts", ANY))
_LISTED: Final = 10
_DEEPEST: Final = 40
_LONGEST: Final = 2_000_000
_MOST_ELEMENTS: Final = 600_000
"""Elements of one report, which take about a second; the largest of nine real ones has 1,500."""


def _detect(head: Head) -> int:
    if head.looks_like_json:
        paths = head.paths
        return (
            _SURE if ("@programName",) in paths or (("site",) in paths and (*_SITE, "alerts") in paths) else 0
        )
    return _SURE if head.text.lstrip()[:1] == "<" and _ROOT.search(head.text[:20_000]) else 0


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    notes.source = "ZAP"
    yield from _read_json(stream, notes) if notes.head.looks_like_json else _read_xml(stream, notes)


def _read_json(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    sites: dict[int, str] = {}
    waiting: dict[int, list[dict[str, Any]]] = {}
    is_there = False
    for path, value in walk(stream, _WANTED, name=notes.name, policy=notes.policy):
        if len(path) == 1:
            is_there = True
        elif path[2] == "@name":
            sites[int(path[1])] = text(value)
        elif isinstance(value, Started):
            continue
        elif isinstance(value, dict):
            number = int(path[1])
            if number in sites:
                yield _of_json(value, sites[number])
            else:
                waiting.setdefault(number, []).append(value)
        else:
            notes.fail(f"$.site[{path[1]}].alerts[{path[3]}]", "not an object")
    for number, alerts in waiting.items():
        for alert in alerts:
            yield _of_json(alert, sites.get(number, ""))
    notes.target = next(iter(sites.values()), "") if len(sites) == 1 else ""
    if not is_there:
        notes.fail("$.site", "the report has no sites")


def _of_json(alert: dict[str, Any], site: str) -> Finding:
    places = [text(place.get("uri")) for place in items(alert.get("instances")) if isinstance(place, dict)]
    return _finding(
        {key: text(value) for key, value in alert.items()}, site, [place for place in places if place]
    )


def _read_xml(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:  # noqa: C901 - one case after another
    site, depth, sites = "", 0, set()
    stack: list[Element] = []
    size = elements = 0
    try:
        for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                depth += 1
                elements += 1
                if elements > _MOST_ELEMENTS:
                    raise InputError(
                        f"{notes.name} has more than {_MOST_ELEMENTS} elements.",
                        cure="Let ZAP report one site at a time, without requests and responses.",
                    )
                stack.append(element)
                if depth > _DEEPEST:
                    raise InputError(
                        f"{notes.name} nests deeper than {_DEEPEST} levels.",
                        cure="No report of ZAP does; look at what made it.",
                    )
                if element.tag == "site":
                    site = element.get("name", "")
                    sites.add(site)
                continue
            depth -= 1
            stack.pop()
            size += len(element.text or "")
            if size > _LONGEST:
                raise InputError(
                    f"One alert of {notes.name} has more than {_LONGEST // 1_000_000} MB.",
                    cure="Let ZAP leave requests and responses out of its report.",
                )
            if element.tag == "alertitem":
                yield _of_xml(element, site)
                size = 0
            if element.tag in {"alertitem", "site"} or "alertitem" not in {above.tag for above in stack}:
                element.clear()
                if stack:
                    stack[-1].remove(element)
    except DefusedXmlException as error:
        raise InputError(
            f"{notes.name} declares a document type or entities, which no report of ZAP does.",
            cure="Make the report again; do not open this file with other programs.",
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise InputError(
            f"{notes.name} is no valid XML: {str(error)[:120]}.",
            cure="Make the report again and import all of it.",
        ) from error
    notes.target = next(iter(sites)) if len(sites) == 1 else ""
    if not sites:
        notes.fail("OWASPZAPReport", "the report has no sites")


def _of_xml(alert: Element, site: str) -> Finding:
    values = {child.tag: (child.text or "").strip() for child in alert}
    places = [(uri.text or "").strip() for uri in alert.iter("uri")]
    return _finding(values, site, [place for place in places if place])


def _finding(alert: Mapping[str, str], site: str, places: list[str]) -> Finding:
    name = alert.get("name") or alert.get("alert") or ""
    rule = alert.get("alertRef") or alert.get("pluginid") or ""
    cwe = alert.get("cweid", "")
    different = list(dict.fromkeys(places))
    more = f" and {len(different) - _LISTED} more" if len(different) > _LISTED else ""
    lines = [
        _bare(alert.get("desc", "")),
        f"Fix: {_bare(alert['solution'])}" if alert.get("solution") else "",
        f"At {', '.join(different[:_LISTED])}{more}." if different else "",
        f"CWE-{cwe}." if cwe not in {"", "0", "-1"} else "",
        _bare(alert.get("reference", "")),
    ]
    words = f"{name} {alert.get('desc', '')[:500]}"
    guessed = category_of(name, words)
    return make_finding(
        title=_bare(name),
        severity=_RISKS.get(alert.get("riskcode", ""), "medium"),
        description="\n\n".join(line for line in lines if line),
        state=State("cancelled", "false_positive") if alert.get("confidence") == "0" else State("pending"),
        category="security" if guessed in {"general", "ui", "database", "documentation"} else guessed,
        location=site,
        rule=f"zap-{rule}" if rule else "",
        occurrences=max(whole(alert.get("count")) or 1, len(places)),
    )


def _bare(words: str) -> str:
    """Take the HTML out of ZAP's texts."""
    return " ".join(html.unescape(_TAG.sub(" ", html.unescape(words))).split())


READER = Reader(name="zap", title="OWASP ZAP JSON or XML", detect=_detect, read=_read)
