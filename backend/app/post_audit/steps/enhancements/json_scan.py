"""A JSON text looked over as a whole, before a parser sees it.

Its brackets close, nest no deeper than the limit, and no string or number is longer than the limit. One pass of array
arithmetic finds that out: a large report that was cut off is refused at once instead of at its end, and no hostile
nesting or number reaches a parser that has no limit of its own. (An integer of a million digits ends the process inside
the C parser.)
"""

from __future__ import annotations

from typing import BinaryIO, Final

import numpy as np

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.json_events import LONGEST_NUMBER
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.report_file import CHUNK_BYTES

__all__ = ["JsonScan", "scan_json"]

_MANY: Final = 100_000
_LEAST_BYTES: Final = 6
"""Bytes for each bracket that is opened, beyond the first hundred thousand; real reports have 20 to 60."""
_QUOTE, _OPENING, _CLOSING, _BETWEEN = 1, 2, 3, 4


def _table(*roles: tuple[int, bytes]) -> bytes:
    """Give each byte a number, 0 where none is named."""
    table = bytearray(256)
    for role, letters in roles:
        for letter in letters:
            table[letter] = role
    return bytes(table)


_ROLES: Final = np.frombuffer(
    _table((_QUOTE, b'"'), (_OPENING, b"[{"), (_CLOSING, b"]}"), (_BETWEEN, b",: \t\r\n")), dtype=np.uint8
)
"""The role of each byte in JSON: quote, opening or closing bracket, between values, or (0) none."""
_IS_MARK: Final = _table((1, b'"[{]},: \t\r\n'))
"""Which bytes have a role."""
_IS_EDGE: Final = _table((1, b'"[{]}'))
"""Which of them are a quote or a bracket: four of ten in a real report."""
_NO_MARK: Final = bytes(letter for letter in range(256) if not _IS_MARK[letter])
_STEPS: Final = np.array([0, 0, 1, -1, 0], dtype=np.int8)
"""How a byte of each role changes the depth."""


def scan_json(stream: BinaryIO, name: str, policy: EnhancementsPolicy) -> None:
    """Look over a JSON text as a whole; `InputError` with the place where it is cut off or beyond a limit."""
    scan = JsonScan(name, policy)
    while chunk := stream.read(CHUNK_BYTES):
        scan.feed(chunk)
    scan.finish()


