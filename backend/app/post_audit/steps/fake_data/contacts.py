"""The contacts: whether they lead to nobody, or a generator wrote them.

Domains are reserved by RFC 2606 and RFC 6761. A phone that is one digit or a run is a filler. An Indian
mobile begins with 6 to 9, and the way it is written (+91, five digits, five digits) is the way mobiles are
written; another first digit is weak, because landlines are written so too. Numbers that a spreadsheet
mangled (9.1E+11, 910000000000) say nothing.

Mockaroo writes an address as the first letter of the first name, the surname, and the row's number in base
36 (cgraysmark4v), for at most 1,000 rows. People who add something to their name at a public mail service
add digits; at another domain a counter of digits and letters is a generator's, one of letters alone may be
initials.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from app.post_audit.steps.fake_data.policy import FakeDataPolicy
from app.post_audit.steps.fake_data.signals import Evidence, Family, Weight

__all__ = ["contact_evidence"]

_HOST: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?(?://)?(?:[^/@\s]*@)?([^/:?#\s]+)", re.IGNORECASE)
_NOT_DIGITS: Final = re.compile(r"\D+")
_MANGLED: Final = re.compile(r"[\d.,]+e\+?\d+", re.IGNORECASE)
_WRITTEN_AS_MOBILE: Final = re.compile(r"(?:\+|00)?91[\s-]?[0-5]\d{4}[\s-]\d{5}")
_UP: Final = "01234567890123456789"
_DOWN: Final = _UP[::-1]
_NATIONAL_LENGTH: Final = 10
_SHORTEST_RUN: Final = 7
_MOCKAROO_ROWS: Final = 1_000
_MOCKAROO_SUFFIX: Final = re.compile(r"[1-9a-z][0-9a-z]?")
_PUBLIC_MAIL: Final = frozenset(
    {
        "aol.com",
        "gmail.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mail.com",
        "msn.com",
        "outlook.com",
        "proton.me",
        "protonmail.com",
        "rediffmail.com",
        "yahoo.co.in",
        "yahoo.com",
        "yahoo.in",
        "ymail.com",
        "zoho.com",
        "zohomail.in",
    }
)


def contact_evidence(
    name: str, email: str, phone: str, website: str, policy: FakeDataPolicy
) -> tuple[Evidence, ...]:
    """Say what is wrong with the contacts of one supplier."""
    local, _, domain = email.strip().lower().rpartition("@")
    found: list[Evidence] = []
    if local and _is_reserved(domain, policy):
        found.append(
            _contact("reserved_email_domain", f"The domain of {email.strip()} can belong to nobody.")
        )
    elif local:
        found.extend(_counted_local_part(name, local, domain))
    host = _HOST.match(website.strip().lower())
    if host is not None and _is_reserved(host[1], policy):
        found.append(_contact("reserved_website", f"The domain of {website.strip()} can belong to nobody."))
    found.extend(_phone_evidence(phone.strip()))
    return tuple(found)


def _is_reserved(domain: str, policy: FakeDataPolicy) -> bool:
    domain = domain.rstrip(".")
    return any(domain == reserved or domain.endswith("." + reserved) for reserved in policy.reserved_domains)


def _phone_evidence(phone: str) -> tuple[Evidence, ...]:
    if _MANGLED.fullmatch(phone):
        return ()
    digits = _NOT_DIGITS.sub("", phone)
    national = digits[-_NATIONAL_LENGTH:]
    if len(national) < _SHORTEST_RUN or set(national) == {"0"}:
        return ()
    if len(set(national)) == 1:
        return (_contact("repeated_phone", f"The phone {phone} is one digit again and again."),)
    if national in _UP or national in _DOWN:
        return (_contact("sequential_phone", f"The phone {phone} is a run of digits."),)
    if _WRITTEN_AS_MOBILE.fullmatch(phone):
        return (_contact("impossible_mobile", f"No Indian mobile begins like {phone}.", weight=Weight.WEAK),)
    return ()


def _counted_local_part(name: str, local: str, domain: str) -> tuple[Evidence, ...]:
    words = _plain_words(name)
    stem = words[0][:1] + "".join(words[1:]) if len(words) > 1 else ""
    suffix = local.removeprefix(stem) if stem and local.startswith(stem) else ""
    if not _MOCKAROO_SUFFIX.fullmatch(suffix) or suffix.isdigit() or int(suffix, 36) >= _MOCKAROO_ROWS:
        return ()
    has_both = not suffix.isalpha()
    weight = Weight.ONE if has_both and domain not in _PUBLIC_MAIL else Weight.WEAK
    detail = f"{local}@{domain} is initial, surname and the counter {suffix} ({int(suffix, 36)} to base 36)."
    return (_contact("counted_local_part", detail, weight=weight),)


def _plain_words(name: str) -> list[str]:
    """Split a name into lower-case words of letters alone, without accents."""
    bare = unicodedata.normalize("NFKD", name.lower())
    words = ("".join(filter(str.isascii, filter(str.isalpha, word))) for word in bare.split())
    return [word for word in words if word]


def _contact(signal: str, detail: str, *, weight: Weight = Weight.ONE) -> Evidence:
    return Evidence(family=Family.CONTACT, signal=signal, detail=detail, weight=weight)
