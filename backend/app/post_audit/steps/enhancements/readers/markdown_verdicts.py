"""What signs and words say of the thing beside them: open, begun, done, good, or no finding at all."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_vocabulary import (
    BAD_SIGNS,
    GOOD_SIGNS,
    VOCABULARY,
    WAITING_SIGNS,
    WARNING_SIGNS,
    pattern_of,
    plain_marks,
    without_signs,
)
from app.post_audit.steps.enhancements.readers.markdown_words import NO_PROBLEM

__all__ = ["Verdict", "heading_state", "is_past", "is_told_fixed", "sign_of", "state_alone", "status_of"]


class Verdict(Enum):
    """What a sign or word says of the thing beside it."""

    OPEN = "open"
    PARTIAL = "partial"
    DONE = "done"
    GOOD = "good"
    NONE = "no finding"


_NO_FINDING: Final = pattern_of(VOCABULARY["words"]["no_finding"])
_NOT_DONE: Final = pattern_of(VOCABULARY["words"]["not_done"])
_PARTIAL: Final = pattern_of(VOCABULARY["words"]["partial"])
_DONE: Final = pattern_of(VOCABULARY["words"]["done"])
_OPEN: Final = pattern_of(VOCABULARY["words"]["open"])
_GOOD: Final = pattern_of(VOCABULARY["words"]["good"])
_SHARE_DONE: Final = re.compile(
    r"(?<![\d.,])(\d{1,3})\s*%\s*(?:complete|completed|done|finished|fixed|erledigt|fertig|hecho|fait|पूर्ण)"
)
_FUTURE: Final = pattern_of(VOCABULARY["words"]["future"])
_UNRELEASED: Final = pattern_of(VOCABULARY["words"]["unreleased"])
_HEADING_STATES: Final = (
    (Verdict.PARTIAL, pattern_of(VOCABULARY["heading_states"]["partial"])),
    (Verdict.OPEN, pattern_of(VOCABULARY["heading_states"]["open"])),
)
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


@lru_cache(maxsize=8192)
def sign_of(text: str) -> Verdict | None:
    """Read the first sign of a line: a cross, a tick, a warning, an hourglass."""
    for letter in text:
        if letter in BAD_SIGNS or letter in WARNING_SIGNS or letter in WAITING_SIGNS:
            return Verdict.OPEN
        if letter in GOOD_SIGNS:
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
    lowered = without_signs(plain_marks(text)).casefold().strip(" .:!")
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
    if NO_PROBLEM.search(lowered):
        return Verdict.GOOD
    good, bad = _GOOD.search(lowered), _OPEN.search(lowered)
    if good and not bad:
        return Verdict.GOOD
    return Verdict.OPEN if bad else None


def is_past(text: str) -> bool:
    """Whether a fix is told of as done ("Removed ...") and not as wanted ("Remove ...")."""
    return _PAST.match(without_signs(text).casefold()) is not None


def is_told_fixed(text: str) -> bool:
    """Whether one of the sentences of a text begins with a word for done: "Fixed by ... in March."."""
    sentences = re.split(r"(?<=[.!?।])\s+", without_signs(text).casefold())
    return any(_TOLD_FIXED.match(sentence) is not None for sentence in sentences)
