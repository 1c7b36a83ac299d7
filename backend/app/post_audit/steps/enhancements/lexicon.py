"""The words of tools and of people, and what they mean here: severities, states, categories.

Severities

| tool | says | means |
|---|---|---|
| any | critical, high, medium, low; blocker, p0 … p4, major, minor, urgent and their like | as in `_SEVERITIES` |
| any | info, informational, note, none, hint | low: four levels are known to the queue |
| any | a number from 0 to 10 | a CVSS score: 9 critical, 7 high, 4 medium, else low |
| npm audit | critical, high, moderate, low, info | moderate is medium, info is low |
| SARIF | `security-severity` of the result or the rule | a CVSS score |
| SARIF | `issue_severity` or `severity` of the result, `Severity: …` in its help | as any |
| SARIF | `level` of the result, else of the rule, else warning | error high, warning medium, note and none low |

Nothing that a report says becomes `critical` unless it says so: an "error" of a linter is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

__all__ = [
    "OPEN",
    "SEVERITIES",
    "State",
    "category_of",
    "category_of_text",
    "severity_of_level",
    "severity_of_score",
    "severity_of_word",
    "state_of_word",
]

SEVERITIES: Final = ("critical", "high", "medium", "low")
"""From worst to least."""

_SEVERITIES: Final[Mapping[str, str]] = {
    word: severity
    for severity, words in {
        "critical": "critical crit blocker p0 s0 urgent emergency fatal showstopper",
        "high": "high major error p1 s1 serious important severe",
        "medium": "medium med moderate warning warn p2 s2 normal average",
        "low": "low minor note info informational information none negligible trivial hint style p3 p4 s3 s4 "
        "optional recommendation suggestion",
    }.items()
    for word in words.split()
}

_LEVELS: Final[Mapping[str, str]] = {"error": "high", "warning": "medium", "note": "low", "none": "low"}

_SCORES: Final = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"))
_HIGHEST_SCORE: Final = 10.0


class State(NamedTuple):
    """One of the four states of a task, and the finer one."""

    status: str
    disposition: str | None = None


OPEN: Final = State("pending")

_STATES: Final[Mapping[str, State]] = {
    word: state
    for state, words in (
        (
            State("pending"),
            "open new todo pending active reopened confirmed triage backlog missing failed fail",
        ),
        (State("in_progress"), "inprogress doing wip started partial partially ongoing assigned"),
        (
            State("completed", "reported"),
            "done fixed closed resolved complete completed mitigated remediated passed",
        ),
        (
            State("cancelled", "reported"),
            "wontfix cancelled canceled rejected invalid dismissed notapplicable",
        ),
        (State("cancelled", "false_positive"), "falsepositive fp"),
        (State("cancelled", "duplicate"), "duplicate dup"),
        (State("cancelled", "accepted"), "accepted riskaccepted acceptedrisk suppressed"),
    )
    for word in words.split()
}

# The first that matches wins, so the narrower stand first. Matched against rule, path and words in lower case.
_CATEGORIES: Final = tuple(
    (category, re.compile(pattern))
    for category, pattern in (
        (
            "secrets",
            r"secret|hard-?coded|credential|password in|api[ _-]?key|(access|private) key|token leak|gitleaks|cwe-798",
        ),
        ("accessibility", r"accessib|\ba11y\b|\baria\b|wcag|alt text|screen reader|colou?r contrast"),
        (
            "dependencies",
            r"node_modules|(vulnerable|outdated) package|dependenc|\bghsa-|\bcve-\d|package-lock|requirements\.txt",
        ),
        (
            "security",
            (
                r"security|vulnerab|injection|\bxss\b|\bcsrf\b|\bssrf\b|\bcwe\b|owasp|crypto|random number|sanitiz|"
                r"authenticat|authoriz|permission|encrypt|\btls\b|\bssl\b|cookie|traversal|taint|deserial"
            ),
        ),
        (
            "performance",
            r"performance|\bslow\b|latency|bundle size|\blcp\b|\bcls\b|core web vital|memory leak|n\+1|cache|caching",
        ),
        ("seo", r"\bseo\b|meta description|sitemap|robots\.txt|canonical|crawl"),
        ("database", r"database|\bsql\b|migration|schema|prisma|postgres|\bindex(es)?\b"),
        ("testing", r"\btests?\b|coverage|flaky|unit test|e2e"),
        ("documentation", r"documentation|readme|\bdocs?\b|docstring|changelog"),
        ("deployment", r"deploy|docker|kubernetes|\bci\b|pipeline|vercel|hosting|environment variable"),
        (
            "ui",
            r"\bui\b|\bux\b|layout|responsive|mobile view|button|dashboard|page not found|\b404\b|broken link",
        ),
        (
            "quality",
            r"unused|deprecat|lint|complexity|duplicat|dead code|typing|\btypes?\b|uninitiali[sz]ed|refactor",
        ),
    )
)


_HINTS: Final[Mapping[str, tuple[str, ...]]] = {
    category: tuple(hints.split("|"))
    for category, hints in {
        "secrets": "secret|hard|credential|password|key|token|gitleaks|cwe",
        "accessibility": "accessib|a11y|aria|wcag|alt|screen|contrast",
        "dependencies": "node_modules|package|dependenc|ghsa|cve|requirements",
        "security": "secur|vulnerab|injection|xss|csrf|ssrf|cwe|owasp|crypt|random|sanitiz|auth|"
        "permission|tls|ssl|cookie|traversal|taint|deserial",
        "performance": "performance|slow|latency|bundle|lcp|cls|vital|leak|n+1|cach",
        "seo": "seo|meta|sitemap|robots|canonical|crawl",
        "database": "database|sql|migration|schema|prisma|postgres|index",
        "testing": "test|coverage|flaky|e2e",
        "documentation": "doc|readme|changelog",
        "deployment": "deploy|docker|kubernetes|ci|pipeline|vercel|hosting|environment",
        "ui": "ui|ux|layout|responsive|mobile|button|dashboard|page|404|link",
        "quality": "unused|deprecat|lint|complexity|duplicat|dead|typ|initiali|refactor",
    }.items()
}
"""Pieces of which at least one is in whatever the pattern of a category matches; none has a space."""

_DIGITS: Final = dict.fromkeys(range(ord("0"), ord("9") + 1))
_NUMBERED: Final = tuple(hint for hints in _HINTS.values() for hint in hints if re.search(r"\d", hint))
_ALL: Final = (1 << len(_CATEGORIES)) - 1
_LONG: Final = 2_000
_MOST_WORDS: Final = 20_000
_LEARNED: Final = 2
"""New words that one text may teach; where it has more, as no message has for long, it is gone through as a whole."""


_hinted: Final[dict[str, int]] = {}
"""The categories that a word (without digits) hints at, a bit for each, remembered."""


@lru_cache(maxsize=1024)
def severity_of_word(word: str) -> str | None:
    """Read a word or a CVSS score; None for a word that nobody taught us."""
    bare = re.sub(r"[^a-z0-9.]", "", word.casefold())
    if re.fullmatch(r"\d{1,2}(\.\d+)?", bare):
        return severity_of_score(float(bare))
    return _SEVERITIES.get(bare)


def severity_of_score(score: float) -> str | None:
    """Read a CVSS score from 0 to 10; None for any other number."""
    if not 0 <= score <= _HIGHEST_SCORE:
        return None
    return next((severity for least, severity in _SCORES if score >= least), "low")


def severity_of_level(level: str) -> str:
    """Read a SARIF level; an unknown one is SARIF's default, a warning."""
    return _LEVELS.get(level, "medium")


