from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.codec import decode, encode, to_json, utf8
from app.post_audit.errors import InvalidArgument

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: int
    tags: tuple[str, ...]


@given(values)
def test_what_json_can_hold_comes_back_as_it_was(value: object) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Colour.RED, "red"),
        (datetime(2025, 11, 9, 12, 30, tzinfo=UTC), "2025-11-09T12:30:00+00:00"),
        (date(2025, 11, 9), "2025-11-09"),
        (Decimal("0.18"), 0.18),
        (Point(1, ("a",)), {"x": 1, "tags": ["a"]}),
        ({"when": [Point(2, ())]}, {"when": [{"x": 2, "tags": []}]}),
    ],
)
def test_ours_become_json(value: object, written: object) -> None:
    assert to_json(value) == written
    assert json.loads(encode(value)) == written


@pytest.mark.parametrize("value", [datetime(2025, 11, 9), object(), Point, b"bytes"])  # noqa: DTZ001 - the point
def test_what_would_have_to_be_guessed_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        to_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_a_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(value)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_text_that_the_database_can_hold_is_utf8(text: str) -> None:
    assert utf8(text).decode() == text


@pytest.mark.parametrize(
    ("text", "said"), [("a\0b", "the character NUL"), ("a\udcffb", r"'\udcff' is half a character")]
)
def test_what_the_database_cannot_hold_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as told:
        utf8(text)
    assert said in told.value.message
