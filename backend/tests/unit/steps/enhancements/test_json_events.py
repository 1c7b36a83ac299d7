from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.json_events import ANY, Path, Started, sketch, walk
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy


def walked(
    value: object, *wanted: Path, passing_over: tuple[str, ...] = (), policy: EnhancementsPolicy | None = None
) -> list[tuple[Path, Any]]:
    stream = io.BytesIO(value if isinstance(value, bytes) else json.dumps(value).encode())
    found = walk(
        stream, wanted, name="x.json", policy=policy or EnhancementsPolicy(), passing_over=passing_over
    )
    return list(found)


def test_wanted_paths_are_built_and_others_passed_over() -> None:
    document = {"a": [{"b": 1, "c": [1, {"d": "x"}]}, 5], "e": {"f": None}, "g": [[1]]}
    assert walked(document, ("a", ANY), ("e", "f"), ("missing",)) == [
        (("a", 0), {"b": 1, "c": [1, {"d": "x"}]}),
        (("a", 1), 5),
        (("e", "f"), None),
    ]


def test_a_list_whose_entries_are_wanted_too_is_announced() -> None:
    assert walked({"a": [1], "b": {"c": 2}}, ("a",), ("a", ANY), ("b",), ("b", ANY)) == [
        (("a",), Started.LIST),
        (("a", 0), 1),
        (("b",), Started.OBJECT),
        (("b", "c"), 2),
    ]
    assert walked({"a": None}, ("a",), ("a", ANY)) == [(("a",), None)]


def test_keys_that_are_of_no_use_are_left_out() -> None:
    entry = {"a": 1, "big": {"x": [1, {"y": 2}]}, "b": {"big": 3, "c": 4}}
    assert walked([entry], (ANY,), passing_over=("big",)) == [((0,), {"a": 1, "b": {"c": 4}})]


@pytest.mark.parametrize(
    ("text", "place"),
    [(b'{"a": [1, {"b": tru}]}', r"\$\.a\[1\]\.b"), (b'{"a": 1}x', r"\$"), (b'{"a": [1, 2', r"\$\.a\[1\]")],
)
def test_an_error_names_its_place(text: bytes, place: str) -> None:
    with pytest.raises(InputError, match=rf"x\.json is no valid JSON at {place}: "):
        walked(text, ("z",))


def test_entries_are_limited() -> None:
    small = EnhancementsPolicy(maximum_nodes=5, maximum_depth=4)
    assert walked([[1, 2, 3, 4, 5]], (ANY,), policy=small)
    with pytest.raises(InputError, match="more than 5 values"):
        walked([[1, 2, 3, 4, 5, 6]], (ANY,), policy=small)
    with pytest.raises(InputError, match="deeper than 4 levels"):
        walked([[[[[[1]]]]]], (ANY,), policy=small)
    with pytest.raises(InputError, match="deeper than 4 levels"):
        walked([[[[[[1]]]]]], ("x",), policy=small)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(json_values, max_size=5))
def test_what_is_built_is_what_was_written(values: list[Any]) -> None:
    assert [value for _, value in walked(values, (ANY,))] == values
    assert walked(values, ()) == [((), values)]


def test_a_sketch_shows_paths_of_a_beginning() -> None:
    assert sketch('{"runs": [{"tool": {"driver": {"na') == {
        ("runs",),
        ("runs", ANY),
        ("runs", ANY, "tool"),
        ("runs", ANY, "tool", "driver"),
    }
    assert sketch("[{}") == {(ANY,)}
    assert sketch("no json") == sketch("") == sketch("42") == frozenset()
    assert sketch('{"a": ' + "9" * 1_000_000) == {("a",)}
    assert sketch('{"a": 1}') == {("a",)}
