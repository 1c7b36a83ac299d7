"""The inbox over a real database: two processes, a file that is broken, a file that comes again."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from app.post_audit.steps.enhancements.inbox import Collected, collect
from tests.database.steps.enhancements.audited import Queue

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.database


def report(*titles: str) -> str:
    return json.dumps({"findings": [{"title": title, "severity": "high"} for title in titles]})


def test_two_processes_take_up_each_file_once(queue: Queue, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.json").write_text(report(f"Finding {number}"), encoding="utf-8")
    barrier = threading.Barrier(2)

    def run() -> list[Collected]:
        barrier.wait()
        return collect(tmp_path, queue.database)

    with ThreadPoolExecutor(2) as pool:
        found = [item for future in [pool.submit(run) for _ in range(2)] for item in future.result()]
    assert sorted(item.name for item in found) == sorted(f"{number}.json" for number in range(20))
    assert queue.rows("SELECT count(*)::int, count(DISTINCT content_hash)::int FROM post_audit.audits") == [
        (20, 20)
    ]
    assert len(list((tmp_path / "archive").iterdir())) == 20


def test_a_broken_file_is_remembered_in_the_database(queue: Queue, tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"findings": [{"title": "x", "severity": "high"]}', encoding="utf-8")
    (item,) = collect(tmp_path, queue.database)
    assert "cut.json" in item.error
    assert queue.rows("SELECT name, state FROM post_audit.audits") == [("cut.json", "refused")]
