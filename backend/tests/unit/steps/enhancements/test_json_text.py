from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.enhancements.json_text import BEGINS, JsonText

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def rebuilt(text: bytes) -> Any:  # noqa: ANN401 - a JSON value
    """Put a text together again out of its events."""
    holders: list[Any] = [[]]
    keys: list[str] = [""]
    for event, value in JsonText(io.BytesIO(text)).events():
        if event == "map_key":
            keys[-1] = value
        elif event in {"end_map", "end_array"}:
            holders.pop()
            keys.pop()
        elif event != BEGINS:
            item: Any = {} if event == "start_map" else [] if event == "start_array" else value
            if isinstance(holders[-1], dict):
                holders[-1][keys[-1]] = item
            else:
                holders[-1].append(item)
            if event.startswith("start_"):
                holders.append(item)
                keys.append("")
    return holders[0][0]


@given(json_values, st.sampled_from([None, 1]))
def test_events_tell_all_of_a_text(value: Any, indent: int | None) -> None:  # noqa: ANN401 - a JSON value
    assert rebuilt(json.dumps(value, indent=indent).encode()) == value


def test_a_list_may_be_read_whole() -> None:
    text = JsonText(io.BytesIO(b'[{"a": [1, 2]}, 3]'))
    seen: list[Any] = []
    for event, value in text.events():
        if event == BEGINS and seen:
            whole = text.whole()
            assert whole is not None
            seen.append(whole[0])
        elif event != BEGINS:
            seen.append(value)
    assert seen == [None, {"a": [1, 2]}, 3, None]


def test_a_long_text_is_read_in_parts() -> None:
    value = [{"name": "x" * 300_000, "rest": ['é\\"' * 50_000]}, *range(100_000)]
    assert rebuilt(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[1,]",
        b"[,1]",
        b'{"a" 1}',
        b'{"a":}',
        b"{1: 2}",
        b"[1 2]",
        b"[1}",
        b"[1",
        b'"x',
        b"nul",
        b"01",
        b"NaN",
        b"1 2",
        b"]",
    ],
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        rebuilt(text)
