from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from app.post_audit.steps.fake_data.identity import check_character, identity_evidence
from app.post_audit.steps.fake_data.signals import Weight

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def signals(gstin: str, state: str = "") -> list[tuple[str, Weight]]:
    return [(item.signal, item.weight) for item in identity_evidence(gstin, state)]


def valid(body: str) -> str:
    return body + check_character(body)


@given(st.text(ALPHABET, min_size=14, max_size=14))
def test_the_check_digit_is_that_of_luhn_to_base_36(body: str) -> None:
    assert check_character(body) == luhn.calc_check_digit(body, ALPHABET)


@pytest.mark.parametrize(
    "gstin",
    [
        "",
        "  ",
        "NA",
        "applied for",
        "unregistered",
        "27AAPFU0939F1ZV",
        "27 aapfu 0939 f1zv",
        "27-AAPFU0939F-1ZV",
        valid("38AAACB1234C1Z"),
        valid("97AAACB1234C2Z"),
        valid("27MUML01234F1D"),
        valid("29AAACB1234C1C"),
        "9917SGP29001OSI",
        "AAPFU0939F",
        "27*******39F1ZV",
        "U72200MH2001PTC131234",
        "10012022000123",
        "27123456789",
        "2.7E+14",
    ],
)
def test_a_number_that_is_right_or_no_attempt_at_one_says_nothing(gstin: str) -> None:
    assert signals(gstin) == []


@pytest.mark.parametrize(
    ("gstin", "found"),
    [
        ("09ABCDE541227X1Z4", [("gstin_shape", Weight.ONE)]),
        ("27ABCPE1234F1Z", [("gstin_slip", Weight.WEAK)]),
        ("27AAPFU0939F1ZVV", [("gstin_slip", Weight.WEAK)]),
        ("27AAPFUO939F1ZV", [("gstin_slip", Weight.WEAK)]),
        ("27AAPFUO939F1ZX", [("gstin_shape", Weight.ONE)]),
        ("27AAPFUABCDF1ZV", [("gstin_shape", Weight.ONE)]),
        ("27AAPFU0939F1ZX", [("gstin_check_digit", Weight.ONE)]),
        (valid("55AAACB1234C1Z"), [("gstin_state_code", Weight.ONE)]),
        (valid("27AAACB0000C1Z"), [("pan_number", Weight.ONE)]),
        (valid("27ABCDE1234F1Z"), [("pan_holder", Weight.ONE)]),
        (valid("29GGGGG1234R9Z"), [("pan_placeholder", Weight.ONE)]),
        (valid("22AAAAA1111A1Z"), [("pan_placeholder", Weight.ONE)]),
        (valid("22AAAAA4711A1Z"), []),
        (valid("22AAAAB1234A1Z"), []),
    ],
)
def test_what_is_wrong_with_a_number_is_named(gstin: str, found: list[tuple[str, Weight]]) -> None:
    assert signals(gstin) == found


@pytest.mark.parametrize(
    ("gstin", "state", "found"),
    [
        ("27AAPFU0939F1ZV", "Maharashtra", []),
        ("27AAPFU0939F1ZV", " MH ", []),
        ("27AAPFU0939F1ZV", "Ruritania", []),
        ("27AAPFU0939F1ZV", "Tamil Nadu", ["gstin_other_state"]),
        (valid("28AAACB1234C1Z"), "Andhra Pradesh", []),
        (valid("37AAACB1234C1Z"), "Andhra Pradesh", []),
        (valid("97AAACB1234C1Z"), "Tamil Nadu", []),
        (valid("55AAACB1234C1Z"), "Tamil Nadu", ["gstin_state_code"]),
        ("27AAPFU0939F1ZX", "Tamil Nadu", ["gstin_other_state", "gstin_check_digit"]),
    ],
)
def test_a_number_of_another_state_is_a_sign(gstin: str, state: str, found: list[str]) -> None:
    assert [signal for signal, _ in signals(gstin, state)] == found


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_text_can_be_read(gstin: str, state: str) -> None:
    assert len(identity_evidence(gstin, state)) <= 4


def test_the_sentence_shows_the_numbers() -> None:
    (found,) = identity_evidence("27AAPFU0939F1ZX", "")
    assert found.detail == "The check digit of GSTIN 27AAPFU0939F1ZX is X and has to be V."
