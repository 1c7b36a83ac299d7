"""The tax number: whether this GSTIN can exist, and belongs to the supplier's state.

A GSTIN is a state code (two digits), a PAN (five letters, four digits, one letter; the fourth letter tells
the kind of holder, 0000 is never issued), a registration number, a letter (Z; others for tax deductors and
collectors) and a check digit, Luhn modulo 36. Missions and foreign suppliers have another shape.
python-stdnum's module knows neither these nor the state codes 38, 97 and 99, so the parts are read here.

A wrong number is a sign, a right one is none: a random well-shaped one passes its check digit 1 time in 36,
and the samples of manuals are all valid. What is no attempt at a GSTIN (a PAN, a company number, "applied
for", a masked number) says nothing, and what a slip of the pen explains is weak.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from app.post_audit.steps.fake_data.places import codes_of_state
from app.post_audit.steps.fake_data.signals import Evidence, Family, Weight

__all__ = ["check_character", "identity_evidence"]

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUES: Final[Mapping[str, int]] = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH: Final = 15
_STATE_CODES: Final = frozenset(f"{code:02d}" for code in range(1, 39)) | {"97", "99"}
_NATIONAL_CODES: Final = frozenset({"97", "99"})
_HOLDERS: Final = frozenset("ABCEFGHJKLPT")

_REGULAR: Final = re.compile(r"\d{2}[A-Z]{4}[A-Z0-9]\d{4}[A-Z][0-9A-Z][A-Z][0-9A-Z]")
_OF_A_PAN: Final = re.compile(r"\d{2}[A-Z]{5}")
_OF_A_MISSION: Final = re.compile(r"\d{4}[A-Z]{3}\d{5}[A-Z]{2}[0-9A-Z]")
# It begins like a GSTIN and is about as long: whoever wrote it meant one.
_ATTEMPT: Final = re.compile(r"\d{2}[A-Z]{3}[0-9A-Z]{8,15}")
_SEPARATORS: Final = re.compile(r"[\s./_-]+")
_LETTERS_MEANT: Final = str.maketrans("01258", "OIZSB")
_DIGITS_MEANT: Final = str.maketrans("OILZSB", "011258")
_RUNS: Final = frozenset({"0123", "1234", "2345", "3456", "4567", "5678", "6789", "4321", "9876"})


def identity_evidence(gstin: str, state: str) -> tuple[Evidence, ...]:
    """Say what is wrong with a tax number; nothing where there is none or none was meant."""
    number = _SEPARATORS.sub("", gstin).upper()
    if not _ATTEMPT.fullmatch(number) and not _OF_A_MISSION.fullmatch(number):
        return ()
    if _OF_A_MISSION.fullmatch(number):
        return ()
    if not _REGULAR.fullmatch(number):
        return (_malformed(number),)
    found = [
        *_wrong_parts(number),
        *_wrong_state(number, state),
    ]
    expected = check_character(number[:-1])
    if number[-1] != expected:
        detail = f"The check digit of GSTIN {number} is {number[-1]} and has to be {expected}."
        found.append(Evidence(family=Family.IDENTITY, signal="gstin_check_digit", detail=detail))
    return tuple(found)


def check_character(body: str) -> str:
    """Compute the check digit of a GSTIN's first 14 characters: weights 1, 2 in turn, sums to base 36."""
    total = 0
    for position, character in enumerate(body):
        tens, ones = divmod(_VALUES[character] * (1 + position % 2), 36)
        total += tens + ones
    return _ALPHABET[-total % 36]


def _malformed(number: str) -> Evidence:
    """Weigh a number of the wrong shape: one character too few or too many, or a look-alike, is a slip."""
    if len(number) in {_LENGTH - 1, _LENGTH + 1}:
        detail = f"GSTIN {number} has {len(number)} characters instead of {_LENGTH}."
        return Evidence(family=Family.IDENTITY, signal="gstin_slip", detail=detail, weight=Weight.WEAK)
    if len(number) == _LENGTH:
        meant = (
            number[:2].translate(_DIGITS_MEANT)
            + number[2:7].translate(_LETTERS_MEANT)
            + number[7:11].translate(_DIGITS_MEANT)
            + number[11:12].translate(_LETTERS_MEANT)
            + number[12:13]
            + number[13:14].replace("2", "Z")
            + number[14:]
        )
        if _REGULAR.fullmatch(meant) and check_character(meant[:-1]) == meant[-1]:
            detail = f"GSTIN {number} is {meant} with a look-alike character."
            return Evidence(family=Family.IDENTITY, signal="gstin_slip", detail=detail, weight=Weight.WEAK)
    detail = f"GSTIN {number} does not have the shape of one."
    return Evidence(family=Family.IDENTITY, signal="gstin_shape", detail=detail)


def _wrong_parts(number: str) -> list[Evidence]:
    """Look at the state code and, where there is one, the PAN."""
    found: list[Evidence] = []
    if number[:2] not in _STATE_CODES:
        detail = f"GSTIN {number} begins with {number[:2]}, which is no state's code."
        found.append(Evidence(family=Family.IDENTITY, signal="gstin_state_code", detail=detail))
    if not _OF_A_PAN.match(number):
        # A deductor's number holds a TAN, which has no such parts.
        return found
    letters, digits = number[2:7], number[7:11]
    if digits == "0000":
        detail = f"The PAN in GSTIN {number} has the number 0000, which is never issued."
        found.append(Evidence(family=Family.IDENTITY, signal="pan_number", detail=detail))
    elif letters[3] not in _HOLDERS:
        detail = (
            f"The PAN in GSTIN {number} says {letters[3]} where the kind of holder stands; there is none."
        )
        found.append(Evidence(family=Family.IDENTITY, signal="pan_holder", detail=detail))
    elif len(set(letters)) == 1 and (digits in _RUNS or len(set(digits)) == 1):
        detail = f"The PAN in GSTIN {number} is {letters}{digits}: one letter, then a run."
        found.append(Evidence(family=Family.IDENTITY, signal="pan_placeholder", detail=detail))
    return found


def _wrong_state(number: str, state: str) -> list[Evidence]:
    codes = codes_of_state(state)
    code = number[:2]
    if not codes or code in codes or code in _NATIONAL_CODES or code not in _STATE_CODES:
        return []
    detail = f"GSTIN {number} belongs to state {code}; {state.strip()} has {' or '.join(sorted(codes))}."
    return [Evidence(family=Family.IDENTITY, signal="gstin_other_state", detail=detail)]
