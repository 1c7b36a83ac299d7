"""An audit report as it lies on disk or comes in: whether it is fit to be read, and in which letters it is written.

Everything that touches a file is here. A reader gets a stream of UTF-8 without a mark, and may rely on this:

- it is a regular file, not empty, not above the size limit, and did not change while it was read;
- it is text: UTF-8, or UTF-16 with or without a byte order mark (PowerShell redirects in UTF-16);
- if it is JSON, its brackets close, nest no deeper than the limit, and no string or number is longer than the limit.

The last is found out before a parser sees the file, in one pass of array arithmetic: a large report that was cut off
is refused at once instead of at its end, and no hostile nesting or number reaches a parser that has no limit of its
own. (An integer of a million digits ends the process inside the C parser.)
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, BinaryIO, Final

import numpy as np

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.json_events import LONGEST_NUMBER
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

__all__ = ["HEAD_BYTES", "ReportFile", "open_report", "report_of", "scan_json"]

HEAD_BYTES: Final = 262_144
_CHUNK_BYTES: Final = 262_144

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""UTF-32 stands before UTF-16, whose mark it begins with."""

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

_UNSEEN: Final = codecs.BOM_UTF8 + codecs.BOM_UTF16_BE + b"\x00 \t\r\n"
"""Marks, white space, and the other half of a letter in UTF-16."""
_BINARY: Final = bytes(code for code in range(32) if code not in b"\t\n\v\f\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """One report, open. `name` is what it is called to people, `head` its first letters, `sha256` of its bytes."""

    name: str
    size: int
    sha256: str
    encoding: str
    head: str
    file: IO[bytes]

    def stream(self) -> BinaryIO:
        """Read it from the beginning, as UTF-8 without a mark; `InputError` where a letter is not one."""
        self.file.seek(0)
        return io.BufferedReader(_AsUtf8(self.file, self.encoding, self.name), _CHUNK_BYTES)


class _AsUtf8(io.RawIOBase):
    """A file in one of the encodings we take, read as UTF-8."""

    def __init__(self, file: IO[bytes], encoding: str, name: str) -> None:
        self._file = file
        self._name = name
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._pending = b""
        self._position = 0
        self._is_first = True
        self._is_done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # any writable buffer; typeshed's Buffer needs 3.12
        while not self._pending and not self._is_done:
            self._pending = self._more()
        taken = self._pending[: len(view)]
        view[: len(taken)] = taken
        self._pending = self._pending[len(taken) :]
        return len(taken)

    def _more(self) -> bytes:
        chunk = self._file.read(_CHUNK_BYTES)
        self._is_done = not chunk
        try:
            text = self._decoder.decode(chunk, final=self._is_done)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self._name} is not {self._encoding.upper()} at about byte {self._position + error.start}.",
                cure="Save it as UTF-8 and import it again.",
            ) from error
        self._position += len(chunk)
        # UTF-8 that decodes is passed on as it is, but for its mark
        data = chunk if self._encoding == "utf-8" else text.encode("utf-8", "surrogatepass")
        if self._is_first and data:
            self._is_first = False
            data = data.removeprefix(codecs.BOM_UTF8)
        if len(data.translate(None, _BINARY)) != len(data):
            raise InputError(
                f"{self._name} is no text: it has a control character before byte {self._position}.",
                cure="Give the report itself: JSON, XML, CSV, Markdown or text; unpack an archive first.",
            )
        return data


@contextmanager
def open_report(path: Path, policy: EnhancementsPolicy) -> Iterator[ReportFile]:
    """Open a report for reading, or say by `InputError` why it cannot be one. Never waits for a pipe or device."""
    name = str(path)
    try:
        # Without O_NONBLOCK opening a named pipe waits until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unopened(name, error) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise InputError(f"{name} is {what}.", cure="Name the report's file.")
    with os.fdopen(descriptor, "rb") as file:
        yield report_of(file, name, policy)


def report_of(file: IO[bytes], name: str, policy: EnhancementsPolicy) -> ReportFile:
    """Take a seekable file as a report; `InputError` where it is empty, too large, cut off or no text."""
    size = file.seek(0, io.SEEK_END)
    _check_size(name, size, policy)
    _check_ends(file, size, name)
    file.seek(0)
    digest = sha256()
    read = 0
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        read += len(chunk)
    if read != size:
        raise InputError(
            f"{name} changed while it was read: {size} bytes became {read}.",
            cure="Import it again when it has been written.",
        )
    file.seek(0)
    encoding = _encoding(file.read(HEAD_BYTES), name)
    report = ReportFile(
        name=name, size=size, sha256=digest.hexdigest(), encoding=encoding, head="", file=file
    )
    head = report.stream().read(HEAD_BYTES).decode("utf-8", "ignore")
    if not head.strip():
        raise InputError(f"{name} is empty.", cure="Give a report with something in it.")
    return ReportFile(name=name, size=size, sha256=report.sha256, encoding=encoding, head=head, file=file)


def scan_json(stream: BinaryIO, name: str, policy: EnhancementsPolicy) -> None:
    """Look over a JSON text as a whole; `InputError` with the place where it is cut off or beyond a limit."""
    scan = _JsonScan(name, policy)
    while chunk := stream.read(_CHUNK_BYTES):
        scan.feed(chunk)
    scan.finish()


class _JsonScan:
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


def _encoding(head: bytes, name: str) -> str:
    """Tell the encoding by the mark at the beginning, or by where the zeros are."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            if encoding == "utf-32":
                raise InputError(
                    f"{name} is written in UTF-32.", cure="Save it as UTF-8 and import it again."
                )
            return encoding
    sample = head[:1024]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    most = len(sample) // 4
    if odd > most and not even:
        return "utf-16-le"
    if even > most and not odd:
        return "utf-16-be"
    return "utf-8"


def _check_ends(file: IO[bytes], size: int, name: str) -> None:
    """Say so at once when what begins with a bracket does not end with one: the most common way to be cut off."""
    file.seek(0)
    begin = file.read(64).translate(None, _UNSEEN)[:1]
    file.seek(max(0, size - 4096))
    end = file.read().translate(None, _UNSEEN)[-1:]
    if begin in {b"{", b"["} and end and end not in {b"}", b"]"}:
        raise InputError(
            f"{name} was cut off, or is no JSON: it ends at byte {size} without a bracket.",
            cure="Make the report again and import all of it.",
        )


def _check_size(name: str, size: int, policy: EnhancementsPolicy) -> None:
    if size == 0:
        raise InputError(f"{name} is empty.", cure="Give a report with something in it.")
    if size > policy.maximum_bytes:
        raise InputError(
            f"{name} has {size // 1_000_000} MB; a report may have {policy.maximum_bytes // 1_000_000} MB.",
            cure="Let the tool report fewer rules or folders at a time, each with a --target of its own.",
        )


def _unopened(name: str, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError(f"There is no file {name}.", cure="Check the path.")
    if isinstance(error, PermissionError):
        return InputError(f"{name} may not be read by this user.", cure="Give it read permission: chmod +r.")
    if error.errno == errno.ENXIO:
        return InputError(f"{name} is no ordinary file.", cure="Name the report's file.")
    return InputError(f"{name} cannot be opened: {error.strerror}.", cure="Check the path and the disk.")
