from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.enhancements.fingerprint import fingerprint, normal_place, normal_words


def test_its_form_and_value_are_for_good() -> None:
    # printf 'rule\\0r1\\0src/a.ts\\0\\0' | sha256sum
    assert fingerprint(rule="r1", place="src/a.ts") == (
        "1:36003b7a1f6019e4d5512548fc1bba4710d4f4cfc7a9c9c7de2ca6b7d86d1db5"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"rule": "r", "place": "./src\\a.ts"}, {"rule": "r", "place": "src/a.ts"}),
        ({"rule": "r", "place": "file:///src/a%20b.ts"}, {"rule": "r", "place": "/src/a b.ts"}),
        ({"rule": "r", "code": "x =  1\n"}, {"rule": "r", "code": "x = 1"}),
        ({"title": "✅ Fix: the  Login!"}, {"title": "fix the login"}),
        ({"uid": "u", "rule": "r1"}, {"uid": "u", "rule": "r2"}),
    ],
    ids=["slashes", "file address", "white space of code", "marks of a title", "the tool's own id"],
)
def test_what_does_not_matter(one: dict[str, str], other: dict[str, str]) -> None:
    assert fingerprint(**one) == fingerprint(**other)


@pytest.mark.parametrize("field", ["rule", "place", "component", "code", "title", "uid"])
def test_what_matters(field: str) -> None:
    same = {"rule": "r", "place": "p"}
    assert fingerprint(**(same | {field: "1"})) != fingerprint(**(same | {field: "2"}))


@pytest.mark.parametrize(
    ("place", "normal"),
    [
        ("HTTPS://Shop.Example:443/a/?q=1#top", "https://shop.example/a?q=1"),
        ("http://shop.example:8080/", "http://shop.example:8080"),
        ("http://[broken", "http://[broken"),
        ("a//b/./c", "a/b/./c"),
    ],
)
def test_places(place: str, normal: str) -> None:
    assert normal_place(place) == normal


@given(st.text())
def test_normal_forms_are_stable(text: str) -> None:
    assert normal_words(normal_words(text)) == normal_words(text)
    assert fingerprint(title=text).startswith("1:")
