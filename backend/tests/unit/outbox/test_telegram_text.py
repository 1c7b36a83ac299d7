from __future__ import annotations

import html
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.formats import ist
from app.post_audit.outbox.telegram_text import LONGEST, text_of
from app.post_audit.ports import Envelope

NOON = datetime(2026, 11, 9, 6, 30, tzinfo=UTC)
ENVELOPE = Envelope(
    message_id="msg_1",
    decision_id=12,
    channel="telegram",
    subject="spend",
    version=1,
    payload={"text": "Spend is high.\nRs 12,000 of Rs 10,000."},
    attempt=1,
    created_at=NOON,
    tried_at=NOON,
)


def shown(text: str) -> str:
    for tag in ("<b>", "</b>", "<i>", "</i>"):
        text = text.replace(tag, "")
    return html.unescape(text)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_the_first_line_is_bold_and_the_decision_stands_below() -> None:
    assert text_of(ENVELOPE) == (
        "<b>Spend is high.</b>\nRs 12,000 of Rs 10,000.\n\n<i>Decision 12. Why: post-audit decisions 12</i>"
    )


def test_the_way_back_is_told_once() -> None:
    may = replace(ENVELOPE, can_undo=True, can_approve=True)
    footer = text_of(may).split("<i>")[1]
    assert "To agree: post-audit approve 12\nTo take it back: post-audit undo 12" in footer
    says = replace(may, payload={"text": "Raised.\nTo take it back: post-audit undo 12"})
    assert text_of(says).count("post-audit undo 12") == 1


def test_repeats_are_counted_with_their_first_time_and_latest_decisions() -> None:
    text = text_of(replace(ENVELOPE, others=(5, 6, 7, 8, 9, 10)), times=7, since=NOON)
    first = f"Said 7 times since {ist(NOON)}, last by decisions 7, 8, 9, 10 and 12."
    assert first in text
    assert "last by decision 12." in text_of(ENVELOPE, times=2)


@given(st.text(max_size=9000), st.booleans(), st.integers(1, 10**6))
def test_any_text_is_escaped_and_within_the_limit(told: str, may: bool, times: int) -> None:
    envelope = replace(ENVELOPE, payload={"text": told}, can_undo=may)
    text = text_of(envelope, times=times)
    assert units(shown(text)) <= LONGEST
    bare = text
    for tag in ("<b>", "</b>", "<i>", "</i>"):
        assert bare.count(tag) == 1
        bare = bare.replace(tag, "")
    assert "<" not in bare
    assert ">" not in bare
    assert "Decision 12." in text


@pytest.mark.parametrize("told", ["<b>" * 3000, "&" * 5000, "😀" * 4000, "a\x00b\x1b[2Jc\u202ed"])
def test_what_is_meant_to_break_it_does_not(told: str) -> None:
    text = text_of(replace(ENVELOPE, payload={"text": told}, can_undo=True))
    assert units(shown(text)) <= LONGEST
    assert not set("\x00\x1b\u202e") & set(text)
    assert text.endswith("post-audit undo 12</i>")