class JsonScan:
    """Brackets, strings and lengths of a JSON text, chunk by chunk.

    Inside a string is where the quotes before are odd in number, escaped ones not counted; a quote is escaped
    after an odd run of backslashes.
    """

    def __init__(self, name: str, policy: EnhancementsPolicy) -> None:
        self._name = name
        self._policy = policy
        self._carried = b""
        self._position = 0
        self._depth = 0
        self._is_inside = False
        self._last_mark = -1
        self._opened = 0

    def feed(self, chunk: bytes) -> None:
        """Go on with one chunk. Backslashes at its end wait for what they escape."""
        data = self._carried + chunk
        whole = data.rstrip(b"\\")
        self._carried = data[len(whole) :]
        if len(self._carried) > self._policy.maximum_text_bytes:
            raise self._too_long(self._position, "A string")
        if b'\\"' in whole:
            # pairs of backslashes first: what is left before a quote escapes it
            whole = whole.replace(b"\\\\", b"..").replace(b'\\"', b"..")
        if not self._follow(whole, _IS_EDGE):
            # something is long: between brackets and quotes, or as a number or string
            self._follow(whole, _IS_MARK)
        self._position += len(whole)
        if self._position - self._last_mark > self._policy.maximum_text_bytes:
            raise self._too_long(self._position, "A string or number")

    def finish(self) -> None:
        """Say so when the text ends in the middle."""
        if self._depth or self._is_inside or self._carried:
            where = "inside a string" if self._is_inside else f"with {self._depth} brackets open"
            raise InputError(
                f"{self._name} was cut off: it ends at byte {self._position} {where}.",
                cure="Make the report again and import all of it.",
            )

    def _follow(self, whole: bytes, is_seen: bytes) -> bool:
        """Follow the bytes that are seen; False, and nothing is changed, where edges alone do not tell enough."""
        marks = np.flatnonzero(np.frombuffer(whole.translate(is_seen), dtype=bool))
        roles = _ROLES[np.frombuffer(whole, dtype=np.uint8)[marks]]
        quotes = roles == _QUOTE
        # eight bits overflow, and still tell odd from even
        inside = ((np.cumsum(quotes, dtype=np.uint8) + np.uint8(self._is_inside)) & 1).view(bool)
        outside = ~inside
        is_end = quotes | outside
        ends = marks[is_end]
        are_strings = (quotes & outside)[is_end]
        is_inside = bool(inside[-1]) if marks.size else self._is_inside
        after = len(whole) if is_inside else int(ends[-1]) + 1 if ends.size else 0
        if is_seen is _IS_EDGE:
            are_long = self._are_too_long(ends, are_strings)
            if (are_long & are_strings).any():
                return False
            edge = int(ends[-1]) if ends.size else self._last_mark - self._position
            is_long = bool(are_long.any()) or (not is_inside and len(whole) - edge > LONGEST_NUMBER)
            if is_long and not self._has_marks_throughout(whole):
                return False
        self._follow_depth(marks, _STEPS[roles] * outside)
        if is_seen is _IS_MARK:
            self._check_lengths(ends, are_strings)
        if ends.size:
            self._last_mark = self._position + int(ends[-1])
        if is_seen is _IS_EDGE and after < len(whole):
            # a number may go on in the next chunk: it begins behind the last mark of any kind
            with_mark = whole[after:].rstrip(_NO_MARK)
            if with_mark:
                self._last_mark = self._position + after + len(with_mark) - 1
        self._is_inside = is_inside
        return True

    def _has_marks_throughout(self, whole: bytes) -> bool:
        """Whether no number can be too long, as each half of the longest one would hold a mark."""
        before = self._position - self._last_mark + len(whole) - len(whole.lstrip(_NO_MARK))
        half = LONGEST_NUMBER // 2
        are_marks = np.frombuffer(whole.translate(_IS_MARK), dtype=bool)
        halves = are_marks[: len(whole) // half * half].reshape(-1, half)
        return before <= LONGEST_NUMBER and bool(halves.any(axis=1).all())

    def _follow_depth(self, marks: np.ndarray, steps: np.ndarray) -> None:
        depths = self._depth + np.cumsum(steps, dtype=np.int32)
        if not depths.size:
            return
        if depths.max() > self._policy.maximum_depth:
            place = self._position + int(marks[int(np.argmax(depths > self._policy.maximum_depth))])
            raise InputError(
                f"{self._name} nests deeper than {self._policy.maximum_depth} levels at byte {place}.",
                cure="No report of a known tool does; look at what made it.",
            )
        if depths.min() < 0:
            place = self._position + int(marks[int(np.argmax(depths < 0))])
            raise InputError(
                f"{self._name} closes a bracket at byte {place} that was never opened.",
                cure="Make the report again and import all of it.",
            )
        self._opened += int(np.count_nonzero(steps > 0))
        if self._opened > _MANY and self._opened * _LEAST_BYTES > self._position + int(marks[-1]):
            raise InputError(
                f"{self._name} is mostly empty brackets: {self._opened} before byte {self._position + int(marks[-1])}.",
                cure="No report of a known tool is; look at what made it.",
            )
        self._depth = int(depths[-1])

    def _check_lengths(self, ends: np.ndarray, are_strings: np.ndarray) -> None:
        """Measure what lies before each end: strings end with a closing quote, the rest are numbers and words."""
        are_long = self._are_too_long(ends, are_strings)
        if are_long.any():
            first = int(np.argmax(are_long))
            place = self._position + int(ends[first])
            raise self._too_long(place, "A string" if are_strings[first] else "A number or word")

    def _are_too_long(self, ends: np.ndarray, are_strings: np.ndarray) -> np.ndarray:
        """Tell which are longer than they may be."""
        lengths = np.diff(ends, prepend=self._last_mark - self._position)
        if not ends.size or lengths.max() <= LONGEST_NUMBER:
            return np.zeros(ends.size, dtype=bool)
        return lengths > np.where(are_strings, self._policy.maximum_text_bytes, LONGEST_NUMBER)

    def _too_long(self, place: int, what: str) -> InputError:
        return InputError(
            f"{what} in {self._name} is too long, before byte {place}.",
            cure="No report of a known tool has one; look at what made it.",
        )
