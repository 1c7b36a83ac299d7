"""The words and signs that reports are understood by: `markdown_words.toml`, compiled; and text without the signs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

__all__ = [
    "BAD_SIGNS",
    "GOOD_SIGNS",
    "VOCABULARY",
    "WAITING_SIGNS",
    "WARNING_SIGNS",
    "pattern_of",
    "plain_marks",
    "without_signs",
]


def pattern_of(words: Sequence[str]) -> re.Pattern[str]:
    """Compile a list of words and phrases; other scripts than Latin have no word boundaries."""
    patterns = []
    # the longest first: of two that begin alike, the phrase is to be found and not its first word
    for word in sorted(words, key=lambda word: (-len(word), word)):
        body = re.escape(word.rstrip("*")).replace(r"\ ", r"[\s\-]+").replace(" ", r"[\s\-]+")
        ending = r"\w*" if word.endswith("*") else r"(?!\w)"
        patterns.append(rf"(?<!\w){body}{ending}" if word[0] < "\u0900" else body)
    return re.compile("|".join(patterns))


VOCABULARY: Final[dict[str, dict[str, list[str]]]] = tomllib.loads(
    files(__package__).joinpath("markdown_words.toml").read_text(encoding="utf-8")
)

# Signs. A coloured circle says how bad, not whether it is open.
BAD_SIGNS: Final = "❌✗✘✖🚫⛔❎🛑⮾"
GOOD_SIGNS: Final = "✅✓✔☑👍🎉"
WARNING_SIGNS: Final = "⚠❗❕‼🚨🐛💥🟥"
WAITING_SIGNS: Final = "⏳⌛🔄🚧⏸⬜☐🔲🔜"
_SIGNS: Final = re.compile(
    rf"[{BAD_SIGNS}{GOOD_SIGNS}{WARNING_SIGNS}{WAITING_SIGNS}\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff"
    r"\U0001f000-\U0001faff\ufe0e\ufe0f\u20e3\u200d]"
)


def without_signs(text: str) -> str:
    """Take emoji and other signs out of a line."""
    return " ".join(_SIGNS.sub(" ", text).split())


def plain_marks(text: str) -> str:
    """Take stars, ticks and underscores off the ends of words."""
    return re.sub(r"[*`_]+", "", text)
