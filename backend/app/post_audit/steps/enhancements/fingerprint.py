"""By what a finding is known again in the next report.

A fingerprint is made of what stays: never of severity, line, date or wording that a tool fills with numbers. It
starts with the version of its rule, so that a better rule can tell its own from those of its predecessor.

1. The tool's own lasting id; a reader adds rule and place where the tool's id needs them.
2. Else the rule with place, component and the piece of code it points at.
3. Else (no rule, or one as broad as a CWE) the words of the title with the place, the component and the rule.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from urllib.parse import unquote, urlsplit

__all__ = ["digest_of", "fingerprint", "fingerprint_of", "normal_place", "normal_words"]

_VERSION = "1"
_PREFIX = f"{_VERSION}:"
_WORD = re.compile(r"\w+")
_URL = re.compile(r"https?://", re.IGNORECASE)
_FILE_URL = re.compile(r"^file:/{0,2}(?=/)", re.IGNORECASE)
_SLASHES = re.compile(r"/{2,}")
_HERE = re.compile(r"^(?:\./)+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def fingerprint(  # noqa: PLR0913 - one argument for each thing that stays
    *, uid: str = "", rule: str = "", place: str = "", component: str = "", code: str = "", title: str = ""
) -> str:
    """Make the fingerprint of a finding: `1:` and 64 hexadecimal digits.

    `place` is a path or URL, `code` the piece of code pointed at, `title` given where the rule alone is too broad.
    """
    if uid:
        known = f"uid\0{uid}"
    elif rule and not title:
        words = " ".join(code.split()) if code else ""
        known = f"rule\0{rule}\0{normal_place(place)}\0{component}\0{words}"
    else:
        known = f"title\0{normal_words(title)}\0{normal_place(place)}\0{component}\0{rule}"
    return _PREFIX + sha256(known.encode("utf-8", "replace")).hexdigest()


def digest_of(fingerprint: str) -> bytes:
    """Give the 32 bytes that a fingerprint is made of; their order is that of the fingerprints."""
    return bytes.fromhex(fingerprint.removeprefix(_PREFIX))


def fingerprint_of(digest: bytes) -> str:
    """Write the fingerprint that 32 bytes stand for."""
    return _PREFIX + digest.hex()


def normal_words(text: str) -> str:
    """Reduce a title to its words and numbers in lower case: no marks, no emoji, one space between."""
    return " ".join(_WORD.findall(text.casefold()))


@lru_cache(maxsize=4096)  # a file has many findings
def normal_place(place: str) -> str:
    """Write a path or URL the one way: forward slashes, no `./`, no `file://`; host in lower case, no fragment."""
    text = place.strip()
    if not ("%" in text or "\\" in text or ":" in text or "//" in text or text.startswith("./")):
        # nine of ten, in a seventh of the time
        return text
    text = text.replace("\\", "/")
    if _URL.match(text):
        return _normal_url(text)
    text = unquote(_FILE_URL.sub("", text))
    return _HERE.sub("", _SLASHES.sub("/", text))


def _normal_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        # not a URL after all, such as an unclosed IPv6 address: known by its letters
        return text
    scheme, host = parts.scheme.lower(), (parts.hostname or "")
    if port is not None and port != _DEFAULT_PORTS.get(scheme):
        host = f"{host}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{host}{parts.path.rstrip('/')}{query}"
