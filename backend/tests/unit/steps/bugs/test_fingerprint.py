"""Tests of `app.post_audit.steps.bugs.fingerprint`."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.bugs.fingerprint import fingerprint, is_current, normalise_page, normalise_text


def mark(
    title: str = "Wallet shows ₹0 after claim",
    page: str | None = "/wallet",
    error_code: str | None = "E12",
    description: str | None = None,
) -> str:
    return fingerprint(title=title, page=page, error_code=error_code, description=description)


@pytest.mark.parametrize(
    ("title", "normal"),
    [
        pytest.param(
            "  WALLET   shows ₹0 -- after claim!! ", "wallet shows # after claim", id="case and signs"
        ),
        pytest.param("Order ORD-2024-00123 missing", "order ord # missing", id="an id in pieces is one"),
        pytest.param("Order 3f2504e0-4f89-11d3-9a0c-0305e82c3301 missing", "order # missing", id="uuid"),
        pytest.param("B2B page: 2FA never arrives", "b2b page 2fa never arrives", id="words with a digit"),
        pytest.param("Error 404 on page", "error 404 on page", id="the number of an error stays"),
        pytest.param("Error 123456 on page", "error # on page", id="too long for an error's number"),
        pytest.param(
            "\N{FULLWIDTH LATIN CAPITAL LETTER W}allet shows \N{LATIN SMALL LIGATURE FI}ve",
            "wallet shows five",
            id="NFKC",
        ),
        pytest.param("पैसे नहीं आये १२३", "पैसे नहीं आये #", id="Hindi keeps its vowel signs"),
        pytest.param("???", "???", id="signs alone are a title too"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_title_is_reduced_to_its_words(title: str, normal: str) -> None:
    assert normalise_text(title) == normal


@pytest.mark.parametrize(
    ("page", "route"),
    [
        ("https://bell24h.example/Wallet/?utm_source=x#top", "/wallet"),
        ("https://bell24h.example", "/"),
        ("https://bell24h.example/#/wallet?x=1", "/wallet"),
        ("/app#!/claims/88", "/app/claims/:id"),
        ("/suppliers//4711/", "/suppliers/:id"),
        ("/suppliers/[phone]", "/suppliers/:id"),
        ("/s/3f2504e0-4f89-11d3-9a0c-0305e82c3301/edit", "/s/:id/edit"),
        ("/b2b/rfq", "/b2b/rfq"),
        ("Wallet page", "wallet page"),
        ("?tab=2", "/"),
        ("", ""),
    ],
)
def test_an_address_is_reduced_to_its_route(page: str, route: str) -> None:
    assert normalise_page(page) == route


def test_the_same_bug_has_the_same_fingerprint() -> None:
    assert mark() == mark(
        title="wallet shows ₹500, after CLAIM", page="https://x.example/wallet/?a=1", error_code=" e12 "
    )
    assert re.fullmatch(r"v1:[0-9a-f]{64}", mark())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(mark(title="Wallet shows nothing after claim"), id="title"),
        pytest.param(mark(page="/claims"), id="page"),
        pytest.param(mark(page=None), id="no page"),
        pytest.param(mark(error_code="E13"), id="error code"),
        pytest.param(mark(error_code=None), id="no error code"),
    ],
)
def test_page_error_code_and_title_all_have_to_be_the_same(other: str) -> None:
    assert other != mark()


def test_a_description_counts_only_where_neither_page_nor_error_code_is_known() -> None:
    assert mark(description="a") == mark(description="b")
    bare = [
        mark(page=None, error_code=None, description=text)
        for text in ("It never loads", "it never LOADS!", "It is slow")
    ]
    assert bare[0] == bare[1] != bare[2]


def test_there_numbers_count_too() -> None:
    bare = [
        mark(title, page=None, error_code=None)
        for title in ("Upgrade to 3.4.0", "Upgrade to 3.4.1", "UPGRADE to 3.4.1!")
    ]
    assert bare[0] != bare[1] == bare[2]


def test_parts_do_not_run_into_one_another() -> None:
    assert mark(title="c", page="a", error_code="b") != mark(title="b c", page="a", error_code=None)


@pytest.mark.parametrize(
    ("stored", "current"),
    [(None, False), ("", False), ("abc", False), ("v0:" + "a" * 64, False), ("v1:" + "a" * 64, True)],
)
def test_only_our_own_present_version_is_current(stored: str | None, current: bool) -> None:
    assert is_current(stored) is current


@given(st.text())
def test_signs_and_spaces_around_a_title_change_nothing(text: str) -> None:
    assert normalise_text(f"  ¡{text} x!? ") == normalise_text(f"{text} x")


@given(st.text(), st.text(), st.text())
def test_any_text_has_a_fingerprint(title: str, page: str, code: str) -> None:
    assert is_current(fingerprint(title=title, page=page, error_code=code, description=title))
