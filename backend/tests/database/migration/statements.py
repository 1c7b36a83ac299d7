"""Finds UPDATE and DELETE statements in SQL, in the bodies of functions and in texts that are executed as SQL too.

Supabase loads safeupdate for everybody who comes through REST: there a statement without WHERE fails, in functions as
well. This reads words and brackets and knows no grammar, which is enough to see whether a WHERE belongs to a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Statement", "statements"]

_TOKEN: Final = re.compile(
    r"""(?P<skipped>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<body>\$(?P<tag>\w*)\$(?P<inside>.*?)\$(?P=tag)\$)
    |(?P<text>'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*"|%(?:\d+\$)?[sIL]|[A-Za-z_][\w$]*)
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
# UPDATE, ONLY, schema, dot, table, AS, alias, SET
_UP_TO_SET: Final = 8


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, the words it starts with, and whether a WHERE belongs to it."""

    start: str
    has_where: bool


def statements(sql: str) -> Iterator[Statement]:
    """Find every UPDATE and DELETE, in the order of their place."""
    words: list[str] = []
    for token in _TOKEN.finditer(sql):
        if token["skipped"]:
            continue
        if token["body"]:
            yield from statements(token["inside"])
        elif token["text"]:
            yield from statements(token["text"][1:-1].replace("''", "'"))
        words.append("''" if token["body"] or token["text"] else token[0])
    upper = [word.upper() for word in words]
    for place in range(len(words)):
        if _starts_here(upper, place):
            yield Statement(" ".join(words[place : place + _UP_TO_SET]), _has_where(upper, place))


def _starts_here(words: list[str], place: int) -> bool:
    if words[place] == "DELETE":
        return words[place + 1 : place + 2] == ["FROM"]
    following = words[place + 1 : place + _UP_TO_SET]
    # neither ON CONFLICT DO UPDATE SET, which writes one row, nor SELECT ... FOR UPDATE, GRANT UPDATE
    return (
        words[place] == "UPDATE"
        and "SET" in following[1:]
        and not {";", ","} & set(following[: following.index("SET")])
    )


def _has_where(words: list[str], place: int) -> bool:
    depth = 0
    for word in words[place:]:
        depth += (word == "(") - (word == ")")
        if depth < 0 or (word == ";" and depth == 0):
            return False
        if word == "WHERE" and depth == 0:
            return True
    return False
