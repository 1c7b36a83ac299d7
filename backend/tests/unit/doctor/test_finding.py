"""What an examination comes to: its worst, its exit code, its order."""

from __future__ import annotations

import pytest

from app.post_audit.doctor.finding import Area, Examination, Finding, Level, of_error
from app.post_audit.errors import DatabaseUnreachable, InvalidSetting, TookTooLong


def finding(level: Level, area: Area = Area.RUNS) -> Finding:
    return Finding(area=area, name=f"{area}.{level}", level=level, text="So it is.")


@pytest.mark.parametrize(
    ("levels", "worst", "code"),
    [
        ([], Level.WELL, 0),
        ([Level.WELL, Level.NOTE], Level.NOTE, 0),
        ([Level.PROBLEM, Level.NOTE], Level.PROBLEM, 1),
        ([Level.NOTE, Level.MISCONFIGURED, Level.PROBLEM], Level.MISCONFIGURED, 2),
    ],
)
def test_the_worst_decides(levels: list[Level], worst: Level, code: int) -> None:
    examination = Examination(findings=tuple(finding(level) for level in levels))
    assert (examination.worst, examination.exit_code) == (worst, code)
    assert sum(examination.counts.values()) == len(levels)


def test_findings_are_told_by_area_and_what_is_wrong_by_how_bad_it_is() -> None:
    examination = Examination(
        findings=(
            finding(Level.PROBLEM, Area.MACHINE),
            finding(Level.NOTE, Area.SETTINGS),
            finding(Level.MISCONFIGURED, Area.TABLES),
            finding(Level.PROBLEM, Area.DATABASE),
        )
    )
    assert [one.area for one in examination.ordered()] == [
        Area.SETTINGS,
        Area.DATABASE,
        Area.TABLES,
        Area.MACHINE,
    ]
    assert [one.area for one in examination.wrong()] == [Area.TABLES, Area.DATABASE, Area.MACHINE]


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (InvalidSetting("So it is not.", cure="Correct it."), Level.MISCONFIGURED),
        (DatabaseUnreachable("Nobody answers.", cure="Correct it."), Level.MISCONFIGURED),
        (TookTooLong("It took too long.", cure="Correct it."), Level.PROBLEM),
    ],
)
def test_an_error_is_a_finding_of_its_exit_code(error: InvalidSetting, level: Level) -> None:
    found = of_error(Area.DATABASE, "database.reached", error)
    assert (found.level, found.level.exit_code, found.cure) == (level, error.exit_code, "Correct it.")
