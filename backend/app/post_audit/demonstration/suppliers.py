"""The suppliers: most of them real businesses with the slips that real rows have, a few hundred invented ones.

The invented ones came in the ways that they come in: a developer's template with a counter, a form filled with
whatever passed, rows of the marketplace's own seed list that were loaded into the live table, a public
generator. Some of them show nothing that a look at the row could find; they are planted all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from stdnum import luhn

from app.post_audit.demonstration.tables import DAY, NOW
from app.post_audit.demonstration.vocabulary import (
    CITIES,
    FIRST_NAMES,
    HONORIFICS,
    LEGAL_FORMS,
    MAILBOXES,
    NAME_ENDS,
    NAME_STARTS,
    SURNAMES,
    TRADES,
    City,
)

__all__ = [
    "CLAIMED_FAKE",
    "EXPERIMENT_DAYS",
    "FAKES",
    "SEED_ROWS",
    "SUPPLIERS",
    "Directory",
    "Supplier",
    "make_directory",
]

SUPPLIERS: Final = 24_000
"""Suppliers in all. An experiment counts each supplier once, so so many are needed to tell 4 % from 6 %."""

SEED_ROWS: Final = 400
"""Rows of the seed list that the marketplace's own mock generator wrote."""

EXPERIMENT_DAYS: Final = 14
"""Since when the two invite messages are sent; only suppliers that were there before are invited."""

_NUMBERED: Final = "numbered name and invented tax number"
_OTHER_STATE: Final = "tax number of another state and placeholder contacts"
_SEED: Final = "row of the registered seed list"
CLAIMED_FAKE: Final = "numbered name and invented tax number, already claimed"
_NUMBER_ONLY: Final = "invented tax number and nothing else"
_NAME_ONLY: Final = "numbered name and nothing else"
_WELL_FORMED: Final = "well-formed in every field"
_LOOK_ALIKE: Final = "looks invented"
_MISTYPED: Final = "mistyped tax number"
_FILLER_PHONE: Final = "filler instead of a phone number"

