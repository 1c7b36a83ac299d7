"""Actions that repeat a finding in other words: "Delete unattached volumes" for "14 unattached volumes cost 310 USD".

An action is held against all that is said of each finding. Words agree when one begins as the other does, or is a part
of it, as in German compounds. Rare words tell more: a word of many findings says little of which one is meant.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_stems import is_generic, is_telling
from app.post_audit.steps.enhancements.readers.markdown_vocabulary import without_signs

__all__ = ["Findings"]

_WORD: Final = re.compile(r"[^\W\d_]{2,}|[^\W_]{3,}")
_BEGINNING: Final = 5
"""Letters that two words must begin with alike; "valid-ate" and "valid-ation" do."""
_PART: Final = 5
_SHORT: Final = 3
_COMPOUND: Final = 9
"""Letters of a word that may be made of two."""
_LONGEST: Final = 40
_MOST_WORDS: Final = 1_000
"""Compared with each word of an action: a text made to be slow takes three seconds at worst, with 800 mentions."""
_MOST: Final = 0.55
"""The share of an action's words that one finding must have."""
_UNNAMED: Final = 0.8
_LOOSE: Final = 0.4
_AHEAD: Final = 0.15
"""How much more than the next best it must have."""
_FEW: Final = 2
_LONG: Final = 7
_ALL: Final = 0.95


def _telling_words(text: str) -> frozenset[str]:
    """List the words of a text that say what it is about, in lower case."""
    return frozenset(word for word in _WORD.findall(without_signs(text).casefold()) if is_telling(word))


def _agree(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) < _BEGINNING:
        return len(short) >= _SHORT and long.startswith(short) and len(long) - len(short) <= _SHORT - 1
    return short[:_BEGINNING] == long[:_BEGINNING] or (len(short) >= _PART and short in long)


class Findings:
    """What is said of each finding, kept by its words: each word of any action is looked up once."""

    def __init__(self, titles: Sequence[str], bodies: Sequence[str]) -> None:
        """Take each finding's title and all that is said of it."""
        self._titles = [_telling_words(title) for title in titles]
        self._places: dict[str, set[int]] = {}
        for place, body in enumerate(bodies):
            for word in _telling_words(body):
                self._places.setdefault(word, set()).add(place)
        self._beginning: dict[str, list[str]] = {}
        for word in sorted(self._places):
            self._beginning.setdefault(word[:_SHORT], []).append(word)
        self._compounds = [word for word in sorted(self._places) if len(word) >= _COMPOUND][:_MOST_WORDS]
        self._known: dict[str, set[int]] = {}

    def _places_of(self, word: str) -> set[int]:
        if word not in self._known:
            parts = {word[i:j] for i in range(len(word)) for j in range(i + _PART, len(word) + 1)}
            near = [*self._beginning.get(word[:_SHORT], [])[:_MOST_WORDS]]
            near += [other for other in self._compounds if word in other]
            near += [part for part in parts if part in self._places] if len(word) <= _LONGEST else []
            self._known[word] = set().union(*(self._places[other] for other in near if _agree(word, other)))
        return self._known[word]

    def repeated(self, action: str, *, is_loose: bool = False) -> int | None:
        """Find the finding that an action repeats.

        `is_loose` is for a plan most of which repeats: one word that the title of a single finding has is enough.

        Returns:
            Its place, or None where none has most of the action's words, or two have nearly as many. Where no word is
            in the title, nearly all are to be in the body: a long text has most words by chance.
        """
        words = sorted(_telling_words(action)) if self._titles else []
        has = [self._places_of(word) for word in words]
        weights = [
            _weight(word, len(places), len(self._titles)) for word, places in zip(words, has, strict=True)
        ]
        shares: Counter[int] = Counter()
        for weight, places in zip(weights, has, strict=True):
            shares.update(dict.fromkeys(places, weight / sum(weights)))
        if not shares:
            return None
        order = sorted(shares, key=lambda place: (-shares[place], place))
        best = order[0]
        count = sum(best in places for places in has)
        ahead = shares[best] - (shares[order[1]] if len(order) > 1 else 0.0)
        named = {word for word in words if any(_agree(word, other) for other in self._titles[best])}
        is_most = shares[best] >= (_MOST if named else _UNNAMED) and count >= min(2, len(words))
        # "Ländervorwahl nachtragen": the one long word that a single title has
        is_long = len(words) <= _FEW and any(
            len(word) >= _LONG and places == {best} and word in named
            for word, places in zip(words, has, strict=True)
        )
        answers = (
            is_most and ahead >= _AHEAD,
            shares[best] >= _ALL and count > 1 and ahead > 0,
            is_loose and bool(named) and shares[best] >= _LOOSE and ahead > 0,
            is_long,
        )
        return best if any(answers) else None


def _weight(word: str, findings: int, all_findings: int) -> float:
    """Weigh a word: less when many findings have it, or when any title may have it."""
    rarity = math.log1p(all_findings / max(findings, 1)) if findings else math.log1p(all_findings / 2)
    return rarity * (0.5 if is_generic(word) else 1.0)
