from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.enhancements.export import COLUMNS, as_csv, as_github_issues, safe_cell
from app.post_audit.steps.enhancements.tasks import Task

MOMENT = datetime(2025, 11, 9, 6, 30, tzinfo=UTC)


def task(**fields: Any) -> Task:  # noqa: ANN401 - any field
    plain = Task(
        id=7,
        title="Open redirect",
        description="",
        priority="high",
        category="security",
        status="pending",
        disposition=None,
        estimated_hours=None,
        source="CodeQL",
        target="shop",
        location="src/login.ts",
        line=12,
        component=None,
        rule="js/redirect",
        severity="high",
        occurrences=1,
        owner=None,
        lease_expires_at=None,
        accepted_until=None,
        duplicate_of=None,
        note=None,
        first_seen_at=MOMENT,
        last_seen_at=MOMENT,
        updated_at=MOMENT,
        completed_at=None,
        version="1",
        score=96.0,
    )
    return replace(plain, **fields)


def read(tasks: list[Task]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(as_csv(tasks)), newline="")))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =cmd|' /C calc'!A0",
        "\N{FULLWIDTH EQUALS SIGN}1",
    ],
)
def test_nothing_runs_as_a_formula(text: str) -> None:
    assert safe_cell(text) == "'" + text
    (row,) = read([task(title=text, note=text)])
    assert (row["title"], row["note"]) == ("'" + text, "'" + text)


@pytest.mark.parametrize("text", ["", "plain", "a=b", "1-2", "x@y.example"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_a_cell_never_begins_like_a_formula_and_loses_nothing(text: str) -> None:
    safe = safe_cell(text)
    assert safe.endswith(text)
    assert not safe.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_row_has_every_column_and_numbers_stay_numbers() -> None:
    (row,) = read([task(title='He said "no",\nand left', estimated_hours=1.5)])
    assert tuple(row) == COLUMNS
    assert (row["id"], row["score"], row["line"], row["estimated_hours"]) == ("7", "96.0", "12", "1.5")
    assert (row["title"], row["component"]) == ('He said "no",\nand left', "")
    assert row["first_seen_at"] == "2025-11-09 06:30:00+00:00"


def test_no_task_is_a_head_alone() -> None:
    assert read([]) == []
    assert list(as_github_issues([])) == []


def test_an_issue_is_one_line_of_what_github_takes() -> None:
    told = task(
        description="Any address is\nfollowed.", occurrences=3, due_at=MOMENT, disposition="false_positive"
    )
    (line,) = as_github_issues([told])
    assert line.count("\n") == 1
    issue = json.loads(line)
    assert issue["title"] == "Open redirect"
    assert issue["labels"] == ["priority: high", "category: security", "false positive"]
    assert issue["body"].splitlines()[:2] == ["Any address is", "followed."]
    assert "- Place: `src/login.ts`, line 12" in issue["body"]
    assert "- Reported by: CodeQL on shop" in issue["body"]


def test_an_issue_leaves_out_what_is_not_known() -> None:
    bare = task(location=None, line=None, rule=None, source=None, target=None, title="T" * 300)
    issue = json.loads(next(as_github_issues([bare])))
    assert issue["body"] == "- First seen: 2025-11-09\n- Task: 7"
    assert len(issue["title"]) == 250
