"""The text of an alert as Telegram's HTML: escaped, within its limit, with the decision's number and the way back."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from app.post_audit.formats import count, ist
from app.post_audit.ports import Envelope

__all__ = ["LONGEST", "text_of"]

LONGEST: Final = 4096
"""Of a message after its markup was read, counted as Telegram counts: in UTF-16 code units."""

_NAMED_DECISIONS: Final = 5


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _cut(text: str, units: int) -> str:
    """Shorten a text to so many UTF-16 code units, without cutting a sign in two."""
    if _units(text) <= units:
        return text
    kept = text.encode("utf-16-le")[: 2 * max(0, units - 1)].decode("utf-16-le", errors="ignore")
    return f"{kept.rstrip()}…"


def text_of(envelope: Envelope, *, times: int = 1, since: datetime | None = None) -> str:
    """Write the message: what happened in bold, why, how to take it back, and which decision it was.

    `times` is how often the same was said, this time included, and `since` when it was said first.
    """
    told = str(envelope.payload.get("text") or "")
    # Signs that Telegram refuses in a text.
    told = "".join(sign for sign in told if sign in "\n\t" or sign.isprintable() or sign == "\u200d").strip()
    footer = "\n".join(_footer(envelope, told, times, since))
    told = _cut(told or "A decision without words.", LONGEST - _units(footer) - 2)
    headline, line_break, rest = told.partition("\n")
    return f"<b>{_escaped(headline)}</b>{line_break}{_escaped(rest)}\n\n<i>{_escaped(footer)}</i>"


def _escaped(text: str) -> str:
    """Telegram's HTML knows three signs that mean something."""
    return html.escape(text, quote=False)


def _footer(envelope: Envelope, told: str, times: int, since: datetime | None) -> list[str]:
    number = envelope.decision_id
    lines = []
    if times > 1:
        first = "" if since is None else f" since {ist(since)}"
        lines.append(f"Said {count(times)} times{first}, last by {_decisions([*envelope.others, number])}.")
    lines.append(f"Decision {number}. Why: post-audit decisions {number}")
    if envelope.can_approve and f"post-audit approve {number}" not in told:
        lines.append(f"To agree: post-audit approve {number}")
    if envelope.can_undo and f"post-audit undo {number}" not in told:
        lines.append(f"To take it back: post-audit undo {number}")
    return lines


def _decisions(numbers: Sequence[int]) -> str:
    latest = sorted(set(numbers))[-_NAMED_DECISIONS:]
    if len(latest) == 1:
        return f"decision {latest[0]}"
    return f"decisions {', '.join(map(str, latest[:-1]))} and {latest[-1]}"
