from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from app.post_audit.steps.enhancements.inbox import collect

if TYPE_CHECKING:
    from app.post_audit.ports import JSON

REPORT = json.dumps({"findings": [{"title": "Open port", "severity": "high"}]})


class Audits:
    """A database that knows each content once."""

    def __init__(self) -> None:
        self.targets: dict[object, object] = {}
        self.refused: list[object] = []

    def call(self, function: str, **arguments: object) -> JSON:
        if function == "post_audit_apply_refused_audit":
            self.refused.append(arguments["name"])
            return {"id": 0, "state": "refused"}
        known = arguments["content_hash"] in self.targets
        self.targets[arguments["content_hash"]] = arguments["target"]
        return {"id": 1, "state": "received", "known": known, "received_at": "2025-11-09T06:30:00+00:00"}

    def describe(self) -> str:
        return "audits"

    def close(self) -> None:
        """Nothing is open."""


def put(path: Path, text: str = REPORT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_report_is_stored_and_archived_under_its_day(tmp_path: Path) -> None:
    put(tmp_path / "report.json")
    (item,) = collect(tmp_path, Audits())
    assert (item.name, item.error) == ("report.json", "")
    assert item.archived_as == tmp_path / "archive/2025-11-09_report.json"
    assert item.archived_as.read_text(encoding="utf-8") == REPORT
    assert collect(tmp_path, Audits()) == []


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    database = Audits()
    for expected in ("2025-11-09_report.json", "2025-11-09_report-2.json", "2025-11-09_report-3.json"):
        put(tmp_path / "report.json")
        (item,) = collect(tmp_path, database)
        assert item.archived_as == tmp_path / "archive" / expected


def test_a_folder_names_the_target(tmp_path: Path) -> None:
    put(tmp_path / "client/report.json")
    database = Audits()
    (item,) = collect(tmp_path, database)
    assert item.archived_as == tmp_path / "archive/client/2025-11-09_report.json"
    assert list(database.targets.values()) == ["client"]


def test_a_broken_file_stays_with_its_error_until_it_changes(tmp_path: Path) -> None:
    path = put(tmp_path / "report.json", REPORT[:-3])
    database = Audits()
    (item,) = collect(tmp_path, database)
    error = tmp_path / "report.json.error.txt"
    assert "cut off" in item.error
    assert item.error in error.read_text(encoding="utf-8")
    assert path.exists()
    assert collect(tmp_path, database) == []
    put(path)
    later = error.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(later, later))
    (item,) = collect(tmp_path, database)
    assert item.error == ""
    assert not error.exists()
    assert not path.exists()


def test_a_file_of_unknown_format_is_remembered_by_its_content(tmp_path: Path) -> None:
    put(tmp_path / "notes.txt", "All is well.")
    database = Audits()
    collect(tmp_path, database)
    assert database.refused == ["notes.txt"]


def test_what_is_being_written_or_hidden_is_left_alone(tmp_path: Path) -> None:
    for name in (".hidden.json", "report.json.part", "report.json.tmp", "old.error.txt"):
        put(tmp_path / name)
    assert collect(tmp_path, Audits()) == []


def test_a_file_that_another_process_holds_is_left_to_it(tmp_path: Path) -> None:
    path = put(tmp_path / "report.json")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert collect(tmp_path, Audits()) == []
    assert len(collect(tmp_path, Audits())) == 1


def test_an_inbox_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert collect(tmp_path / "missing", Audits()) == []


def test_an_error_of_the_database_leaves_the_file(tmp_path: Path) -> None:
    class Away(Audits):
        def call(self, function: str, **arguments: object) -> JSON:
            raise ConnectionError(function, sorted(arguments))

    path = put(tmp_path / "report.json")
    try:
        collect(tmp_path, Away())
    except ConnectionError:
        assert path.exists()
    assert len(collect(tmp_path, Audits())) == 1
