"""What a run of SARIF says once for many results: its rules, their severities and its messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from app.post_audit.steps.enhancements.lexicon import category_of_text, severity_of_score, severity_of_word
from app.post_audit.steps.enhancements.readers.values import at, items, number, text, whole

__all__ = [
    "CWE",
    "DRIVER_RULES",
    "LONGEST_PART",
    "SEVERITY_LINE",
    "Rule",
    "Run",
    "message_of",
    "rule_of",
    "severity_by_score",
]

LONGEST_PART: Final = 600
DRIVER_RULES: Final = -1
_MOST_KNOWN: Final = 20_000
"""Rules of a run that are looked up once; real reports name up to 2,000."""
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_GAP: Final = re.compile(r"\{(\d{1,3})\}")
SEVERITY_LINE: Final = re.compile(r"^\W*Severity\W+(\w+)", re.IGNORECASE | re.MULTILINE)
CWE: Final = re.compile(r"\bcwe[-_/ ]?\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule says of all its results, read once."""

    rule: dict[str, Any]
    title: str
    has_words: bool
    ending: tuple[str, ...]
    severity: str | None
    is_scored: bool
    level: str
    category: str | None
    is_secure: bool


@dataclass(slots=True)
class Run:
    """What is known of one run so far; rules and artifacts by their index, and results that wait for them."""

    tool: str = ""
    automation: str = ""
    has_results: bool = False
    has_rules: bool = False
    messages: dict[str, Any] = field(default_factory=dict)
    found: dict[tuple[Any, ...], tuple[str, Rule]] = field(default_factory=dict)
    rules: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    artifacts: dict[int, str] = field(default_factory=dict)
    waiting: list[dict[str, Any]] = field(default_factory=list)


def rule_of(result: dict[str, Any], run: Run) -> tuple[str, Rule]:
    """Find the rule of a result, and what it says of all its results."""
    index, component = whole(result.get("ruleIndex")), None
    rule_id = text(result.get("ruleId"))
    reference = result.get("rule")
    if reference is not None:
        index = whole(at(reference, "index")) if index is None else index
        component = whole(at(reference, "toolComponent", "index"))
        rule_id = rule_id or text(at(reference, "id"))
    key = (rule_id, index, component, run.tool)
    found = run.found.get(key)
    if found is None:
        rule_id, rule = _look_up(rule_id, index, component, run)
        found = rule_id, _rule_of_json(rule_id, rule, run)
        if len(run.found) < _MOST_KNOWN and len(rule_id) < LONGEST_PART:
            run.found[key] = found
    return found


def _look_up(rule_id: str, index: int | None, component: int | None, run: Run) -> tuple[str, dict[str, Any]]:
    """Find a rule: by its index, else by its id, else by the id that a finer one stands under."""
    rule = run.rules.get((DRIVER_RULES if component is None else component, -1 if index is None else index))
    if rule is None or (rule_id and not rule_id.startswith(text(rule.get("id")))):
        rule = run.by_id.get(rule_id) or run.by_id.get(rule_id.rpartition("/")[0]) or rule
    return rule_id or text(at(rule, "id")), rule or {}


def message_of(message: Any, rule: dict[str, Any], run: Run) -> str:  # noqa: ANN401 - a JSON value
    """Read a message: its own text, or that of the rule or tool it refers to with its gaps filled."""
    found = text(at(message, "text")) or text(at(message, "markdown"))
    if not found:
        name = text(at(message, "id"))
        found = text(at(rule, "messageStrings", name, "text")) or text(at(run.messages, name, "text"))
    arguments = [text(argument) for argument in items(at(message, "arguments"))]
    if not arguments:
        return _LINK.sub(r"\1", found) if "](" in found else found

    def fill(gap: re.Match[str]) -> str:
        place = int(gap[1])
        return arguments[place] if place < len(arguments) else gap[0]

    return _LINK.sub(r"\1", _GAP.sub(fill, found))


def _rule_of_json(rule_id: str, rule: dict[str, Any], run: Run) -> Rule:
    """Read what a rule says of all its results."""
    about, helping = text(at(rule, "fullDescription", "text")), text(at(rule, "help", "text"))
    tags = " ".join(text(tag) for tag in items(at(rule, "properties", "tags")))
    name = text(rule.get("name"))
    line = SEVERITY_LINE.search(helping)
    said = f"Reported by {run.tool}." if run.tool else ""
    ending = (
        about[:LONGEST_PART],
        helping[:LONGEST_PART] if helping != about else "",
        text(rule.get("helpUri")),
        said,
    )
    return Rule(
        rule=rule,
        title=text(at(rule, "shortDescription", "text")) or name,
        has_words=bool(about or helping),
        ending=tuple(dict.fromkeys(line for line in ending if line)),
        severity=severity_by_score(rule.get("properties")) or (severity_of_word(line[1]) if line else None),
        is_scored=severity_by_score(rule.get("properties")) is not None,
        level=text(at(rule, "defaultConfiguration", "level")),
        category=category_of_text(f"{rule_id} {name}") or category_of_text(tags),
        is_secure=at(rule, "properties", "security-severity") is not None
        or CWE.search(tags) is not None
        or CWE.search(rule_id) is not None,
    )


def severity_by_score(properties: Any) -> str | None:  # noqa: ANN401 - a JSON value
    """Read the severity of what has a score of security; None without one."""
    score = number(at(properties, "security-severity"))
    return None if score is None else severity_of_score(score)
