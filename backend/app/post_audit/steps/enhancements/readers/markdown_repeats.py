"""Actions that repeat a finding in other words: "Delete unattached volumes" for "14 unattached volumes cost 310 USD".

An action is held against all that is said of each finding. Words agree when one begins as the other does, or is a part
of it, as in German compounds. Rare words tell more: a word of many findings says little of which one is meant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_words import is_generic, is_telling, without_signs

__all__ = ["repeated", "telling_words"]

_WORD: Final = re.compile(r"[^\W\d_]{2,}|[^\W_]{3,}")
_BEGINNING: Final = 5
"""Letters that two words must begin with alike; "valid-ate" and "valid-ation" do."""
_PART: Final = 5
_SHORT: Final = 3
_MOST: Final = 0.55
"""The share of an action's words that one finding must have."""
_UNNAMED: Final = 0.8
_LOOSE: Final = 0.4
_AHEAD: Final = 0.15
"""How much more than the next best it must have."""
_FEW: Final = 2
_LONG: Final = 7
_ALL: Final = 0.95


def telling_words(text: str) -> frozenset[str]:
    """List the words of a text that say what it is about, in lower case."""
    return frozenset(word for word in _WORD.findall(without_signs(text).casefold()) if is_telling(word))


def _agree(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) < _BEGINNING:
        return len(short) >= _SHORT and long.startswith(short) and len(long) - len(short) <= _SHORT - 1
    return short[:_BEGINNING] == long[:_BEGINNING] or (len(short) >= _PART and short in long)


def repeated(
    action: str, titles: Sequence[str], bodies: Sequence[str], *, is_loose: bool = False
) -> int | None:
    """Find the finding that an action repeats, given each one's title and all that is said of it (its body).

    `is_loose` is for a plan most of which repeats: one word that the title of a single finding has is enough.

    Returns:
        Its place, or None where none has most of the action's words, or two have nearly as many. Where no word is in
        the title, nearly all are to be in the body: a long text has most words by chance.
    """
    words = sorted(telling_words(action))
    if not words or not bodies:
        return None
    known = [telling_words(body) for body in bodies]
    has = [[any(_agree(word, other) for other in body) for body in known] for word in words]
    weights = [_weight(word, sum(row), len(known)) for word, row in zip(words, has, strict=True)]
    total = sum(weights)
    shares = [
        sum(weight for weight, row in zip(weights, has, strict=True) if row[place]) / total
        for place in range(len(known))
    ]
    counts = [sum(row[place] for row in has) for place in range(len(known))]
    order = sorted(range(len(known)), key=lambda place: (-shares[place], place))
    best = order[0]
    ahead = shares[best] - (shares[order[1]] if len(order) > 1 else 0.0)
    named = telling_words(titles[best])
    is_named = any(_agree(word, other) for word in words for other in named)
    is_most = (
        shares[best] >= (_MOST if is_named else _UNNAMED)
        and counts[best] >= min(2, len(words))
        and ahead >= _AHEAD
    )
    is_all = shares[best] >= _ALL and counts[best] > 1 and ahead > 0
    is_likely = is_loose and is_named and shares[best] >= _LOOSE and ahead > 0
    # "Ländervorwahl nachtragen": the one long word that a single title has
    is_long = len(words) <= _FEW and any(
        len(word) >= _LONG and sum(row) == 1 and row[best] and any(_agree(word, other) for other in named)
        for word, row in zip(words, has, strict=True)
    )
    return best if is_most or is_all or is_likely or is_long else None


def _weight(word: str, findings: int, all_findings: int) -> float:
    """Weigh a word: less when many findings have it, or when any title may have it."""
    rarity = math.log1p(all_findings / max(findings, 1)) if findings else math.log1p(all_findings / 2)
    return rarity * (0.5 if is_generic(word) else 1.0)
