"""The part that a heading announces: what is wrong, what to do, what is fixed, what works, what only frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_stems import EMPTY_WORDS, TOKEN
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import (
    VOCABULARY,
    pattern_of,
    without_signs,
)
from app.post_audit.steps.enhancements.readers.markdown_words import SEVERITY_WORDS

__all__ = ["Role", "has_role_words_only", "is_soft_noise", "role_of"]


class Role(Enum):
    """The part that a section plays."""

    FINDINGS = "what is wrong or missing"
    ACTIONS = "what is to be done"
    FIXED = "what was wrong and is fixed"
    GOOD = "what works"
    NOISE = "what frames the report"


_ROLES: Final = tuple((Role[name.upper()], pattern_of(words)) for name, words in VOCABULARY["roles"].items())
_WEAK_NOISE: Final = pattern_of(VOCABULARY["words"]["weak_noise"])
_SOFT_NOISE: Final = pattern_of(VOCABULARY["words"]["soft_noise"])
_PRAISE: Final = pattern_of(VOCABULARY["words"]["praise"])
_FILLERS: Final = pattern_of(VOCABULARY["words"]["fillers"])


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
    return len([word for word in TOKEN.findall(rest) if word not in EMPTY_WORDS]) > 1


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
def has_role_words_only(title: str) -> bool:
    """Whether nothing is left of a title without the words that name parts of a report, levels and times."""
    rest = title.casefold().replace("\u2019", "'")
    for _, pattern in _ROLES:
        rest = pattern.sub(" ", rest)
    rest = _FILLERS.sub(" ", rest)
    for _, pattern in SEVERITY_WORDS:
        rest = pattern.sub(" ", rest)
    return not re.search(r"(?:[^\W\d_]|[\u0900-\u097f]){2,}", rest)
