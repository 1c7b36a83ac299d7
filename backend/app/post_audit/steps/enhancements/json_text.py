"""A JSON text of any size, read value by value from a stream of UTF-8.

`events` tells of the text piece by piece, as streaming parsers do. Before each list or object it says `BEGINS`: who
follows may then call `whole`, which reads all of it at once with the C parser of the standard library. That is eight
times as fast as pieces in Python, and a report is mostly a long list of small objects.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # there since Python 3.0, and not in the stubs
from typing import Any, BinaryIO, Final, NoReturn

__all__ = ["BEGINS", "JsonText"]

BEGINS: Final = "begins"

_CHUNK: Final = 262_144
_AHEAD: Final = 65_536
"""Letters that are in memory when a value begins; most entries of real reports have below 10,000."""

_ESCAPE: Final = 16
"""Letters of the longest escape, two halves of a surrogate pair, and some."""
_MOST_PIECES: Final = 500_000
"""Pieces that are told one by one, which takes less than a second. Real reports have a few hundred, and one for each
entry that is read whole."""

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9]\d*))(\.\d+)?([eE][-+]?\d+)?")
_WORDS: Final = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}


def _refuse(constant: str) -> NoReturn:
    message = f"{constant} is no JSON number"
    raise ValueError(message)


class JsonText:
    """The text, as far as it is in memory, and the place that is read next."""

    def __init__(self, stream: BinaryIO) -> None:
        self._file = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        self._text = ""
        self._place = 0
        self._is_all = False
        # where the last attempt to read a whole value met the end of what is in memory
        self._is_beyond = False
        self._scan = json.JSONDecoder(parse_constant=_refuse).scan_once  # type: ignore[attr-defined]  # as above

    def whole(self) -> tuple[Any, str, int, int] | None:
        """Read the list or object that begins here: (value, text, begin, end).

        None when it is too long to be in memory as a whole, or wrong; it is then told piece by piece.
        """
        if self._is_beyond:
            return None
        begin = self._place
        try:
            value, end = self._scan(self._text, begin)
        except (ValueError, StopIteration, RecursionError):
            self._is_beyond = True
            return None
        self._place = end
        return value, self._text, begin, end

    def events(self) -> Iterator[tuple[str, Any]]:  # noqa: C901, PLR0912 - the grammar of JSON, in one place
        """Tell of the text: (event, value) with the events of ijson, and `BEGINS` before each list and object."""
        lists: list[bool] = []
        after = False
        fresh = False
        for _ in range(_MOST_PIECES):
            letter = self._next()
            if after:
                if not lists:
                    if letter:
                        self._wrong(f"{letter!r} after the end")
                    return
                if letter == ",":
                    self._place += 1
                    letter = self._next()
                    if letter in {"]", "}"}:
                        self._wrong(f"{letter!r} after a comma")
                elif letter not in {"]", "}"}:
                    self._wrong(
                        f"{letter!r} where a comma is expected" if letter else "the text ends too early"
                    )
            elif lists and not fresh and letter in {"]", "}"}:
                self._wrong(f"{letter!r} where a value is expected")
            if lists and letter == ("]" if lists[-1] else "}"):
                self._place += 1
                yield ("end_array" if lists.pop() else "end_map"), None
                after, fresh = True, False
                continue
            if lists and not lists[-1]:
                if letter != '"':
                    self._wrong(
                        f"{letter!r} where a key is expected" if letter else "the text ends too early"
                    )
                key = self._string()
                if self._next() != ":":
                    self._wrong("no colon behind a key")
                self._place += 1
                letter = self._next()
                yield "map_key", key
            after, fresh = True, False
            if letter in {"[", "{"}:
                begin, file_place = self._place, self._text
                yield BEGINS, None
                if self._place != begin or self._text is not file_place:
                    continue
                self._place += 1
                lists.append(letter == "[")
                yield ("start_array" if letter == "[" else "start_map"), None
                after, fresh = False, True
            elif letter == '"':
                yield "string", self._string()
            else:
                yield self._scalar(letter)
        self._wrong(f"over {_MOST_PIECES} values that belong to no entry")

    def _next(self) -> str:
        """Skip white space and give the letter that comes next; empty at the end."""
        place = self._place
        if len(self._text) - place >= _AHEAD:
            letter = self._text[place]
            if letter > " ":
                return letter
        while True:
            found = _SPACE.match(self._text, self._place)
            self._place = found.end() if found else self._place
            if len(self._text) - self._place < _AHEAD and not self._is_all:
                self._fill()
                continue
            return self._text[self._place : self._place + 1]

    def _fill(self) -> None:
        chunk = self._file.read(_CHUNK)
        self._is_all = not chunk
        self._text = self._text[self._place :] + chunk
        self._place = 0
        self._is_beyond = False

    def _string(self) -> str:
        """Read the string that begins here."""
        while True:
            try:
                value, end = scanstring(self._text, self._place + 1, True)  # noqa: FBT003 - its only form
            except json.JSONDecodeError as error:
                # cut off by the end of what is in memory, perhaps within an escape; anything else is wrong for good
                is_cut = error.msg.startswith("Unterminated") or error.pos > len(self._text) - _ESCAPE
                if self._is_all or not is_cut:
                    raise
                self._fill()
                continue
            self._place = end
            return str(value)

    def _scalar(self, letter: str) -> tuple[str, Any]:
        """Read a number or one of the three words."""
        if letter in _WORDS:
            word, value = _WORDS[letter]
            if self._text.startswith(word, self._place):
                self._place += len(word)
                return ("null" if value is None else "boolean"), value
        found = _NUMBER.match(self._text, self._place)
        if not found:
            self._wrong(f"{letter!r} where a value is expected" if letter else "the text ends too early")
        self._place = found.end()
        whole, fraction, exponent = found.groups()
        return "number", float(found[0]) if fraction or exponent else int(whole)

    def _wrong(self, message: str) -> NoReturn:
        raise ValueError(message)
