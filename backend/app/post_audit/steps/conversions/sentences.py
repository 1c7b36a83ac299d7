"""Kinds of reasons filled as people read them: counts grouped, fractions as percent, evidence as odds."""

from __future__ import annotations

from app.post_audit.formats import count, percent, ratio_in_words
from app.post_audit.step import Reason, ReasonCode
from app.post_audit.steps.conversions.numbers import finite

__all__ = ["odds_of", "say"]


def say(code: ReasonCode, **numbers: float | str) -> Reason:
    """Fill the gaps as people read them: counts grouped, fractions as percent. Keep the bare numbers."""

    def shown(number: float | str) -> str:
        if isinstance(number, str):
            return number
        return count(number) if isinstance(number, int) else percent(number, 2)

    text = code.worded(numbers).format(**{name: shown(number) for name, number in numbers.items()})
    return Reason(code=code.code, text=text, numbers=numbers)


def odds_of(log_e: float, tests: int = 1) -> str:
    """Say how seldom evidence of this strength appears, where so many things were tested."""
    return ratio_in_words(finite(log_e) / tests)
