"""What makes two reports the same bug: the same page, the same error code and the same title, normalised.

Title alone is no evidence: in one archive only 10 to 19 % of reports with identical titles were duplicates. So
where a report names neither page nor error code, its description has to be the same too, and numbers count: of
46 pairs that title and description without numbers held to be the same there, 26 were of another version or branch.
Similarity plays no part here.

Version 1 of the normal form: Unicode NFKC and case folding; punctuation and symbols are spaces; ids and
numbers are one sign, except the number of an error (error 404 is not error 500). Rule: whoever changes a
normal form raises VERSION, so that fingerprints of two forms never meet.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

__all__ = ["DESCRIPTION_LIMIT", "VERSION", "fingerprint", "is_current", "normalise_page", "normalise_text"]

VERSION: Final = 1

DESCRIPTION_LIMIT: Final = 2_000
"""Characters of a description that are compared."""

_NUMBER: Final = "#"
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HOST: Final = re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#]*")
_PLACEHOLDER: Final = re.compile(r"\[[a-z]+\]")
_CODE_WORDS: Final = frozenset({"code", "err", "error", "http", "status"})
_CODE_LENGTHS: Final = range(3, 6)
_ID_DIGITS: Final = 3
_ID_LENGTH: Final = 6


def fingerprint(*, title: str, page: str | None, error_code: str | None, description: str | None) -> str:
    """Name what the report is about: `v1:` and 64 hexadecimal digits, the same for the same bug.

    All four as they are stored; normalising is done here.
    """
    where = [normalise_page(page or ""), " ".join(_fold(error_code or "").split())]
    if any(where):
        what = [normalise_text(title)]
    else:
        what = [
            normalise_text(text, keep_numbers=True)
            for text in (title, (description or "")[:DESCRIPTION_LIMIT])
        ]
    digest = hashlib.sha256("\x1f".join([*where, *what]).encode("utf-8", "surrogatepass")).hexdigest()
    return f"v{VERSION}:{digest}"


def is_current(stored: str | None) -> bool:
    """Tell whether a stored fingerprint is one of this version's; another system's is left alone."""
    return stored is not None and re.fullmatch(rf"v{VERSION}:[0-9a-f]{{64}}", stored) is not None


def normalise_text(text: str, *, keep_numbers: bool = False) -> str:
    """Reduce a title to its words; numbers and ids become one sign unless they are to be kept.

    >>> normalise_text("  WALLET shows ₹0 -- after claim #81273! ")
    'wallet shows # after claim #'
    """
    folded = _fold(text)
    spaced = "".join(
        character if unicodedata.category(character)[0] in "LMN" else " "
        for character in _UUID.sub(" 0 ", folded)
    )
    words: list[str] = []
    former = ""
    for word in spaced.split():
        is_code = former in _CODE_WORDS and word.isdecimal() and len(word) in _CODE_LENGTHS
        reduced = word if keep_numbers or is_code or not _is_id(word) else _NUMBER
        # An id that punctuation cut into pieces is one id.
        if not (reduced == _NUMBER and words and words[-1] == _NUMBER):
            words.append(reduced)
        former = word
    # A title of signs alone ("???") is still a title.
    return " ".join(words) or " ".join(folded.split())


def normalise_page(page: str) -> str:
    """Reduce an address to its route: no host, no query, no ids, no case.

    >>> normalise_page("https://bell24h.example/Suppliers/4711/?utm=x#top")
    '/suppliers/:id'
    """
    folded = _fold(page).strip()
    path = _HOST.sub("", folded)
    # In a page that routes by its fragment (#/wallet) the fragment is the path.
    path = re.split(r"[?#]", re.sub(r"/?#!?/", "/", path), maxsplit=1)[0]
    if not path:
        return "/" if folded else ""
    segments = [
        ":id" if _UUID.fullmatch(segment) or _PLACEHOLDER.fullmatch(segment) or _is_id(segment) else segment
        for segment in path.split("/")
        if segment
    ]
    return ("/" if path.startswith("/") else "") + "/".join(segments)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _is_id(word: str) -> bool:
    """Numbers and what looks like a key. Words with a digit (b2b, 2fa, mp4) stay words."""
    digits = sum(character.isdecimal() for character in word)
    return digits > 0 and (digits == len(word) or digits >= _ID_DIGITS or len(word) >= _ID_LENGTH)
