"""Provenance: whether the row repeats one that a user registered as invented.

The list is exact, and still one hit in 6,481 was a real supplier of the same name. So the name alone is
weak. The name with one contact is one family: a generator's row may have been copied from a real firm in
part. The name with both contacts counts as two: a real firm shares e-mail and phone with an invented one
only if all of it was copied.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from app.post_audit.steps.fake_data.facts import Supplier
from app.post_audit.steps.fake_data.signals import Evidence, Family, Weight

__all__ = ["SeedRows", "provenance_evidence"]

_FOUND: Final[Mapping[str, tuple[str, str, Weight]]] = {
    "name": ("seed_name", "Name as in a registered seed row.", Weight.WEAK),
    "name_email": ("seed_row", "Name and e-mail as in one registered seed row.", Weight.ONE),
    "name_phone": ("seed_row", "Name and phone as in one registered seed row.", Weight.ONE),
    "name_email_phone": ("seed_row", "Name, e-mail and phone as in one registered seed row.", Weight.TWO),
}
_NOT_NAME: Final = re.compile(r"[\W_]+")
_NOT_DIGITS: Final = re.compile(r"\D+")
_SHORTEST_PHONE: Final = 7


def provenance_evidence(seed: str) -> tuple[Evidence, ...]:
    """Say how much of one registered row agrees; `seed` is a value of `Supplier.seed`, empty for none."""
    if seed not in _FOUND:
        return ()
    signal, detail, weight = _FOUND[seed]
    return (Evidence(family=Family.PROVENANCE, signal=signal, detail=detail, weight=weight),)


class SeedRows:
    """A registered list held in memory, for files that are judged without a database."""

    def __init__(self, rows: Iterable[Supplier]) -> None:
        self._contacts: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            self._contacts[_name(row.name)].append((_email(row.email), _phone(row.phone)))

    def match(self, supplier: Supplier) -> str:
        """Name what agrees with the row that agrees most; empty when not even a name does."""
        name = _name(supplier.name)
        email, phone = _email(supplier.email), _phone(supplier.phone)
        found = [
            (bool(email) and email == seed_email, bool(phone) and phone == seed_phone)
            for seed_email, seed_phone in (self._contacts.get(name, ()) if name else ())
        ]
        if not found:
            return ""
        by_email, by_phone = max(found, key=sum)
        return "name" + "_email" * by_email + "_phone" * by_phone


def _name(name: str) -> str:
    return _NOT_NAME.sub("", name).lower()


def _email(email: str) -> str:
    plain = email.strip().lower()
    return plain if "@" in plain else ""


def _phone(phone: str) -> str:
    digits = _NOT_DIGITS.sub("", phone)[-10:]
    return digits if len(digits) >= _SHORTEST_PHONE else ""
