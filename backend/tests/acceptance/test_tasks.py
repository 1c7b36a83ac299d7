"""`post-audit tasks`: from a report to a task that is claimed, done, put aside, exported."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from tests.support import marketplace

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from tests.support.product import Product

pytestmark = [pytest.mark.acceptance]


def report(path: Path, numbers: range) -> str:
    severities = ("critical", "high", "low")
    path.write_text(
        json.dumps(
            [
                {"title": f"Finding {n}", "severity": severities[n % 3], "file": f"src/{n}.ts", "line": 3}
                for n in numbers
            ]
        )
    )
    return str(path)


def test_a_task_from_its_report_to_its_end(
    product: Product, connection: psycopg.Connection, tmp_path: Path
) -> None:
    marketplace.arm_all(connection)
    imported = product.json("import", report(tmp_path / "report.json", range(6)))
    assert imported["effects"][0]["report"]["new"] == 6
    assert imported["confirmed"] == []

    listed = product.json("tasks", "list")
    assert (listed["count"], listed["tasks"][0]["priority"]) == (6, "critical")
    (claimed,) = product.json("tasks", "claim", "--as", "asha")["tasks"]
    assert claimed["id"] == listed["tasks"][0]["id"]
    done = product.json("tasks", "done", str(claimed["id"]), "--as", "asha", "--note", "fixed in 1.2")
    assert done["tasks"][0]["status"] == "completed"
    refused = product.json("tasks", "done", str(claimed["id"]), code=1)
    assert refused["error"]["code"] == "StateMoved"
    shown = product.run("tasks", "show", str(claimed["id"])).stdout
    assert "completed (asha): fixed in 1.2" in shown

    exported = product.run("tasks", "export")
    assert len(list(csv.DictReader(io.StringIO(exported.stdout)))) == 5
    wrong = product.json("tasks", "list", "--priority", "urgent", code=2)
    assert "critical, high, medium, low" in wrong["error"]["cure"]


def test_closing_most_of_a_scope_is_confirmed_beforehand(
    product: Product, connection: psycopg.Connection, tmp_path: Path
) -> None:
    marketplace.arm_all(connection)
    product.json("import", report(tmp_path / "all.json", range(9)))
    few = product.json("import", report(tmp_path / "few.json", range(2)), "--confirm")
    assert few["confirmed"] == [few["audits"][0]["id"]]
    assert few["effects"][0]["report"]["gone"] == 7
    assert (
        marketplace.one(connection, "SELECT count(*) FROM public.enhancement_tasks WHERE status = 'pending'")
        == 2
    )
