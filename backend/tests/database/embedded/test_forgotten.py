"""Data of vanished temporary folders go, however many look for them at once, and nobody else's."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.post_audit.db.forgotten import remove_forgotten

pytestmark = pytest.mark.database

AT_ONCE = 6


def make_home(shared: Path, name: str, belongs_to: Path) -> Path:
    """Data as a server leaves them, an hour ago and longer."""
    home = shared / name
    for folder in range(30):
        (home / "data" / f"folder{folder}").mkdir(parents=True)
        (home / "data" / f"folder{folder}" / "file").touch()
    (home / "belongs-to").write_text(f"{belongs_to}\n")
    os.utime(home / "data", (0, 0))
    return home


def test_many_at_once_remove_what_is_forgotten(tmp_path: Path) -> None:
    for number in range(10):
        make_home(tmp_path, f"server{number}", tmp_path / "vanished" / str(number))
    together = Barrier(AT_ONCE)

    def look() -> None:
        together.wait()
        remove_forgotten(tmp_path)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(look) for _ in range(AT_ONCE)]:
            done.result()
    remove_forgotten(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_one_left_goes_the_next_time(tmp_path: Path) -> None:
    half = make_home(tmp_path, "going-0123456789abcdef", tmp_path / "vanished")
    (half / "belongs-to").unlink()
    remove_forgotten(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_still_has_or_just_used_stays(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    there = make_home(tmp_path / "shared", "there", tmp_path / "project")
    elsewhere = make_home(tmp_path / "shared", "elsewhere", Path("/nowhere/at/all"))
    used = make_home(tmp_path / "shared", "used", tmp_path / "vanished")
    os.utime(used / "data")
    remove_forgotten(tmp_path / "shared")
    assert all((home / "data").exists() for home in (there, elsewhere, used))
