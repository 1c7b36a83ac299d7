"""SARIF 2.1.0, what CodeQL, Semgrep, gitleaks, ESLint and most other code scanners write.

A result is one finding for each of its locations. Its rule and file are looked up where they stand apart; a result
that comes before them waits until its run has ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.finding import Finding, make_finding
from app.post_audit.steps.enhancements.fingerprint import normal_place
from app.post_audit.steps.enhancements.json_events import ANY, Started, walk
from app.post_audit.steps.enhancements.lexicon import (
    OPEN,
    State,
    category_of,
    severity_of_level,
    severity_of_word,
)
from app.post_audit.steps.enhancements.readers.reader import Head, Notes, Reader
from app.post_audit.steps.enhancements.readers.sarif_rules import (
    CWE,
    DRIVER_RULES,
    LONGEST_PART,
    SEVERITY_LINE,
    Rule,
    Run,
    message_of,
    rule_of,
    severity_by_score,
)
from app.post_audit.steps.enhancements.readers.values import at, items, text, whole

__all__ = ["READER"]

_SURE: Final = 95
_DRIVER: Final = ("runs", ANY, "tool", "driver")
_WANTED: Final = (
    ("version",),
    ("runs",),
    ("runs", ANY, "results"),
    ("runs", ANY, "results", ANY),
    ("runs", ANY, "artifacts", ANY),
    ("runs", ANY, "automationDetails", "id"),
    ("runs", ANY, "invocations", ANY, "executionSuccessful"),
    (*_DRIVER, "name"),
    (*_DRIVER, "rules", ANY),
    (*_DRIVER, "globalMessageStrings"),
    ("runs", ANY, "tool", "extensions", ANY, "rules", ANY),
)
# Large, and of no use for a task.
_PASSED_OVER: Final = frozenset(
    {
        "attachments",
        "codeFlows",
        "contents",
        "contextRegion",
        "fixes",
        "graphTraversals",
        "graphs",
        "relatedLocations",
        "stacks",
        "webRequest",
        "webResponse",
    }
)
_NO_FINDING: Final = frozenset({"pass", "notApplicable", "informational"})
_TO_REVIEW: Final = frozenset({"open", "review"})
_ACCEPTED: Final = frozenset({"", "accepted"})
# gitleaks puts the commit's facts where fingerprints belong, and CodeQL a column.
_NO_FINGERPRINT: Final = re.compile(r"column|commit|author|email|date", re.IGNORECASE)
_SHORT_MESSAGE: Final = 140

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s|\n")


def _detect(head: Head) -> int:
    paths = head.paths
    if ("runs",) not in paths or ("runs", ANY) not in paths:
        return 0
    parts = {path[2] for path in paths if path[:2] == ("runs", ANY) and len(path) > 2}  # noqa: PLR2004 - a run's own keys
    return _SURE if {"tool", "results"} & parts or ("$schema",) in paths or ("version",) in paths else 0


def _read(stream: BinaryIO, notes: Notes) -> Iterator[Finding]:
    tools: set[str] = set()
    targets: set[str] = set()
    number_of_run, run = -1, Run()
    results = 0
    entries = walk(stream, _WANTED, name=notes.name, policy=notes.policy, passing_over=_PASSED_OVER)
    for path, value in entries:
        if len(path) == 1:
            _check_version(path, value, notes)
            continue
        if path[1] != number_of_run:
            yield from _rest(number_of_run, run, notes)
            number_of_run, run = int(path[1]), Run()
        if path[2] == "results" and isinstance(value, dict):
            results += 1
            if results > notes.policy.maximum_reported:
                # those that passed are no findings, and take time all the same
                raise _too_many(f"{notes.policy.maximum_reported} results", number_of_run, notes)
            if run.has_rules and _has_files(value):
                yield from _findings(value, run, notes)
                continue
            run.waiting.append(value)
        else:
            _take(run, path, value, notes)
        tools.update({run.tool} - {""})
        targets.update({run.automation} - {""})
        _check_size(number_of_run, run, notes)
    yield from _rest(number_of_run, run, notes)
    notes.source = " + ".join(sorted(tools)) or notes.source
    # A run's category is made to tell apart what several analyses looked at; several in one file are one audit.
    notes.target = targets.pop() if len(targets) == 1 else ""
    if number_of_run < 0:
        notes.fail("$.runs", "the report has no run")


def _check_version(path: tuple[str | int, ...], value: Any, notes: Notes) -> None:  # noqa: ANN401 - a JSON value
    if path[0] == "version" and not text(value).startswith("2."):
        raise InputError(
            f"{notes.name} is SARIF {text(value)[:20]!r}, not 2.1.0.", cure="Let the tool write SARIF 2.1.0."
        )


def _check_size(number_of_run: int, run: Run, notes: Notes) -> None:
    """Bound what is held of a run; a file is held as its name alone, so there may be more of them."""
    most = notes.policy.maximum_findings
    if max(number_of_run, len(run.waiting), len(run.rules), len(run.artifacts) // 10) > most:
        raise _too_many(f"{most} results, rules or runs, or {most * 10} files", number_of_run, notes)


def _too_many(what: str, number_of_run: int, notes: Notes) -> InputError:
    return InputError(
        f"{notes.name} has over {what}, at $.runs[{number_of_run}].",
        cure="Let the tool report fewer rules or folders at a time, each with a --target of its own.",
    )


def _take(run: Run, path: tuple[str | int, ...], value: Any, notes: Notes) -> None:  # noqa: ANN401 - a JSON value
    """Put one entry of a run where it belongs."""
    match path[2:]:
        case ("results",):
            run.has_results = value is Started.LIST
            # written one after another, so the tool has been told of by now or comes later
            run.has_rules = bool(run.tool)
        case ("results", int(index)):
            notes.fail(f"$.runs[{path[1]}].results[{index}]", "not an object")
        case ("artifacts", int(index)):
            run.artifacts[index] = text(at(value, "location", "uri"))
        case ("automationDetails", "id"):
            # "category/run": all up to the last slash stays the same from run to run
            run.automation = text(value).rpartition("/")[0].strip("/")
        case ("invocations", int(index), "executionSuccessful") if value is False:
            notes.fail(f"$.runs[{path[1]}].invocations[{index}]", "the tool says that it failed")
        case ("tool", "driver", "name"):
            run.tool = text(value)
        case ("tool", "driver", "globalMessageStrings") if isinstance(value, dict):
            run.messages = value
        case ("tool", "driver", "rules", int(index)) if isinstance(value, dict):
            _take_rule(run, DRIVER_RULES, index, value)
        case ("tool", "extensions", int(extension), "rules", int(index)) if isinstance(value, dict):
            _take_rule(run, extension, index, value)
        case _:
            pass


def _take_rule(run: Run, component: int, index: int, rule: dict[str, Any]) -> None:
    run.found.clear()
    run.rules[component, index] = rule
    run.by_id.setdefault(text(rule.get("id")), rule)


def _has_files(result: dict[str, Any]) -> bool:
    """Whether no location of a result has to be looked up among the artifacts, which may come later."""
    for location in items(result.get("locations")):
        place = at(location, "physicalLocation", "artifactLocation")
        if place is not None and at(place, "uri") is None:
            return False
    return True


def _rest(number_of_run: int, run: Run, notes: Notes) -> Iterator[Finding]:
    """Turn what waits into findings when its run has ended."""
    if number_of_run >= 0 and not run.has_results:
        notes.fail(f"$.runs[{number_of_run}].results", "the run has no results; the tool did not finish")
    for result in run.waiting:
        yield from _findings(result, run, notes)


def _findings(result: dict[str, Any], run: Run, notes: Notes) -> Iterator[Finding]:
    kind = text(result.get("kind"))
    if kind in _NO_FINDING:
        return
    rule_id, known = rule_of(result, run)
    for location in items(result.get("locations")) or [{}]:
        finding = _finding(result, location, rule_id, known, run)
        if kind in _TO_REVIEW:
            notes.needs_review.append(finding)
        else:
            yield finding


def _finding(result: dict[str, Any], location: Any, rule_id: str, known: Rule, run: Run) -> Finding:  # noqa: ANN401 - a JSON value
    physical = at(location, "physicalLocation")
    logical = text(at(location, "logicalLocations", 0, "fullyQualifiedName"))
    rule = known.rule
    place = text(at(physical, "artifactLocation", "uri"))
    if not place:
        place = (
            run.artifacts.get(whole(at(physical, "artifactLocation", "index")) or 0, "") if physical else ""
        )
    place = normal_place(place)
    message = message_of(result.get("message"), rule, run)
    beginning = message[:LONGEST_PART]
    lines = known.ending
    if beginning and beginning not in lines:
        lines = (beginning, *lines)
    elif beginning:
        lines = (beginning, *(line for line in lines if line != beginning))
    return make_finding(
        title=_title(message, known, rule_id),
        severity=_severity(result, known, message),
        description="\n\n".join(lines),
        state=_state(result),
        category=_category(message, result, known, run),
        location=place or logical,
        component=logical,
        rule=rule_id,
        line=whole(at(physical, "region", "startLine")),
        occurrences=1,
        uid=_uid(result, rule_id, place),
        code=text(at(physical, "region", "snippet", "text")),
    )


def _title(message: str, known: Rule, rule_id: str) -> str:
    """Choose the words a person knows it by: the message's first sentence unless it is long, else the rule's own."""
    end = _SENTENCE_END.search(message)
    first = (message[: end.start()] if end else message).rstrip(".")
    if first and len(first) <= _SHORT_MESSAGE:
        return first
    return known.title or first or rule_id


def _severity(result: dict[str, Any], known: Rule, message: str) -> str:
    """Read how bad it is; see the table in `lexicon`."""
    properties = result.get("properties")
    if properties:
        found = severity_by_score(properties)
        if found is None and not known.is_scored:
            words = (severity_of_word(text(at(properties, name))) for name in ("issue_severity", "severity"))
            found = next((word for word in words if word is not None), None)
        if found is not None:
            return found
    if known.severity is not None:
        return known.severity
    if "everity" in message and not known.has_words:
        line = SEVERITY_LINE.search(message)
        said = severity_of_word(line[1]) if line else None
        if said is not None:
            return said
    return severity_of_level(text(result.get("level")) or known.level)


def _category(message: str, result: dict[str, Any], known: Rule, run: Run) -> str:
    """Guess a category; a result with a CWE or a security score is at least about security."""
    guessed = known.category or category_of(message, run.tool)
    properties = result.get("properties")
    is_secure = known.is_secure or (bool(properties) and CWE.search(text(at(properties, "cwe"))) is not None)
    return "security" if is_secure and guessed not in {"secrets", "dependencies"} else guessed


def _state(result: dict[str, Any]) -> State:
    if result.get("baselineState") is not None and text(result["baselineState"]) == "absent":
        return State("completed", "reported")
    suppressions = items(result.get("suppressions"))
    if suppressions and all(text(at(s, "status")) in _ACCEPTED for s in suppressions):
        return State("cancelled", "accepted")
    return OPEN


def _uid(result: dict[str, Any], rule_id: str, place: str) -> str:
    """Join the tool's own fingerprints with rule and (normal) place: one result may have several locations."""
    for name in ("fingerprints", "partialFingerprints"):
        found = result.get(name)
        if isinstance(found, dict):
            parts = [
                f"{key}={said}"
                for key, value in found.items()
                if (said := text(value)) and not _NO_FINGERPRINT.search(key)
            ]
            if parts:
                return " ".join(("sarif", *sorted(parts), rule_id, place))
    return ""


READER = Reader(name="sarif", title="SARIF 2.1.0", detect=_detect, read=_read)
