"""Tests of `app.post_audit.steps.bugs.redaction`."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.bugs.redaction import clean_line, clean_text, neutralise, redact


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        # e-mail
        ("mail ravi.k+test@firm.co.in please", "mail [email] please"),
        ("<ravi@firm.in>, or ask", "<[email]>, or ask"),
        # phones
        ("call 9876543210", "call [phone]"),
        ("call +91 98765 43210.", "call [phone]."),
        ("call 098765-43210", "call [phone]"),
        ("mobile-9876543210", "mobile-[phone]"),
        ("office 022-24567890", "office [phone]"),
        ("US +1 (415) 555-2671", "US [phone]"),
        ("फोन ९८७६५४३२१०", "फोन [phone]"),
        ("wide \uff19\uff18\uff17\uff16\uff15\uff14\uff13\uff12\uff11\uff10", "wide [phone]"),
        # cards, Aadhaar, PAN
        ("card 4111 1111 1111 1111 failed", "card [card] failed"),
        ("card 5500005555555559", "card [card]"),
        ("card 378282246310005", "card [card]"),
        ("RuPay 6521-1111-1111-1110", "RuPay [card]"),
        ("aadhaar 2341 2341 2346", "aadhaar [aadhaar]"),
        ("234123412346 was refused", "[aadhaar] was refused"),
        ("my aadhar no is 9999 9999 9999", "my aadhar no is [aadhaar]"),
        ("PAN ABCPE1234F", "PAN [pan]"),
        ("pan abcpe1234f", "pan [pan]"),
        # UPI
        ("paid to ravi@okaxis", "paid to [upi]"),
        ("9876543210@ybl", "[upi]"),
        ("upi id ravi.k@mybank", "upi id [upi]"),
        # one-time passwords
        ("OTP 482913 not accepted", "OTP [otp] not accepted"),
        ("otp is: 4829", "otp is: [otp]"),
        ("482913 is my OTP", "[otp] is my OTP"),
        ("one time password 12 34 56", "one time password [otp]"),
        ("CVV 123", "CVV [otp]"),
    ],
)
def test_what_endangers_a_person_goes(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "paid ₹9876543210 and Rs. 8765432109",
        "INR 411111111111 1111 was charged",
        "order 9876543210 is missing",
        "invoice no. 8765432109",
        "order #234123412346",
        "GSTIN 27AAPFU0939F1ZV",
        "OTP takes 120 seconds",
        "OTP fails 1000 times",
        "OTP not received on 12/11/2025",
        "version 1.2.3, build 20251109",
        "at 1731400000000 ms",
        "Build identifier: 20200602123459",
        "Build 20210204203005 and 20180711182952",
        "52d1e7b2-4b3e-2c10-0f6e-234123412346",
        "ID 7f3-9876543210",
        "npm i react@next breaks",
        "ask @ravi",
        "1234 5678 9012 3456 is no card",
        "345678901234 is no Aadhaar",
        "Wallet shows ₹0 after claim",
        "id 7f3a9876543210ab",
        "6.9876543210",
        "cost is 98,765.43210",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "neutral"),
    [
        ("a\u202eb\u2066c\u200f", "abc"),
        ("9876\u200d543210", "9876543210"),
        ("98765\u200b43210", "9876543210"),
        ("क्\u200dष", "क्\u200dष"),
        ("\N{MAN}\u200d\N{WOMAN}", "\N{MAN}\u200d\N{WOMAN}"),
        ("\u200dक", "क"),
        ("line\r\nnext\rthird\u2028fourth\x0bfifth\tend", "line\nnext\nthird\nfourth\nfifth\tend"),
        ("nul\x00 bell\x07 \x1b[31mred", "nul bell [31mred"),
        ("half \ud83d pair", "half \N{REPLACEMENT CHARACTER} pair"),
    ],
)
def test_what_deceives_a_reader_goes(text: str, neutral: str) -> None:
    assert neutralise(text) == neutral


def test_hidden_characters_hide_no_number() -> None:
    assert clean_text("  call 98765\u200b43210\n\nnow ") == "call [phone]\n\nnow"


def test_a_line_is_one_line() -> None:
    assert clean_line(" a\n\tb  ravi@firm.in ") == "a b [email]"


@given(st.text(alphabet=st.sampled_from("0123456789 +-.@abcdefPANotp₹:#\u200d९"), max_size=60))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(neutralise(text))
    assert redact(once) == once


@pytest.mark.parametrize(
    "text",
    ["otp" + " " * 10_000, "a." * 5_000, "9 " * 5_000, "a@" * 5_000, "otp is " * 1_500, "+1" + "(" * 9_999],
)
def test_no_text_takes_long(text: str) -> None:
    began = time.perf_counter()
    redact(text)
    assert time.perf_counter() - began < 1
