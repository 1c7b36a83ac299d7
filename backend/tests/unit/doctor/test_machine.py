"""Room, log and inbox of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.post_audit.doctor.finding import Level
from app.post_audit.doctor.machine import check_folders, check_machine, check_room
from app.post_audit.settings import Settings


def settings(folder: Path) -> Settings:
    return Settings(data_directory=folder / "data", log_file=folder / "logs" / "log", inbox=folder / "inbox")


@pytest.mark.parametrize(("free", "level"), [(499_999_999, Level.PROBLEM), (500_000_000, Level.WELL)])
def test_room_is_measured(tmp_path: Path, free: int, level: Level) -> None:
    (found,) = check_room("the log", tmp_path, free)
    assert (found.level, bool(found.cure)) == (level, level is Level.PROBLEM)
    assert f"{free // 1_000_000} MB are free for the log" in found.text


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    found = list(check_machine(settings(tmp_path), is_embedded=True))
    assert [one.name for one in found] == ["machine.disk", "machine.disk", "machine.log"]
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_is_there_tells_its_size(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log").write_text("x" * 4_000)
    (found,) = check_folders(settings(tmp_path))
    assert found.text.endswith("logs/log has 4 kB.")


def test_a_log_that_is_a_folder_and_an_inbox_that_is_a_file_are_set_up_wrongly(tmp_path: Path) -> None:
    (tmp_path / "logs" / "log").mkdir(parents=True)
    (tmp_path / "inbox").write_text("")
    assert [(one.name, one.level) for one in check_folders(settings(tmp_path))] == [
        ("machine.log", Level.MISCONFIGURED),
        ("machine.inbox", Level.MISCONFIGURED),
    ]
