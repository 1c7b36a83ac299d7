"""Severities, labels and problems by their words: how bad a thing is, what stands behind `label:`, what is wrong."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Final

from app.post_audit.steps.enhancements.lexicon import severity_of_score, severity_of_word
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import (
    VOCABULARY,
    pattern_of,
    plain_marks,
    without_signs,
)

__all__ = [
    "ACTION_WORDS",
    "NO_PROBLEM",
    "SEVERITY_WORDS",
    "Label",
    "has_problem",
    "has_strong_problem",
    "is_action",
    "label_of",
    "severity_in",
]


class Label(Enum):
    """What stands behind `label:`."""

    TITLE = "title"
    ID = "id"
    STATUS = "status"
    SEVERITY = "severity"
    PRIORITY = "priority"
    LOCATION = "location"
    EFFORT = "effort"
    FIX = "fix"
    PROBLEM = "problem"
    ACTION = "action"
    CATEGORY = "category"
    DETAIL = "detail"
    COUNT = "count"


_SEVERITY_SIGNS: Final = {
    "🔴": "critical",
    "🟥": "critical",
    "🟠": "high",
    "🟡": "medium",
    "🟨": "medium",
    "🟢": "low",
    "🔵": "low",
}

SEVERITY_WORDS: Final = tuple((name, pattern_of(words)) for name, words in VOCABULARY["severities"].items())
_SEVERITY_PHRASE: Final = re.compile(
    r"[\[(|:–—-]\s*(?P<tail>[^\[\]()|:]{2,40}?)\s*[\])]?\s*$|^\s*[\[(]?\s*(?P<head>[^\[\]():|–—]{1,24}?)\s*(?:[\])]|\s[–—-]\s|:)"
)
_CVSS: Final = re.compile(
    r"cvss[^0-9\n]{0,20}(?:3\.[01]|4\.0|v[234])?[^0-9\n]{0,12}(10(?:\.0)?|\d\.\d)(?!\d)", re.IGNORECASE
)

_LABEL_OF: Final = {
    word: Label[name.upper()] for name, words in reversed(VOCABULARY["labels"].items()) for word in words
}

NO_PROBLEM: Final = re.compile(
    r"(?<!\w)(?:no|zero|without|free of|keine?|sin|sans|sem|senza|geen) (?:\w+ ){0,3}?"
    r"(?:issues?|errors?|problems?|vulnerabilit\w+|findings?|warnings?|violations?|gradients?|fehler|probleme?|errores|problemas|erreurs?|erros|errori|fouten)(?!\w)"
)
_PROBLEM: Final = pattern_of(VOCABULARY["words"]["problem"])
_STRONG: Final = pattern_of(VOCABULARY["words"]["strong"])
ACTION_WORDS: Final = pattern_of(VOCABULARY["words"]["action"])


@lru_cache(maxsize=8192)
def severity_in(text: str, *, is_free: bool = False) -> str | None:
    """Read a severity: of a short text such as a cell as a whole, or (`is_free`) of a tag at either end of a title."""
    for letter in text:
        if letter in _SEVERITY_SIGNS and not is_free:
            return _SEVERITY_SIGNS[letter]
    score = _CVSS.search(text)
    if score:
        return severity_of_score(float(score[1]))
    bare = without_signs(plain_marks(text)).casefold()
    if not is_free:
        word = severity_of_word(bare)
        return word or _severity_of_words(bare)
    found = _SEVERITY_PHRASE.search(bare)
    tags = [tag for tag in (found.groupdict().values() if found else ()) if tag]
    tags += re.findall(r"[\[(]([^\[\]()]{2,30})[\])]", bare)
    for tag in tags:
        words = tag.split()
        if 1 <= len(words) <= _LONGEST_TAG:
            severity = _severity_of_words(tag)
            if severity:
                return severity
    return _SEVERITY_SIGNS.get(next((letter for letter in text if letter in _SEVERITY_SIGNS), ""))


_LONGEST_TAG: Final = 3


def _severity_of_words(lowered: str) -> str | None:
    return next((severity for severity, pattern in SEVERITY_WORDS if pattern.search(lowered)), None)


@lru_cache(maxsize=8192)
def label_of(text: str) -> Label | None:
    """Read the name of a column, or what stands before a colon; None for what is no label."""
    bare = without_signs(plain_marks(text)).casefold().replace("\u2019", "'").strip(" .:?()-")
    bare = re.sub(r"\s*\([^)]*\)$", "", bare)
    return _LABEL_OF.get(bare)


@lru_cache(maxsize=8192)
def has_problem(text: str) -> bool:
    """Whether a sentence says that something is wrong, missing or to be changed."""
    lowered = without_signs(text).casefold().replace("\u2019", "'")
    return _PROBLEM.search(NO_PROBLEM.sub(" ", lowered)) is not None


@lru_cache(maxsize=8192)
def has_strong_problem(text: str) -> bool:
    """Whether a sentence says outright that something is not there or does not work."""
    lowered = without_signs(text).casefold().replace("\u2019", "'")
    return _STRONG.search(NO_PROBLEM.sub(" ", lowered)) is not None


@lru_cache(maxsize=8192)
def is_action(text: str) -> bool:
    """Whether a line begins (or, in Hindi and German, ends) with a word that asks for something to be done."""
    lowered = without_signs(text).casefold()
    found = ACTION_WORDS.match(lowered.lstrip("*_ `"))
    return found is not None or re.search(r"(करें|जाएँ|जाए|बनाएँ|बनाएं|en|ern)[.।]?$", lowered) is not None
