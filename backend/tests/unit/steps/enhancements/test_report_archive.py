"""Folders and zip files of reports."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.parsing import parse_files

REPORT = json.dumps({"findings": [{"title": "One", "severity": "high"}]})


def zipped(path: Path, *members: tuple[str, str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_each_report_of_a_zip_file_is_read(tmp_path: Path) -> None:
    links = "Getting links from: https://a.test/\nFinished! 1 links found. 0 excluded. 0 broken.\n"
    path = zipped(
        tmp_path / "a.zip", ("b/two.txt", links), ("one.json", REPORT), (".hidden", "x"), ("b/", "")
    )
    audits = parse_files([path])
    assert [(audit.name, audit.format) for audit in audits] == [
        ("two.txt", "link_check"),
        ("one.json", "generic_json"),
    ]


def test_each_report_of_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text(REPORT, encoding="utf-8")
    (tmp_path / "b.json").write_text(REPORT, encoding="utf-8")
    (tmp_path / ".c.json").write_text("{", encoding="utf-8")
    assert [audit.name for audit in parse_files([tmp_path])] == ["b.json", "a.json"]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("../a.json", REPORT)], "leads elsewhere"),
        ([("/etc/a.json", REPORT)], "leads elsewhere"),
        ([("a\\..\\b.json", REPORT)], "leads elsewhere"),
        ([("a.json", "[" + " " * 3_000_000 + "]")], "100 to one"),
        ([(f"{n}.json", REPORT) for n in range(1_001)], "1001 members"),
        ([("a.zip", "PK\x03\x04\x00\x00")], "control character"),
        ([(".only", REPORT)], "no report in it"),
    ],
)
def test_what_a_bomb_or_a_trap_has_is_refused(
    tmp_path: Path, members: list[tuple[str, str]], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        parse_files([zipped(tmp_path / "a.zip", *members)])


def test_a_link_in_a_zip_file_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/hosts")
    with pytest.raises(InputError, match="has a link in it"):
        parse_files([tmp_path / "a.zip"])


def test_a_member_that_is_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.json", REPORT)
    data = content.getvalue().replace(len(REPORT).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError):
        parse_files([tmp_path / "a.zip"])


def test_a_zip_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("a.json", REPORT))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="no whole zip file"):
        parse_files([path])


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no report in it"):
        parse_files([tmp_path])
