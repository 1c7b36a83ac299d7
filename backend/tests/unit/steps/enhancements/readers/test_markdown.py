"""Markdown reports: the labelled ones as a whole, and what they are made of one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.parsing import ParsedAudit
from tests.support.markdown_scores import OURS, SHARED, Score, labelled, score_of

Read = Callable[..., ParsedAudit]
OPEN, PARTIAL, DONE = "pending", "in_progress", "completed"


def together(folder: Path) -> Score:
    return sum((score_of(report, gold) for report, gold in labelled() if report.parent == folder), Score())


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real reports (../shared/data) are not here")
def test_real_reports_are_read_as_people_read_them() -> None:
    score = together(SHARED)
    assert score.f1 >= 0.95
    assert score.states >= 0.98


def test_reports_in_other_styles_are_read_too() -> None:
    assert len(list(OURS.glob("*.md"))) >= 30
    score = together(OURS)
    assert score.f1 >= 0.95
    assert score.states >= 0.98


def states(audit: ParsedAudit) -> list[tuple[int | None, str, str]]:
    return [(finding.line, finding.status, finding.severity) for finding in audit.findings]


def test_boxes(read: Read) -> None:
    text = "# Audit\n\n## Checklist\n\n- [ ] Rotate keys\n- [x] Turn on logs\n- [~] Translate help\n"
    assert [found[:2] for found in states(read(text, "a.md"))] == [(5, OPEN), (6, DONE), (7, PARTIAL)]


def test_states_before_entries_below_a_heading_that_is_a_level_only(read: Read) -> None:
    entries = "- DONE – Crash on start\n- WIP: Wrong cent\n* Pay\n  * (open) Sheet closes\n"
    text = f"# Release\n\n## P0 – must ship\n\n{entries}"
    assert states(read(text, "a.md")) == [
        (5, DONE, "critical"),
        (6, PARTIAL, "critical"),
        (8, OPEN, "critical"),
    ]


@pytest.mark.parametrize(
    ("heading", "state"),
    [
        ("Still open", OPEN),
        ("Parked", OPEN),
        ("In the works", PARTIAL),
        ("Already sorted out since May", DONE),
    ],
)
def test_headings_tell_states_in_ordinary_words(read: Read, heading: str, state: str) -> None:
    found = states(
        read(f"# Notes\n\n## {heading}\n\n- Audio of room 7 stops\n- Map turns the wrong way\n", "a.md")
    )
    assert [entry[:2] for entry in found] == [(5, state), (6, state)]


@pytest.mark.parametrize(
    "heading", ["Positive Feststellungen", "Points positifs", "The good news", "No action needed"]
)
def test_praise_is_no_finding(read: Read, heading: str) -> None:
    text = (
        f"# Notes\n\n## Issues\n\n- Search is broken\n\n## {heading}\n\n- Logs are kept\n- Nobody got lost\n"
    )
    assert [found[0] for found in states(read(text, "a.md"))] == [5]


def test_an_action_in_other_words_settles_the_finding(read: Read) -> None:
    first = "**Backups were never tried.** Snapshots exist, nobody has restored one.\n\n"
    second = "**Search is slow.** It takes 9 s.\n\n"
    plan = "## Next steps\n\n- [x] Try to restore the snapshots\n- [ ] Buy a plan\n"
    text = f"# Notes\n\n## What hurts\n\n{first}{second}{plan}"
    assert [found[:2] for found in states(read(text, "a.md"))] == [(5, DONE), (7, OPEN), (12, OPEN)]


def test_states_are_no_titles_of_rows(read: Read) -> None:
    rows = "| 1 | Closed | Receipts are not dated |\n| 2 | Open | Petty cash is not counted |\n| 3 | N/A | Travel |\n"
    audit = read(f"# Audit\n\n## Findings\n\n| Nr | Where we are | Point |\n|---|---|---|\n{rows}", "a.md")
    assert [(finding.title, finding.status) for finding in audit.findings] == [
        ("Receipts are not dated", DONE),
        ("Petty cash is not counted", OPEN),
    ]


def test_severity_is_inherited_from_the_heading(read: Read) -> None:
    high = "### High priority\n\n- Login fails\n- Search is slow\n\n"
    text = f"# Audit\n\n## Issues\n\n{high}### Low\n\n- Old logo\n"
    assert states(read(text, "a.md")) == [(7, OPEN, "high"), (8, OPEN, "high"), (12, OPEN, "low")]


def test_a_summary_a_section_and_a_plan_tell_of_one_finding(read: Read) -> None:
    text = (
        "# Audit\n\n## Findings\n\n| ID | Title | Severity |\n|---|---|---|\n"
        "| A-1 | Login has no rate limit | High |\n\n"
        "## Details\n\n### A-1: Login has no rate limit\n\nTry it.\n\n**Status:** Fixed\n\n"
        "## Recommendations\n\n1. Add a rate limit to the login\n2. Write a runbook\n"
    )
    assert [found[:2] for found in states(read(text, "a.md"))] == [(7, DONE), (20, OPEN)]


def test_code_and_frames_are_no_findings(read: Read) -> None:
    text = (
        "# Audit\n\n## Scope\n\n- Login is not tested\n\n## Issues\n\n```\n- ❌ in a log\n```\n\n- ❌ Broken search\n\n"
        "## What works well\n\n- ✅ Backups\n\n## Appendix\n\n- nothing is missing\n"
    )
    assert [found[0] for found in states(read(text, "a.md"))] == [13]


def test_a_guess_outside_of_every_section_about_findings_is_to_be_reviewed(read: Read) -> None:
    audit = read("# Report\n\n## Network\n\n- Switches have no names\n- Eight floors\n", "a.md")
    assert audit.findings == ()
    assert [finding.title for finding in audit.needs_review] == ["Switches have no names"]
    assert not audit.is_complete


def test_effort_is_taken_where_it_is_stated(read: Read) -> None:
    fields = "- **Severity:** High\n- **Effort:** 2-3 days\n- **File:** `src/a.py`\n"
    text = f"# Audit\n\n## Issues\n\n### 1. Slow page\n\n{fields}"
    (finding,) = read(text, "a.md").findings
    assert (finding.estimated_hours, finding.location, finding.severity) == (24.0, "src/a.py", "high")


def test_encodings(read: Read) -> None:
    text = "# Audit\r\n\r\n## Issues\r\n\r\n- Käse fehlt\r\n"
    for encoding in ("utf-8-sig", "utf-16"):
        (finding,) = read(text.encode(encoding), "a.md").findings
        assert (finding.title, finding.line) == ("Käse fehlt", 5)


def test_what_no_person_writes_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match="No person writes a report that long"):
        read("# Issues\n\n" + "- x is missing\n" * 40_000, "a.md")
    with pytest.raises(InputError, match="places that tell of findings"):
        read("# A\n\n## Issues\n\n" + "".join(f"- thing {n} is missing\n" for n in range(900)), "a.md")


def test_labels_are_well_formed() -> None:
    for path in OURS.glob("*.json"):
        gold = json.loads(path.read_text(encoding="utf-8"))
        lines = path.with_suffix(".md").read_text(encoding="utf-8").splitlines()
        assert all(1 <= line <= len(lines) for finding in gold["findings"] for line in finding["lines"])
