from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.fake_data.contacts import contact_evidence
from app.post_audit.steps.fake_data.policy import FakeDataPolicy
from app.post_audit.steps.fake_data.signals import Weight

POLICY = FakeDataPolicy()


def signals(name: str = "", email: str = "", phone: str = "", website: str = "") -> list[tuple[str, Weight]]:
    return [(item.signal, item.weight) for item in contact_evidence(name, email, phone, website, POLICY)]


@pytest.mark.parametrize(
    "email",
    [
        "mail@example.com",
        " Info@EXAMPLE.org ",
        "a@shop.example.net",
        "a@x.test",
        "b@y.invalid",
        "root@localhost",
        "a@b@x.test",
    ],
)
def test_a_reserved_domain_is_a_sign(email: str) -> None:
    assert signals(email=email) == [("reserved_email_domain", Weight.ONE)]


@pytest.mark.parametrize(
    "email",
    [
        "",
        "@example.com",
        "example.com",
        "a@testo.in",
        "a@myexample.com",
        "test@gmail.com",
        "a@test.co.in",
        "demo@contest.in",
    ],
)
def test_a_domain_that_can_be_somebodys_is_none(email: str) -> None:
    assert signals(email=email) == []


@pytest.mark.parametrize(
    ("website", "is_reserved"),
    [
        ("https://www.example.com/shop", True),
        ("example.org", True),
        ("//shop.test:8080/", True),
        ("http://user@demo.invalid", True),
        ("", False),
        ("https://testo.in/example.com", False),
        ("www.examples.com", False),
    ],
)
def test_a_website_is_read_like_an_address(website: str, *, is_reserved: bool) -> None:
    assert signals(website=website) == ([("reserved_website", Weight.ONE)] if is_reserved else [])


@pytest.mark.parametrize(
    ("phone", "found"),
    [
        ("", []),
        ("12345", []),
        ("9.1E+11", []),
        ("9.19877e11", []),
        ("910000000000", []),
        ("+91 98200 12345", []),
        ("022 2266 4411", []),
        ("+91 512 230 4455", []),
        ("+915122304455", []),
        ("+1 212 301 0407", []),
        ("9999999999", [("repeated_phone", Weight.ONE)]),
        ("+91 88888 88888", [("repeated_phone", Weight.ONE)]),
        ("1234567890", [("sequential_phone", Weight.ONE)]),
        ("+91-9876543210", [("sequential_phone", Weight.ONE)]),
        ("+91 58971 28659", [("impossible_mobile", Weight.WEAK)]),
        ("91-02345-67891", [("impossible_mobile", Weight.WEAK)]),
    ],
)
def test_a_filler_is_a_sign_and_a_mangled_number_is_none(phone: str, found: list[tuple[str, Weight]]) -> None:
    assert signals(phone=phone) == found


@pytest.mark.parametrize(
    ("name", "email", "found"),
    [
        ("Anna Bell", "abell4v@wired.com", [("counted_local_part", Weight.ONE)]),
        ("Zoë de Vries", "zdevries1k@wired.com", [("counted_local_part", Weight.ONE)]),
        ("Moira O'Hara", "mohara3a@wired.com", [("counted_local_part", Weight.ONE)]),
        ("Anna Bell", "abell4v@gmail.com", [("counted_local_part", Weight.WEAK)]),
        ("Anna Bell", "abellca@wired.com", [("counted_local_part", Weight.WEAK)]),
        ("Anna Bell", "abell42@wired.com", []),
        ("Anna Bell", "abell@wired.com", []),
        ("Anna Bell", "abellz9@wired.com", []),
        ("Anna Bell", "abell4v7@wired.com", []),
        ("Anna Bell", "sales4v@wired.com", []),
        ("Bell", "bell4v@wired.com", []),
        ("", "4v@wired.com", []),
        ("Anna Bell", "4v@wired.com", []),
    ],
)
def test_an_address_with_a_row_number_to_base_36_is_a_sign(
    name: str, email: str, found: list[tuple[str, Weight]]
) -> None:
    assert signals(name=name, email=email) == found


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_any_text_can_be_read(name: str, email: str, phone: str, website: str) -> None:
    assert len(signals(name, email, phone, website)) <= 3
