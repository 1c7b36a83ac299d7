"""Titles reduced to the stems of their telling words, so that two that say one thing are seen to."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from app.post_audit.steps.enhancements.readers.markdown_vocabulary import VOCABULARY, without_signs
from app.post_audit.steps.enhancements.readers.markdown_words import ACTION_WORDS

__all__ = ["EMPTY_WORDS", "TOKEN", "core_of", "is_generic", "is_telling", "tokens_of"]

TOKEN: Final = re.compile(r"[\w\u0900-\u097f]+")
EMPTY_WORDS: Final = frozenset(VOCABULARY["words"]["empty"])
_GENERIC: Final = frozenset(VOCABULARY["words"]["generic"])
_SUFFIXES: Final = ("ations", "ation", "ings", "ing", "ions", "ion", "ies", "ed", "es", "s", "y", "e")
_SHORTEST_STEM: Final = 4


def is_telling(word: str) -> bool:
    """Whether a word in lower case says what a text is about: neither an article nor a verb that asks for something."""
    return word not in EMPTY_WORDS and ACTION_WORDS.fullmatch(word) is None


def is_generic(word: str) -> bool:
    """Whether any title may have a word: page, system, section."""
    return word in _GENERIC


@lru_cache(maxsize=8192)
def tokens_of(text: str) -> frozenset[str]:
    """Reduce a title to the stems of its telling words."""
    return frozenset(
        _stem(word)
        for word in TOKEN.findall(without_signs(text).casefold())
        if word not in EMPTY_WORDS and len(word) > 1
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