FAKES: Final[Mapping[str, int]] = {
    _NUMBERED: 64,
    _OTHER_STATE: 42,
    _SEED: 40,
    CLAIMED_FAKE: 8,
    _NUMBER_ONLY: 18,
    _NAME_ONLY: 16,
    _WELL_FORMED: 14,
}
"""How many of each kind are invented: 0.8 % of the table in all."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NOT_WORD: Final = re.compile(r"[^a-z]+")
_HAS_EMAIL: Final = 0.94
_HAS_WEBSITE: Final = 0.45
_HAS_GSTIN: Final = 0.62
"""Small traders need no tax number."""

_OTHER_CITY: Final = 0.016
"""The office is not where the firm is registered: so many real rows of public lists."""

_NO_MOBILE: Final = 0.013
"""So many real rows have a phone that is none."""

_MANGLED: Final = 0.004
"""The part of them that a spreadsheet made a power of ten of."""

_MISTYPED_SHARE: Final = 0.0025
_FILLER_SHARE: Final = 0.001
_AGE_DAYS: Final = 400
"""The oldest supplier was listed so long ago."""

_LOOK_ALIKES: Final = (
    "Test Ridge Agro Exports",
    "Demo Light Fittings",
    "Sample House Fabrics",
    "Mock & Mehendale Trading Co",
    "Testora Instruments",
    "Dummy Makers Display Stands",
    "Example Printers",
    "Fake Flowers & Decor",
    "Trial Balance Stationers",
    "Seed & Sapling Supplier Co",
)
"""Real businesses whose names a rule on words would take. The seventh has its mail at example.com."""

_NUMBERED_NAMES: Final = (
    "Mock Supplier {}",
    "Test Vendor {}",
    "Supplier_{:04d}",
    "Dummy Company {}",
    "Test Company {:03d}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """One row to be, with what was planted in it: `plant` names it (empty for an ordinary row)."""

    name: str
    email: str | None
    phone: str | None
    website: str | None
    city: str
    state: str
    category: str
    gstin: str | None
    created_at: int
    plant: str = ""
    is_fake: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """All suppliers in the order of their ids (from 1 on), and the seed list that some of them came from."""

    suppliers: tuple[Supplier, ...]
    seed_list: tuple[Mapping[str, str], ...]

    def planted(self, plant: str) -> Iterator[int]:
        """Give the ids of the suppliers with this plant."""
        return (number for number, one in enumerate(self.suppliers, start=1) if one.plant == plant)


def make_directory(seed: int) -> Directory:
    """Make the suppliers of one seed."""
    generator = np.random.default_rng([seed, 1])
    real = _with_slips(
        list(_businesses(generator, SUPPLIERS - sum(FAKES.values()) - len(_LOOK_ALIKES))), generator
    )
    look_alikes = _look_alikes(generator)
    seed_list = list(_businesses(generator, SEED_ROWS))
    fakes = _fakes(generator, seed_list)
    # One real supplier has the name of a row of the seed list, and nothing else of it.
    real[0] = replace(real[0], name=seed_list[-1].name, plant="name of a seed row")
    everyone = sorted(
        (*real, *look_alikes, *fakes), key=lambda one: (one.created_at, one.name, one.phone or "")
    )
    return Directory(
        suppliers=tuple(everyone),
        seed_list=tuple(
            {"name": one.name, "email": one.email or "", "phone": one.phone or ""} for one in seed_list
        ),
    )


def _businesses(generator: np.random.Generator, number: int) -> Iterator[Supplier]:
    """Make ordinary businesses, all fields as they should be."""
    weights = np.array([city.weight for city in CITIES], dtype=float)
    cities = generator.choice(len(CITIES), number, p=weights / weights.sum())
    forms = tuple(LEGAL_FORMS.items())
    common = np.array([weight for _, (_, weight) in forms], dtype=float)
    legal = generator.choice(len(forms), number, p=common / common.sum())
    trades = tuple((category, trade) for category, names in TRADES.items() for trade in names)
    trade = generator.integers(0, len(trades), number)
    draws = generator.random((number, 8)).tolist()
    letters = generator.integers(0, 26, (number, 4)).tolist()
    numbers = generator.integers(1, 10_000, number).tolist()
    phones = _phones(generator, number)
    # Listed ever faster: the square root puts most of them into the recent months.
    ages = _AGE_DAYS - np.sqrt(generator.random(number)) * (_AGE_DAYS - 15)
    created = (NOW - ages * DAY).astype(np.int64).tolist()
    for row in range(number):
        city = CITIES[int(cities[row])]
        form, (holder, _) = forms[int(legal[row])]
        category, trade_name = trades[int(trade[row])]
        chance = draws[row]
        stem = _stem(chance, form)
        slug = _NOT_WORD.sub("", stem.lower() + trade_name.lower().split()[0] + city.name.lower())
        domain = slug + (".in", ".co.in", ".com")[int(chance[3] * 3)]
        mailbox = MAILBOXES[int(chance[4] * len(MAILBOXES))]
        yield Supplier(
            name=" ".join(part for part in (stem, trade_name, form) if part),
            email=f"{mailbox}@{domain}" if chance[5] < _HAS_EMAIL else None,
            phone=phones[row],
            website=f"https://www.{domain}" if chance[6] < _HAS_WEBSITE else None,
            city=city.name,
            state=city.state,
            category=category,
            gstin=_gstin(city, holder, stem, letters[row], numbers[row]) if chance[7] < _HAS_GSTIN else None,
            created_at=created[row],
        )


def _stem(chance: Sequence[float], form: str) -> str:
    """Coin the first part of a name; families trade under their surname."""
    if form in {"& Sons", "& Brothers"}:
        return SURNAMES[int(chance[0] * len(SURNAMES))]
    coined = NAME_STARTS[int(chance[0] * len(NAME_STARTS))] + NAME_ENDS[int(chance[1] * len(NAME_ENDS))]
    honorific = int(chance[2] * len(HONORIFICS) * 7)
    return f"{HONORIFICS[honorific]} {coined}" if honorific < len(HONORIFICS) else coined


def _gstin(city: City, holder: str, name: str, letters: Sequence[int], number: int) -> str:
    """Compose a tax number that could be one: state, PAN (kind of holder, first letter of the name), check digit."""
    first, second, third, last = (_LETTERS[letter] for letter in letters)
    return _checked(f"{city.code}{first}{second}{third}{holder}{name[0].upper()}{number:04d}{last}1Z")


def _checked(body: str) -> str:
    return body + str(luhn.calc_check_digit(body, _ALPHABET))


def _phones(generator: np.random.Generator, number: int) -> list[str]:
    """Make Indian mobile numbers, written in the ways that people write them."""
    leads = generator.integers(60_000, 100_000, number)
    rests = generator.integers(0, 100_000, number)
    styles = generator.integers(0, 4, number)
    formats = ("+91 {:05d} {:05d}", "+91{:05d}{:05d}", "0{:05d}{:05d}", "{:05d}-{:05d}")
    parts = zip(leads.tolist(), rests.tolist(), styles.tolist(), strict=True)
    return [formats[style].format(lead, rest) for lead, rest, style in parts]


def _with_slips(real: list[Supplier], generator: np.random.Generator) -> list[Supplier]:
    """Put in what is wrong in the rows of real businesses, each slip by itself."""
    chances = generator.random((len(real), 4)).tolist()
    others = generator.integers(0, len(CITIES), len(real)).tolist()
    for place, one in enumerate(real):
        city, phone, number, filler = chances[place]
        changed = one
        if city < _OTHER_CITY:
            changed = replace(changed, city=CITIES[others[place]].name)
        if phone < _NO_MOBILE:
            no_mobile = (
                "9.1E+11" if phone < _MANGLED else f"+91 4{place % 10_000:04d} {one.created_at % 100_000:05d}"
            )
            changed = replace(changed, phone=no_mobile)
        if one.gstin and one.gstin[8] != one.gstin[9] and number < _MISTYPED_SHARE:
            typed = one.gstin[:8] + one.gstin[9] + one.gstin[8] + one.gstin[10:]
            changed = replace(changed, gstin=typed, plant=_MISTYPED)
        elif filler < _FILLER_SHARE:
            changed = replace(changed, phone="9999999999", plant=_FILLER_PHONE)
        real[place] = changed
    return real


def _look_alikes(generator: np.random.Generator) -> list[Supplier]:
    ordinary = _businesses(generator, len(_LOOK_ALIKES))
    named = [
        replace(one, name=name, plant=_LOOK_ALIKE) for one, name in zip(ordinary, _LOOK_ALIKES, strict=True)
    ]
    named[6] = replace(named[6], email="mail@example.com")
    return named


def _fakes(generator: np.random.Generator, seed_list: Sequence[Supplier]) -> list[Supplier]:
    """Make every invented supplier, kind by kind; most came in two nights, among real rows."""
    made: list[Supplier] = []
    counter = 0
    for plant, number in FAKES.items():
        for ordinary in _businesses(generator, number):
            counter += 1
            night = 40 if counter % 2 else 23
            created_at = NOW - night * DAY + int(generator.integers(0, 3 * 60)) * 60_000
            body = replace(ordinary, plant=plant, is_fake=True, created_at=created_at)
            made.append(_invented(body, counter, seed_list, generator))
    return made


def _invented(
    one: Supplier, counter: int, seed_list: Sequence[Supplier], generator: np.random.Generator
) -> Supplier:
    """Give one invented supplier what its kind shows."""
    city = next(city for city in CITIES if city.name == one.city)
    name = _NUMBERED_NAMES[counter % len(_NUMBERED_NAMES)].format(counter)
    if one.plant in {_NUMBERED, CLAIMED_FAKE}:
        # A template: the same letters, the counter, and an ending that is right once in 36 times.
        return replace(
            one,
            name=name,
            email=f"{_NOT_WORD.sub('', name.lower())}{counter}@gmail.com",
            website=None,
            gstin=f"{city.code}AAAAA{counter:04d}A1Z5",
        )
    if one.plant == _OTHER_STATE:
        elsewhere = CITIES[(CITIES.index(city) + len(CITIES) // 2) % len(CITIES)]
        letters = generator.integers(0, 26, 4).tolist()
        return replace(
            one,
            email="test@example.com" if counter % 3 else one.email,
            phone="9999999999" if counter % 3 != 1 else "1234567890",
            website=None,
            gstin=_gstin(elsewhere, "C", one.name, letters, 1 + counter),
        )
    if one.plant == _SEED:
        row = seed_list[counter % len(seed_list)]
        return replace(row, plant=one.plant, is_fake=True, created_at=one.created_at)
    if one.plant == _NUMBER_ONLY:
        # As a generator fills a pattern: the right shape, and chance in every place.
        letters = "".join(_LETTERS[letter] for letter in generator.integers(0, 26, 6))
        ending = _ALPHABET[int(generator.integers(0, 36))]
        return replace(one, gstin=f"{city.code}{letters[:5]}{counter:04d}{letters[5]}1Z{ending}")
    if one.plant == _NAME_ONLY:
        return replace(one, name=name, gstin=None, website=None)
    person = FIRST_NAMES[counter % len(FIRST_NAMES)].lower()
    return replace(one, email=f"{person}.{_NOT_WORD.sub('', one.name.lower())[:12]}@gmail.com", website=None)
