"""What is said of the database: its migration, rights, tables, clock; each thing by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.post_audit.doctor.database import check_access, check_clock, check_database, check_tables
from app.post_audit.doctor.facts import Access, Exposure, RoleBinding
from app.post_audit.doctor.finding import Finding, Level
from tests.unit.doctor.examples import DIGEST, NOW, health


def of_database(**fields: Any) -> list[Finding]:  # noqa: ANN401 - any field of the facts
    return list(check_database(health(**fields), place="bell24h on db:5432", digest=DIGEST))


def test_a_database_that_is_well_names_itself() -> None:
    (found,) = of_database()
    assert found.level is Level.WELL
    assert found.text == "bell24h on db:5432 answers: PostgreSQL 17.2, migration ab12cd34, 41 MB."


@pytest.mark.parametrize(
    ("fields", "name", "says"),
    [
        ({"server": "14.9", "server_number": 140_009}, "server", "PostgreSQL 14.9 is too old"),
        ({"is_standby": True}, "writable", "The database is a standby, so nothing can be recorded there."),
        ({"is_read_only": True}, "writable", "takes no changes from this user"),
        ({"digest": None}, "migration", "has migration unknown, and this program belongs to ab12cd34."),
        ({"digest": "0" * 64}, "migration", "has migration 00000000"),
        (
            {"missing_functions": ("a()", "b()", "c()", "d()")},
            "functions",
            "are gone: a(), b(), c() and 1 more.",
        ),
    ],
)
def test_a_database_that_is_not_well_is_set_up_wrongly(fields: dict[str, Any], name: str, says: str) -> None:
    first, *_ = of_database(**fields)
    assert (first.name, first.level) == (f"database.{name}", Level.MISCONFIGURED)
    assert says in first.text
    assert first.cure


def test_a_demonstration_is_noted() -> None:
    assert [found.level for found in of_database(marketplace="demonstration")] == [Level.WELL, Level.NOTE]


@pytest.mark.parametrize(
    ("seconds", "level", "says"),
    [
        (0.4, Level.WELL, "agree"),
        (-4.9, Level.WELL, "agree"),
        (6, Level.NOTE, "6\u00a0s ahead of the database's"),
        (-600, Level.PROBLEM, "10\u00a0min behind the database's"),
    ],
)
def test_clocks_are_compared(seconds: float, level: Level, says: str) -> None:
    (found,) = check_clock(health(), here=NOW + timedelta(seconds=seconds))
    assert found.level is level
    assert says in found.text


def test_what_is_closed_is_well() -> None:
    (found,) = check_access(Access(unsecured=(), readable=(), exposed=()))
    assert found.level is Level.WELL


def test_what_is_open_is_named_with_the_statement_that_closes_it() -> None:
    found = list(
        check_access(
            Access(
                unsecured=("a", "b"),
                readable=("public.earnings_leaderboard",),
                exposed=(
                    Exposure(name="public.post_audit_read_clock()", outsider="anon"),
                    Exposure(name="public.bugs", outsider="public"),
                ),
            )
        )
    )
    assert [(one.name, one.level) for one in found] == [
        ("access.row_level_security", Level.PROBLEM),
        ("access.exposed", Level.PROBLEM),
        ("access.readable", Level.NOTE),
    ]
    assert (
        found[1].text
        == "The public role anon may use public.post_audit_read_clock() and 1 more, which is ours alone."
    )
    assert found[1].cure == "REVOKE ALL ON FUNCTION public.post_audit_read_clock() FROM anon"


def test_each_role_without_a_usable_table_is_named() -> None:
    bound = RoleBinding(role="tasks", relation="public.tasks", is_bound=True, lacking=())
    found = list(
        check_tables(
            (
                bound,
                replace(bound, role="bugs", relation=None, is_bound=False),
                replace(bound, role="sends", is_bound=False, relation="app.sends"),
                replace(bound, role="airdrop", lacking=("UPDATE", "SELECT")),
            ),
            acts_as="service_role",
        )
    )
    assert [one.text for one in found] == [
        "The role bugs has no table: its name was taken.",
        "The role sends has no table: app.sends is gone or has lost a column.",
        "The role airdrop cannot be used: service_role lacks the right to select, update on public.tasks.",
        "1 of 4 roles have a table that may be used.",
    ]
    assert found[2].cure == "GRANT SELECT, UPDATE ON public.tasks TO service_role"