def state_of_word(word: str) -> State | None:
    """Read a state as people write it; None for a word that nobody taught us."""
    return _STATES.get(re.sub(r"[^a-z]", "", word.casefold()))


def category_of(*texts: str) -> str:
    """Guess a category from rule, path and words, in this order of trust; `general` where nothing tells."""
    for text in texts:
        found = category_of_text(text)
        if found is not None:
            return found
    return "general"


def category_of_text(text: str) -> str | None:
    """Guess a category from one text; None where it does not tell."""
    lowered = text.casefold()
    bits = _bits_of_words(lowered) if len(lowered) <= _LONG else _bits(lowered)
    while bits:
        lowest = bits & -bits
        category, pattern = _CATEGORIES[lowest.bit_length() - 1]
        if pattern.search(lowered):
            return category
        bits ^= lowest
    return None


def _bits_of_words(lowered: str) -> int:
    """Tell which categories a text hints at: twelve patterns take 60 us on a message, looking up its words 2."""
    for hint in _NUMBERED:
        if hint in lowered:
            return _ALL
    words = set(lowered.translate(_DIGITS).split())
    unknown = words.difference(_hinted)
    if unknown:
        if len(_hinted) > _MOST_WORDS:
            _hinted.clear()
            return _bits(lowered)
        for word in islice(unknown, _LEARNED):
            _hinted[word] = _bits(word)
        if len(unknown) > _LEARNED:
            return _bits(lowered)
    bits = 0
    for word in words:
        bits |= _hinted[word]
    return bits


def _bits(lowered: str) -> int:
    """Look for the hints of each category."""
    bits = 0
    for number, (category, _) in enumerate(_CATEGORIES):
        for hint in _HINTS[category]:
            if hint in lowered:
                bits |= 1 << number
                break
    return bits
