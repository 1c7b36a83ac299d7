"""What is no report is refused whole, at once, with the place and the cure."""

from __future__ import annotations

import io
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.parsing import parse_files
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.report_file import open_report, report_of

POLICY = EnhancementsPolicy()
FINDINGS = '{"findings": [{"title": "Tür offen", "severity": "high"}]}'


@pytest.mark.parametrize(
    "content",
    [
        FINDINGS.encode(),
        b"\xef\xbb\xbf" + FINDINGS.encode(),
        FINDINGS.encode("utf-16"),
        b"\xfe\xff" + FINDINGS.encode("utf-16-be"),
        FINDINGS.encode("utf-16-le"),
        FINDINGS.encode("utf-16-be"),
        b"\xff\xfe" + FINDINGS.replace("{", "{\r\n").encode("utf-16-le"),
    ],
    ids=["utf-8", "utf-8 mark", "utf-16", "utf-16 be", "le without mark", "be without mark", "crlf"],
)
def test_encodings(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    (finding,) = parse_files([path])[0].findings
    assert finding.title.split() == ["Tür", "offen"]


HOSTILE = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\t ", "is empty"),
    "only a mark": (b"\xff\xfe", "is empty"),
    "cut off": (b'{"findings": [{"title": "x", "sev', "cut off"),
    "cut off behind a bracket": (b'{"findings": [{"title": "x", "severity": "high"}', "2 brackets open"),
    "cut off in a string": (b'{"findings": [{"title": "x", "severity": "}', "inside a string"),
    "cut off in a letter": (b"\xff\xfe" + FINDINGS.encode("utf-16-le")[:-1], "not UTF-16"),
    "a closing bracket too many": (b'{"findings": [{"title": "x", "severity": 1}]}}', "never opened"),
    "deep": (
        b'{"findings": [{"title":"x","severity":1}], "x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "deeper than 64",
    ),
    "deep and cut off": (b"[" * 100_000, "cut off"),
    "deep from the start": (b"[" * 100_000 + b"]" * 100_000, "deeper than 64"),
    "a number of a million digits": (b'{"findings": [{"title": ' + b"9" * 1_000_000 + b"}]}", "too long"),
    "a long number": (
        b'{"findings": [{"title": "x", "severity": 1}, ' + b"9" * 1_000_000 + b"]}",
        "too long",
    ),
    "a long string": (b'{"findings": [{"severity": "x", "title": "' + b"x" * 1_000_001 + b'"}]}', "too long"),
    "only backslashes": (
        b'{"findings": [{"title": "x", "severity": "' + b"\\" * 2_000_002 + b'"}]}',
        "too long",
    ),
    "a zero byte": (b'{"findings": [{"title": "a\x00b", "severity": "high"}]}', "control character"),
    "binary": (bytes(range(256)) * 100, "control character|not UTF-8"),
    "zip": (b"PK\x03\x04" + b"\x14\x00\x00" * 100, "no whole zip file"),
    "latin-1": (FINDINGS.encode("latin-1"), "not UTF-8 at about byte 26"),
    "utf-32": (FINDINGS.encode("utf-32"), "UTF-32"),
    "billion laughs": (
        b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]><l>&b;</l>',
        "no format",
    ),
    "prose": (b"All is well.", "no format"),
    "a number": (b"42", "no format"),
    "an empty list": (b"[]", "no format"),
    "two texts": (b'{"findings": [{"title": "x", "severity": 1}]}{}', "after the end"),
    "no json": (b'{"findings": [{"title": "x", "severity": NaN}]}', r"no valid JSON at \$.findings"),
    "an entry without end": (
        b'{"findings": [{"title": "x", "severity": [' + b"1," * 60_000 + b"1]}]}",
        "more than 50000 values",
    ),
    "rubbish in a list": (b'{"findings": [' + b"1," * 200 + b"1]}", "more than 100 entries"),
}


@pytest.mark.parametrize(("content", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_report_is_refused_at_once(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=why) as caught:
            parse_files([path])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in caught.value.message
    assert caught.value.cure
    assert caught.value.exit_code == 2
    # The promise is 2 s and 200 MB; tracing alone makes it several times slower.
    assert time.monotonic() - started < 5
    assert peak < 100_000_000


def test_an_oversized_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    started = time.monotonic()
    with pytest.raises(InputError, match="200 MB; a report may have 64 MB"):
        parse_files([path])
    assert time.monotonic() - started < 0.5


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    for name, why in {
        "pipe.json": "no ordinary file",
        "folder.json": "a folder",
        "missing.json": "no file",
        "loop.json": "cannot be opened",
        "missing/x.json": "no file",
        "/dev/zero": "no ordinary file",
    }.items():
        with pytest.raises(InputError, match=why):
            parse_files([tmp_path / name])


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(FINDINGS, encoding="utf-8")
    path.chmod(0)
    with pytest.raises(InputError, match="may not be read"):
        parse_files([path])


def test_one_bad_file_refuses_all(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(FINDINGS, encoding="utf-8")
    bad.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"bad\.json"):
        parse_files([good, bad])


def test_a_report_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    with open_report(path, POLICY) as report:
        assert (report.size, report.encoding, report.head) == (6, "utf-8", "[1]")
        assert report.stream().read() == report.stream().read() == b"[1]"


def test_a_stream_that_grows_while_it_is_read_is_refused() -> None:
    class Growing(io.BytesIO):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            if whence == io.SEEK_END:
                place = super().seek(0, io.SEEK_END)
                self.write(b"[more]")
                return place
            return super().seek(offset, whence)

    with pytest.raises(InputError, match="changed while it was read"):
        report_of(Growing(b"[1]"), "x.json", POLICY)
