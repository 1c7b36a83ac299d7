"""Takes secrets out of whatever is written: known values, and what looks like a password, a key or a token.

Nothing here reads settings: `hide` is told which values are secret.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["hide", "redact"]

# Shorter values would blank ordinary words.
_SHORTEST_SECRET: Final = 6
# Paths of webhooks are secrets when they are long; /webhook is none.
_SHORTEST_PATH: Final = 12
_SHORTEST_SEGMENT: Final = 16
_REDACTED: Final = "[redacted]"

_PATTERNS: Final = (
    # the password in user:password@host
    (re.compile(r"(?<=://)([^\s:/@]*):([^\s/@]+)@"), rf"\1:{_REDACTED}@"),
    # Telegram's bot token, in an address or alone
    (re.compile(r"\b(bot)?\d{6,12}:[A-Za-z0-9_-]{30,}\b"), _REDACTED),
    # Supabase keys: a JSON web token, or sb_secret_...
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), _REDACTED),
    (re.compile(r"\bsb_secret_[\w-]+"), _REDACTED),
    # the link that signs in once, as an access log has it
    (re.compile(r"(?<=[?&]link=)[\w-]{20,}"), _REDACTED),
    (
        re.compile(
            r"(?i)\b(password|apikey|authorization)(['\"]?\s*[=:]\s*['\"]?)(?:bearer\s+)?[^\s'\",;&]+"
        ),
        rf"\1\2{_REDACTED}",
    ),
)
_known: set[str] = set()


def _forms(secret: str) -> Iterator[str]:
    """A secret and, where it is an address, what of it may be printed without the rest."""
    yield secret
    if "://" not in secret:
        return
    try:
        parts = urlsplit(secret)
        password = parts.password or ""
    except ValueError:
        return
    for part in (password, *(value for _, value in parse_qsl(parts.query))):
        yield part
        yield unquote(part)
    if parts.scheme in {"http", "https"}:
        # as servers and libraries name a request
        if len(parts.path) >= _SHORTEST_PATH:
            yield parts.path
        yield from (segment for segment in parts.path.split("/") if len(segment) >= _SHORTEST_SEGMENT)


def redact(text: str) -> str:
    """Take every known secret, and what looks like one, out of a text."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, _REDACTED)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def hide(secrets: Iterable[str]) -> None:
    """Know these secrets, and no others, in all that is redacted from now on."""
    _known.clear()
    _known.update(form for secret in secrets for form in _forms(secret) if len(form) >= _SHORTEST_SECRET)
