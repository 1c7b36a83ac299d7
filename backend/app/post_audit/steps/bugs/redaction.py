"""Take out of a report what identifies or endangers a person, before it is stored, compared or sent.

What goes: e-mail addresses, phone numbers, PAN, Aadhaar and card numbers, UPI ids and one-time passwords.
What stays: amounts of money, order and invoice numbers, times, versions, GSTIN (a business's public number).
Card numbers need a valid check digit, Aadhaar numbers a valid check digit or their name beside them; so a
long order number stays readable.

A finding is replaced by its kind in brackets ([phone]), which is never found again: redacting twice changes
nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from stdnum import luhn, verhoeff
from stdnum.exceptions import ValidationError

__all__ = ["clean_line", "clean_text", "neutralise", "redact"]

_Accepts = Callable[[str, "re.Match[str]"], bool]

_PARAGRAPH: Final = frozenset("\r\x0b\x0c\x85\u2028\u2029")
_JOINERS: Final = frozenset("\u200c\u200d")
_LONGEST_CONTEXT: Final = 40

# Handles of UPI apps and banks (NPCI's list, the common ones); any other handle needs the word UPI nearby,
# for `react@next` is no bank account.
_UPI_HANDLES: Final = (
    "ok(?:axis|sbi|hdfcbank|icici)|ybl|ibl|axl|apl|yapl|rapl|waaxis|waicici|wahdfcbank|wasbi|paytm|pt(?:yes|axis|hdfc|sbi)"
    "|upi|sbi|hdfcbank|icici|axisbank|kotak|barodampay|pnb|cnrb|unionbank|idfcbank|indus|federal|freecharge|jupiteraxis"
    "|naviaxis|superyes|slc|fam|timecosmos|airtel|postbank|abfspay|ikwik|mbk"
)
_SEPARATOR: Final = r"[ .\-]?"


def neutralise(text: str) -> str:
    """Remove what is there to deceive a reader: control, direction and invisible characters.

    Line breaks stay, as newlines. The joiners that Hindi and emoji are written with stay between characters
    beyond ASCII, and go elsewhere: between digits they would hide a number.
    """
    kept: list[str] = []
    for position, character in enumerate(text):
        category = unicodedata.category(character)
        if character in "\n\t":
            kept.append(character)
        elif character in _PARAGRAPH:
            if character != "\r" or text[position + 1 : position + 2] != "\n":
                kept.append("\n")
        elif character in _JOINERS:
            around = text[max(0, position - 1) : position] + text[position + 1 : position + 2]
            if len(around) == 2 and not any(_is_plain(other) for other in around):  # noqa: PLR2004 - one on each side
                kept.append(character)
        elif category == "Cs":
            kept.append("\N{REPLACEMENT CHARACTER}")
        elif category not in {"Cc", "Cf"}:
            kept.append(character)
    return "".join(kept)


def redact(text: str) -> str:
    """Replace every finding by its kind.

    >>> redact("Call 98765 43210, order 9876543210, paid ₹9876543210 by card 4111 1111 1111 1111")
    'Call [phone], order 9876543210, paid ₹9876543210 by card [card]'
    """
    for kind, pattern, accepts in _RULES:
        # Numbers may be written in any script's digits; a shadow of the same length has them in ASCII.
        shadow = "".join(_plain(character) for character in text)
        parts: list[str] = []
        end = 0
        for match in pattern.finditer(shadow):
            start, stop = match.span("secret")
            if accepts(shadow, match):
                parts += [text[end:start], f"[{kind}]"]
                end = stop
        text = "".join(parts) + text[end:]
    return text


def clean_text(text: str) -> str:
    """Make a text of several lines safe to store and to send."""
    return redact(neutralise(text)).strip()


def clean_line(text: str) -> str:
    """Make a text safe to store and to send, on one line."""
    return redact(" ".join(neutralise(text).split()))


def _is_plain(character: str) -> bool:
    return character.isascii() or character.isdecimal()


def _plain(character: str) -> str:
    """One character as ASCII where it is a digit or a wide form of one."""
    if character.isascii():
        return character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    narrow = unicodedata.normalize("NFKC", character)
    return narrow if len(narrow) == 1 else character


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _always(_shadow: str, _match: re.Match[str]) -> bool:
    return True


def _before(shadow: str, match: re.Match[str]) -> str:
    start = match.start("secret")
    return shadow[max(0, start - _LONGEST_CONTEXT) : start]


_AMOUNT: Final = re.compile(r"(?:₹|\brs\.?|\binr|\brupees?|\$|€|£)\s*$", re.IGNORECASE)
_REFERENCE: Final = re.compile(
    r"\b(?:ord|order|invoice|inv|ticket|bill|txn|transaction|utr|ref(?:erence)?|awb|tracking|rfq|quote|request|build|id)"
    r"(?:\s*(?:id|no|number|num))?\s*[.:=#/-]*\s*$",
    re.IGNORECASE,
)
# The middle of a longer key, as in 52d1e7b2-4b3e-2c10-0f6e-234123412346.
_KEY: Final = re.compile(r"\w*\d\w*-$")
# Visa, Mastercard, American Express, Diners Club, JCB, Discover and RuPay, by their first digits and lengths. A build's
# date (20200602123456) passes the check digit 1 time in 10, and begins like none of them.
_CARD_SCHEME: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|(?:6011|6[45]\d\d|60[89]\d|81\d\d|82\d\d|50[89]\d)\d{12}"
)
_AADHAAR_WORD: Final = re.compile(r"\b(?:aadh?aa?r|uid(?:ai)?)\b\W*(?:\w+\W+){0,3}$", re.IGNORECASE)
_UPI_WORD: Final = re.compile(r"\b(?:upi|vpa|g ?pay|google pay|phone ?pe|paytm|bhim)\b", re.IGNORECASE)


def _is_no_amount(shadow: str, match: re.Match[str]) -> bool:
    return not _AMOUNT.search(_before(shadow, match))


def _is_card(shadow: str, match: re.Match[str]) -> bool:
    before = _before(shadow, match)
    number = _digits(match["secret"])
    if _AMOUNT.search(before) or _KEY.search(before) or not _CARD_SCHEME.fullmatch(number):
        return False
    return _passes(luhn.validate, number)


def _is_aadhaar(shadow: str, match: re.Match[str]) -> bool:
    before = _before(shadow, match)
    if _AADHAAR_WORD.search(before):
        return True
    if _AMOUNT.search(before) or _REFERENCE.search(before) or _KEY.search(before):
        return False
    return _passes(verhoeff.validate, _digits(match["secret"]))


def _is_phone(shadow: str, match: re.Match[str]) -> bool:
    before = _before(shadow, match)
    if _AMOUNT.search(before) or _KEY.search(before):
        return False
    return not (match["secret"].isdigit() and _REFERENCE.search(before))


def _is_upi(shadow: str, match: re.Match[str]) -> bool:
    start, end = match.span("secret")
    nearby = shadow[max(0, start - _LONGEST_CONTEXT) : start] + " " + shadow[end : end + _LONGEST_CONTEXT]
    return match["known"] is not None or _UPI_WORD.search(nearby) is not None


def _passes(validate: Callable[[str], str], number: str) -> bool:
    try:
        validate(number)
    except ValidationError:
        return False
    return True


def _rule(kind: str, pattern: str, accepts: _Accepts = _always) -> tuple[str, re.Pattern[str], _Accepts]:
    return kind, re.compile(pattern, re.IGNORECASE), accepts


_OTP_WORDS: Final = (
    "(?:otp|one[ -]time (?:password|code)|verification code|security code|passcode|cvv|upi pin"
    "|pin (?:code )?is)"
)

# In this order: what is longer or surer first. Every repetition is bounded, so that no text takes long.
_RULES: Final = (
    _rule(
        "email",
        r"(?<![\w.+%-])(?P<secret>[\w.+%-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,62})\.){1,5}[a-z]{2,24})(?![\w-])",
    ),
    _rule(
        "upi",
        rf"(?<![\w.-])(?P<secret>[a-z0-9][\w.-]{{1,63}}@(?:(?P<known>{_UPI_HANDLES})|[a-z]{{2,24}}))(?![\w@-])",
        _is_upi,
    ),
    _rule(
        "otp",
        rf"\b{_OTP_WORDS}(?:\s{{0,2}}(?:code|number|no\.?|pin|is|was|hai|tha|i got|received)){{0,4}}"
        r"\s{0,2}[:=#\"'(-]{0,3}\s{0,2}(?P<secret>\d(?:[ -]?\d){2,7})"
        # how long it took or how often it failed is no password
        r"(?![\d]|\s{0,2}(?:%|s\b|sec|min|hour|day|times?\b|rupees?|errors?\b))",
        _is_no_amount,
    ),
    _rule(
        "otp",
        r"(?<![\w.])(?P<secret>\d{4,8})\s{1,2}(?:(?:is|was|hai)\s{1,2})?(?:(?:my|your|the|ur|mera)\s{1,2})?"
        r"(?:otp|one[ -]time password)\b",
        _is_no_amount,
    ),
    _rule("card", rf"(?<![\w.])(?P<secret>[2-68]\d(?:{_SEPARATOR}\d){{11,17}})(?![\w]|\.\d)", _is_card),
    _rule(
        "aadhaar",
        rf"(?<![\w.])(?P<secret>[2-9]\d{{3}}{_SEPARATOR}\d{{4}}{_SEPARATOR}\d{{4}})(?![\w]|\.\d)",
        _is_aadhaar,
    ),
    # The fourth letter says who holds it: person, company, firm and so on.
    _rule("pan", r"(?<!\w)(?P<secret>[a-z]{3}[abcfghjlpt][a-z][0-9]{4}[a-z])(?!\w)"),
    _rule(
        "phone",
        # India: a mobile number begins with 6 to 9; the prefix may be +91, 0091, 91 or 0
        r"(?<![\w.+])(?P<secret>(?:(?:\+|00)?91[ .-]{0,2}|0)?"
        r"(?:[6-9]\d{4}[ .-]{0,2}\d{5}|[6-9]\d{2}[ .-]\d{3}[ .-]\d{4}))(?![\w]|\.\d)",
        _is_phone,
    ),
    # A landline with its area code, and numbers of other countries.
    _rule("phone", r"(?<![\w.+])(?P<secret>0[1-9]\d{1,3}[ -]\d{6,8})(?![\w]|\.\d)", _is_phone),
    _rule("phone", r"(?<![\w+])(?P<secret>\+[1-9]\d{0,2}(?:[ .()-]{0,2}\d){7,13})(?!\w)", _is_phone),
)
