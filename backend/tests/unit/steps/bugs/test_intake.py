"""Tests of `app.post_audit.steps.bugs.intake`; what the database makes of a report is tested with one."""

from __future__ import annotations

from typing import Any

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.bugs.facts import Tier
from app.post_audit.steps.bugs.fingerprint import fingerprint
from app.post_audit.steps.bugs.intake import LIMITS, BugReport, prepare


def test_a_report_is_cleaned_before_it_leaves() -> None:
    prepared = prepare(
        BugReport(
            title=" Wallet\nshows ₹0, call 9876543210 ",
            description="mail ravi@firm.in\n\nOTP 482913\u202e",
            page="https://bell24h.example/wallet?token=s3cret#top",
            error_code=" E12 ",
            app_version="4.2.0",
            reporter=" user-7 ",
            tier=Tier.PAYING,
            idempotency_key="key-00000001",
        )
    )
    assert prepared == {
        "title": "Wallet shows ₹0, call [phone]",
        "description": "mail [email]\n\nOTP [otp]",
        "page": "https://bell24h.example/wallet",
        "error_code": "E12",
        "app_version": "4.2.0",
        "reporter": "user-7",
        "tier": "paying",
        "fingerprint": prepared["fingerprint"],
        "idempotency_key": "key-00000001",
    }


def test_the_fingerprint_is_that_of_what_is_stored() -> None:
    prepared = prepare(BugReport(title="Login of 9876543210 fails", description="x" * 3_000))
    assert prepared["fingerprint"] == fingerprint(
        title="Login of [phone] fails", page=None, error_code=None, description="x" * 2_000
    )


def test_what_is_blank_is_missing() -> None:
    prepared = prepare(
        BugReport(title="x", page=" ", error_code="", app_version="\x00", reporter="\n", idempotency_key="")
    )
    assert [
        prepared[name] for name in ("page", "error_code", "app_version", "reporter", "idempotency_key")
    ] == [None] * 5


@pytest.mark.parametrize(
    ("page", "stored"),
    [
        ("/#/wallet?token=1", "/#/wallet"),
        ("/wallet?to=9876543210", "/wallet"),
        ("/u/9876543210", "/u/[phone]"),
    ],
)
def test_a_page_keeps_its_route_and_loses_its_secrets(page: str, stored: str) -> None:
    assert prepare(BugReport(title="x", page=page))["page"] == stored


def test_a_title_that_grew_by_a_placeholder_still_fits() -> None:
    title = prepare(BugReport(title=("a@b.in " * 40)[:200]))["title"]
    assert isinstance(title, str)
    assert len(title) <= LIMITS["title"]


@pytest.mark.parametrize("title", ["", "  \n", "\u202e\u200b"])
def test_a_report_without_a_title_is_refused(title: str) -> None:
    with pytest.raises(InputError, match="needs a title"):
        prepare(BugReport(title=title))


@pytest.mark.parametrize("field", sorted(LIMITS))
def test_a_field_over_its_limit_is_refused_whole(field: str) -> None:
    fields: dict[str, Any] = {"title": "x"} | {field: "x" * (LIMITS[field] + 1)}
    with pytest.raises(InputError, match=f"at most {LIMITS[field]}"):
        prepare(BugReport(**fields))
