"""JSON is looked over as a whole: let through however it is cut, refused where it is cut off or beyond a limit."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.json_scan import JsonScan, scan_json
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

POLICY = EnhancementsPolicy()


def scan(text: bytes, policy: EnhancementsPolicy = POLICY) -> None:
    scan_json(io.BytesIO(text), "x.json", policy)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


@given(json_values, st.booleans(), st.integers(1, 40))
def test_json_is_let_through_however_it_is_cut_into_chunks(value: object, escaped: bool, size: int) -> None:
    text = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")

    class Slow(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            return super().read(size)

    scan_json(Slow(text), "x.json", POLICY)


@given(st.lists(st.text(alphabet='\\"[]{}a', max_size=12), min_size=1), st.integers(1, 7))
def test_brackets_in_strings_are_no_brackets(texts: list[str], size: int) -> None:
    whole = json.dumps(texts).encode()

    class Slow(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            return super().read(size)

    scan_json(Slow(whole), "x.json", POLICY)
    with pytest.raises(InputError, match="cut off"):
        scan_json(Slow(whole[:-1]), "x.json", POLICY)


def test_limits_are_the_policy_s() -> None:
    scan(b"[[[]]]", EnhancementsPolicy(maximum_depth=3))
    with pytest.raises(InputError, match="deeper than 2 levels at byte 2"):
        scan(b"[[[]]]", EnhancementsPolicy(maximum_depth=2))
    with pytest.raises(InputError, match="too long"):
        scan(b'["' + b"x" * 999 + b'"]', EnhancementsPolicy(maximum_text_bytes=900))
    with pytest.raises(InputError, match="never opened"):
        scan(b"]")


@pytest.mark.parametrize("size", [1, 100, 250, 499, 5_000])
def test_a_long_number_is_found_however_it_is_cut_into_chunks(size: int) -> None:
    for text in (b"[" + b"9" * 700 + b",1]", b"[" + b"1," * 400 + b"9" * 501 + b" ]"):
        with pytest.raises(InputError, match="too long"):
            scan_in_chunks(text, size)


def scan_in_chunks(text: bytes, size: int) -> None:
    chunks = JsonScan("x.json", POLICY)
    for start in range(0, len(text), size):
        chunks.feed(text[start : start + size])
