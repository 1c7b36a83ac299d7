"""An audit report as it lies on disk or comes in: whether it is fit to be read, and in which letters it is written.

Everything that touches a file is here. A reader gets a stream of UTF-8 without a mark, and may rely on this:

- it is a regular file, not empty, not above the size limit, and did not change while it was read;
- it is text: UTF-8, or UTF-16 with or without a byte order mark (PowerShell redirects in UTF-16);
- if it is JSON, it is within the limits of `json_scan`.
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

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

__all__ = ["CHUNK_BYTES", "HEAD_BYTES", "ReportFile", "open_report", "report_of"]

HEAD_BYTES: Final = 262_144
CHUNK_BYTES: Final = 262_144

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""UTF-32 stands before UTF-16, whose mark it begins with."""

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
        return io.BufferedReader(_AsUtf8(self.file, self.encoding, self.name), CHUNK_BYTES)


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
        chunk = self._file.read(CHUNK_BYTES)
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
    while chunk := file.read(CHUNK_BYTES):
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
