"""What the words and signs of a report mean: the part a heading plays, states, severities, labels, problems.

The words themselves are in `markdown_words.toml`; here is how they are looked for.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from typing import Final

from app.post_audit.steps.enhancements.lexicon import severity_of_score, severity_of_word

__all__ = [
    "Label",
    "Role",
    "Verdict",
    "core_of",
    "has_problem",
    "has_role_words_only",
    "has_strong_problem",
    "heading_state",
    "is_action",
    "is_generic",
    "is_past",
    "is_soft_noise",
    "is_telling",
    "is_told_fixed",
    "label_of",
    "role_of",
    "severity_in",
    "sign_of",
    "state_alone",
    "status_of",
    "tokens_of",
    "without_signs",
]


class Role(Enum):
    """The part that a section plays."""

    FINDINGS = "what is wrong or missing"
    ACTIONS = "what is to be done"
    FIXED = "what was wrong and is fixed"
    GOOD = "what works"
    NOISE = "what frames the report"


class Verdict(Enum):
    """What a sign or word says of the thing beside it."""

    OPEN = "open"
    PARTIAL = "partial"
    DONE = "done"
    GOOD = "good"
    NONE = "no finding"


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


def _words(words: Sequence[str]) -> re.Pattern[str]:
    """Compile a list of words and phrases; other scripts than Latin have no word boundaries."""
    patterns = []
    # the longest first: of two that begin alike, the phrase is to be found and not its first word
    for word in sorted(words, key=lambda word: (-len(word), word)):
        body = re.escape(word.rstrip("*")).replace(r"\ ", r"[\s\-]+").replace(" ", r"[\s\-]+")
        ending = r"\w*" if word.endswith("*") else r"(?!\w)"
        patterns.append(rf"(?<!\w){body}{ending}" if word[0] < "\u0900" else body)
    return re.compile("|".join(patterns))


_VOCABULARY: Final[dict[str, dict[str, list[str]]]] = tomllib.loads(
    files(__package__).joinpath("markdown_words.toml").read_text(encoding="utf-8")
)


_ROLES: Final = tuple((Role[name.upper()], _words(words)) for name, words in _VOCABULARY["roles"].items())

# Signs. A coloured circle says how bad, not whether it is open.
_BAD_SIGNS: Final = "❌✗✘✖🚫⛔❎🛑⮾"
_GOOD_SIGNS: Final = "✅✓✔☑👍🎉"
_WARNING_SIGNS: Final = "⚠❗❕‼🚨🐛💥🟥"
_WAITING_SIGNS: Final = "⏳⌛🔄🚧⏸⬜☐🔲🔜"
_SEVERITY_SIGNS: Final = {
    "🔴": "critical",
    "🟥": "critical",
    "🟠": "high",
    "🟡": "medium",
    "🟨": "medium",
    "🟢": "low",
    "🔵": "low",
}
_SIGNS: Final = re.compile(
    rf"[{_BAD_SIGNS}{_GOOD_SIGNS}{_WARNING_SIGNS}{_WAITING_SIGNS}\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff"
    r"\U0001f000-\U0001faff\ufe0e\ufe0f\u20e3\u200d]"
)

_NO_FINDING: Final = _words(_VOCABULARY["words"]["no_finding"])
_NOT_DONE: Final = _words(_VOCABULARY["words"]["not_done"])
_PARTIAL: Final = _words(_VOCABULARY["words"]["partial"])
_DONE: Final = _words(_VOCABULARY["words"]["done"])
_OPEN: Final = _words(_VOCABULARY["words"]["open"])
_GOOD: Final = _words(_VOCABULARY["words"]["good"])
_SHARE_DONE: Final = re.compile(
    r"(?<![\d.,])(\d{1,3})\s*%\s*(?:complete|completed|done|finished|fixed|erledigt|fertig|hecho|fait|पूर्ण)"
)
_WEAK_NOISE: Final = _words(_VOCABULARY["words"]["weak_noise"])
_SOFT_NOISE: Final = _words(_VOCABULARY["words"]["soft_noise"])
_PRAISE: Final = _words(_VOCABULARY["words"]["praise"])
_FUTURE: Final = _words(_VOCABULARY["words"]["future"])
_UNRELEASED: Final = _words(_VOCABULARY["words"]["unreleased"])
_HEADING_STATES: Final = (
    (Verdict.PARTIAL, _words(_VOCABULARY["heading_states"]["partial"])),
    (Verdict.OPEN, _words(_VOCABULARY["heading_states"]["open"])),
)

_SEVERITY_WORDS: Final = tuple((name, _words(words)) for name, words in _VOCABULARY["severities"].items())
_SEVERITY_PHRASE: Final = re.compile(
    r"[\[(|:–—-]\s*(?P<tail>[^\[\]()|:]{2,40}?)\s*[\])]?\s*$|^\s*[\[(]?\s*(?P<head>[^\[\]():|–—]{1,24}?)\s*(?:[\])]|\s[–—-]\s|:)"
)
_CVSS: Final = re.compile(
    r"cvss[^0-9\n]{0,20}(?:3\.[01]|4\.0|v[234])?[^0-9\n]{0,12}(10(?:\.0)?|\d\.\d)(?!\d)", re.IGNORECASE
)

_LABEL_OF: Final = {
    word: Label[name.upper()] for name, words in reversed(_VOCABULARY["labels"].items()) for word in words
}

_POSITIVE: Final = re.compile(
    r"(?<!\w)(?:no|zero|without|free of|keine?|sin|sans|sem|senza|geen) (?:\w+ ){0,3}?"
    r"(?:issues?|errors?|problems?|vulnerabilit\w+|findings?|warnings?|violations?|gradients?|fehler|probleme?|errores|problemas|erreurs?|erros|errori|fouten)(?!\w)"
)
_PROBLEM: Final = _words(_VOCABULARY["words"]["problem"])
_STRONG: Final = _words(_VOCABULARY["words"]["strong"])
_FILLERS: Final = _words(_VOCABULARY["words"]["fillers"])
_ACTION: Final = _words(_VOCABULARY["words"]["action"])
_PAST: Final = re.compile(
    r"^\W*(?:we |was |were |has been |have been |now |is now )?(?:\w+ly )?"
    r"(?:fixed|added|removed|changed|replaced|set|disabled|enabled|updated|upgraded|implemented|moved|rotated|patched|"
    r"applied|migrated|rewrote|rewritten|introduced|switched|corrected|resolved|deployed|created|reverted|merged|"
    r"hinzugefügt|entfernt|ersetzt|behoben|aktualisiert)(?!\w)"
)

_TOLD_FIXED: Final = re.compile(
    r"^\W*(?:this (?:was|has been|is now) |was |has been |since |already |now |meanwhile |it was |"
    r"it has (?:since )?been )?(?:been )?"
    r"(?:fixed|resolved|patched|corrected|remediated|behoben|erledigt|corregido|resuelto|"
    r"solucionado|corrigé|résolu|corrigido|risolto|opgelost)(?!\w)"
)

_TOKEN: Final = re.compile(r"[\w\u0900-\u097f]+")
_EMPTY_WORDS: Final = frozenset(_VOCABULARY["words"]["empty"])
_GENERIC: Final = frozenset(_VOCABULARY["words"]["generic"])
_SUFFIXES: Final = ("ations", "ation", "ings", "ing", "ions", "ion", "ies", "ed", "es", "s", "y", "e")
_SHORTEST_STEM: Final = 4


def without_signs(text: str) -> str:
    """Take emoji and other signs out of a line."""
    return " ".join(_SIGNS.sub(" ", text).split())


@lru_cache(maxsize=4096)
def role_of(title: str) -> Role | None:
    """Tell what part a heading announces; None where its words do not say."""
    lowered = without_signs(title).casefold().replace("\u2019", "'")
    found: list[tuple[int, int, Role]] = []
    spans: dict[Role, list[tuple[int, int]]] = {}
    for rank, (role, pattern) in enumerate(_ROLES):
        matches = list(pattern.finditer(lowered))
        if matches:
            found.append((_weight(role, rank), matches[-1].end(), role))
            spans[role] = [match.span() for match in matches]
    if not found:
        return None
    if Role.GOOD in spans:
        # "no action needed" praises, whatever "action" alone announces
        found = [entry for entry in found if not _is_inside(spans[entry[2]], spans[Role.GOOD])]
    roles = {role for _, _, role in found}
    if Role.FINDINGS in roles and Role.NOISE in roles and _is_framing(lowered):
        return Role.NOISE
    if roles == {Role.NOISE} and _WEAK_NOISE.fullmatch(lowered) is None and _is_about_more(lowered):
        return None
    if _is_praised(lowered, spans.get(Role.GOOD, []), spans.get(Role.FINDINGS, [])):
        return Role.GOOD
    if Role.GOOD in roles and Role.FINDINGS in roles:
        return Role.FINDINGS
    return min(found)[2]


def _is_praised(lowered: str, good: Sequence[tuple[int, int]], bad: Sequence[tuple[int, int]]) -> bool:
    """Whether what is found is praised: "no issues", "positive findings", "Positive Feststellungen"."""
    within = all(any(first <= start and end <= last for first, last in good) for start, end in bad)
    is_within = bool(good and bad) and within
    return is_within or any(_is_beside(praise.span(), bad) for praise in _PRAISE.finditer(lowered))


def is_soft_noise(title: str) -> bool:
    """Whether a heading such as "Scorecard" or "Overview" frames a report, but may hold a table of findings too."""
    found = list(dict(_ROLES)[Role.NOISE].finditer(without_signs(title).casefold()))
    return bool(found) and all(_SOFT_NOISE.fullmatch(match[0]) is not None for match in found)


def _is_about_more(lowered: str) -> bool:
    """Whether a heading has a word such as "cost" or "links" only among others: "Links without names"."""
    noise = dict(_ROLES)[Role.NOISE]
    if any(_WEAK_NOISE.fullmatch(found[0]) is None for found in noise.finditer(lowered)):
        return False
    rest = _FILLERS.sub(" ", noise.sub(" ", lowered))
    return len([word for word in _TOKEN.findall(rest) if word not in _EMPTY_WORDS]) > 1


def _is_inside(parts: Sequence[tuple[int, int]], wholes: Sequence[tuple[int, int]]) -> bool:
    """Whether each of the parts lies in a longer one of the wholes."""
    return all(
        any(s <= start and end <= e and e - s > end - start for s, e in wholes) for start, end in parts
    )


def _is_beside(praise: tuple[int, int], nouns: Sequence[tuple[int, int]]) -> bool:
    """Whether an adjective stands right before or behind one of the nouns."""
    return any(start - praise[1] in {0, 1} or praise[0] - end in {0, 1} for start, end in nouns)


def _weight(role: Role, rank: int) -> int:
    """Findings win over what frames them ("summary of findings"), fixes over findings ("fixed issues")."""
    return {Role.FIXED: 0, Role.FINDINGS: 1, Role.ACTIONS: 2, Role.GOOD: 3, Role.NOISE: 4}[role] * 10 + rank


_FRAMING: Final = re.compile(
    r"(classification|definition|scale|criteria|levels?|rating|matrix|methodolog|by severity|statistic|distribution|"
    r"breakdown|count|legend|how (to|we)|overview of the|approach|why)"
)


def _is_framing(lowered: str) -> bool:
    return _FRAMING.search(lowered) is not None


@lru_cache(maxsize=8192)
def sign_of(text: str) -> Verdict | None:
    """Read the first sign of a line: a cross, a tick, a warning, an hourglass."""
    for letter in text:
        if letter in _BAD_SIGNS or letter in _WARNING_SIGNS or letter in _WAITING_SIGNS:
            return Verdict.OPEN
        if letter in _GOOD_SIGNS:
            return Verdict.GOOD
    return None


@lru_cache(maxsize=8192)
def status_of(text: str) -> Verdict | None:
    """Read a state as a short text gives it: what stands in a status column, behind `Status:`, or beside a title."""
    lowered = without_signs(text).casefold().replace("\u2019", "'").strip(" .:*`_")
    sign = sign_of(text)
    words = _status_of_words(lowered)
    if words is Verdict.GOOD and sign is Verdict.OPEN:
        return Verdict.OPEN
    if words is Verdict.OPEN and sign is Verdict.GOOD and not _NOT_DONE.search(lowered):
        return Verdict.GOOD
    return words or sign


@lru_cache(maxsize=8192)
def state_alone(text: str) -> Verdict | None:
    """Read a state of words that say nothing but the state: "WIP", "in progress", "done"; None of any others."""
    lowered = without_signs(_plain_marks(text)).casefold().strip(" .:!")
    for verdict, pattern in (
        (Verdict.NONE, _NO_FINDING),
        (Verdict.PARTIAL, _PARTIAL),
        (Verdict.OPEN, _NOT_DONE),
        (Verdict.DONE, _DONE),
        (Verdict.OPEN, _OPEN),
        (Verdict.GOOD, _GOOD),
    ):
        if pattern.fullmatch(lowered):
            return verdict
    return None


@lru_cache(maxsize=4096)
def heading_state(title: str) -> Verdict | None:
    """Read the state that a heading gives in ordinary words to what stands below it."""
    lowered = title.casefold().replace("\u2019", "'")
    return next((verdict for verdict, pattern in _HEADING_STATES if pattern.search(lowered)), None)


def _status_of_words(lowered: str) -> Verdict | None:  # noqa: C901, PLR0911 - one case after another
    if not lowered:
        return None
    if _NO_FINDING.search(lowered):
        return Verdict.NONE
    share = _SHARE_DONE.search(lowered)
    if share:
        return {0: Verdict.OPEN, 100: Verdict.DONE}.get(int(share[1]), Verdict.PARTIAL)
    refused = _NOT_DONE.search(lowered)
    if _PARTIAL.search(_NOT_DONE.sub(" ", lowered)):
        return Verdict.PARTIAL
    is_done = _DONE.search(lowered) is not None
    if is_done and _UNRELEASED.search(lowered):
        return Verdict.PARTIAL
    if refused or _FUTURE.search(lowered):
        return Verdict.OPEN
    if is_done:
        return Verdict.DONE
    if lowered in {"no", "nein", "non", "não", "नहीं", "x"}:
        return Verdict.OPEN
    if _POSITIVE.search(lowered):
        return Verdict.GOOD
    good, bad = _GOOD.search(lowered), _OPEN.search(lowered)
    if good and not bad:
        return Verdict.GOOD
    return Verdict.OPEN if bad else None


@lru_cache(maxsize=8192)
def severity_in(text: str, *, is_free: bool = False) -> str | None:
    """Read a severity: of a short text such as a cell as a whole, or (`is_free`) of a tag at either end of a title."""
    for letter in text:
        if letter in _SEVERITY_SIGNS and not is_free:
            return _SEVERITY_SIGNS[letter]
    score = _CVSS.search(text)
    if score:
        return severity_of_score(float(score[1]))
    bare = without_signs(_plain_marks(text)).casefold()
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


def _plain_marks(text: str) -> str:
    """Take stars, ticks and underscores off the ends of words."""
    return re.sub(r"[*`_]+", "", text)


def _severity_of_words(lowered: str) -> str | None:
    return next((severity for severity, pattern in _SEVERITY_WORDS if pattern.search(lowered)), None)


@lru_cache(maxsize=8192)
def label_of(text: str) -> Label | None:
    """Read the name of a column, or what stands before a colon; None for what is no label."""
    bare = without_signs(_plain_marks(text)).casefold().replace("\u2019", "'").strip(" .:?()-")
    bare = re.sub(r"\s*\([^)]*\)$", "", bare)
    return _LABEL_OF.get(bare)


@lru_cache(maxsize=8192)
def has_problem(text: str) -> bool:
    """Whether a sentence says that something is wrong, missing or to be changed."""
    lowered = without_signs(text).casefold().replace("\u2019", "'")
    return _PROBLEM.search(_POSITIVE.sub(" ", lowered)) is not None


@lru_cache(maxsize=8192)
def has_strong_problem(text: str) -> bool:
    """Whether a sentence says outright that something is not there or does not work."""
    lowered = without_signs(text).casefold().replace("\u2019", "'")
    return _STRONG.search(_POSITIVE.sub(" ", lowered)) is not None


@lru_cache(maxsize=8192)
def has_role_words_only(title: str) -> bool:
    """Whether nothing is left of a title without the words that name parts of a report, levels and times."""
    rest = title.casefold().replace("\u2019", "'")
    for _, pattern in _ROLES:
        rest = pattern.sub(" ", rest)
    rest = _FILLERS.sub(" ", rest)
    for _, pattern in _SEVERITY_WORDS:
        rest = pattern.sub(" ", rest)
    return not re.search(r"(?:[^\W\d_]|[\u0900-\u097f]){2,}", rest)


@lru_cache(maxsize=8192)
def is_action(text: str) -> bool:
    """Whether a line begins (or, in Hindi and German, ends) with a word that asks for something to be done."""
    lowered = without_signs(text).casefold()
    found = _ACTION.match(lowered.lstrip("*_ `"))
    return found is not None or re.search(r"(करें|जाएँ|जाए|बनाएँ|बनाएं|en|ern)[.।]?$", lowered) is not None


def is_past(text: str) -> bool:
    """Whether a fix is told of as done ("Removed ...") and not as wanted ("Remove ...")."""
    return _PAST.match(without_signs(text).casefold()) is not None


def is_told_fixed(text: str) -> bool:
    """Whether one of the sentences of a text begins with a word for done: "Fixed by ... in March."."""
    sentences = re.split(r"(?<=[.!?।])\s+", without_signs(text).casefold())
    return any(_TOLD_FIXED.match(sentence) is not None for sentence in sentences)


def is_telling(word: str) -> bool:
    """Whether a word in lower case says what a text is about: neither an article nor a verb that asks for something."""
    return word not in _EMPTY_WORDS and _ACTION.fullmatch(word) is None


def is_generic(word: str) -> bool:
    """Whether any title may have a word: page, system, section."""
    return word in _GENERIC


@lru_cache(maxsize=8192)
def tokens_of(text: str) -> frozenset[str]:
    """Reduce a title to the stems of its telling words."""
    return frozenset(
        _stem(word)
        for word in _TOKEN.findall(without_signs(text).casefold())
        if word not in _EMPTY_WORDS and len(word) > 1
    )


def core_of(tokens: frozenset[str]) -> frozenset[str]:
    """Leave out words that any title may have, unless nothing is left."""
    return (tokens - _GENERIC_STEMS) or tokens


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            return word[: -len(suffix)]
    return word


_GENERIC_STEMS: Final = frozenset(_stem(word) for word in _GENERIC)
