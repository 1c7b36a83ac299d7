"""The steps of the product on the demonstration: what they find, what they leave, and that all of it goes again."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.demonstration import Line, Market, Verdict, confusion
from app.post_audit.runner import Runner
from app.post_audit.step import Outcome
from app.post_audit.steps import bugs, conversions, fake_data, infrastructure, live_fomo
from tests.support.decisions import arm

pytestmark = pytest.mark.database

STEPS = (conversions.STEP, infrastructure.STEP, fake_data.STEP, bugs.STEP, live_fomo.STEP)


def line(verdict: Verdict, step: str) -> Line:
    return next(one for one in verdict.lines if one.step == step)


def run(database: PsycopgDatabase, tick: str) -> None:
    report = Runner(database, STEPS, lease=timedelta(seconds=60)).run(tick=tick, kind="manual")
    assert not report.failed, [step.error for step in report.steps]


@pytest.fixture
def reached(demonstration_reached: dict[str, str]) -> dict[str, str]:
    return demonstration_reached


@pytest.fixture
def counters(binding: str) -> int:
    """How many of the six false counters can be set right: claims in Prisma's shape name no money."""
    return 6 if binding == "reference" else 5


@pytest.fixture
def loaded(looking: psycopg.Connection, market: Market) -> Market:
    looking.execute("UPDATE post_audit.step_modes SET mode = 'propose'")
    return market


def test_the_better_message_is_switched_to(database: PsycopgDatabase, loaded: Market) -> None:
    decision = conversions.STEP.run(database, loaded.as_of)
    assert decision.outcome is Outcome.ACT
    assert [(change.subject, change.after["winner"]) for change in decision.changes] == [
        ("experiment:1", "variant_b")
    ]


def test_sms_is_raised_and_whatsapp_is_not(database: PsycopgDatabase, loaded: Market) -> None:
    decision = infrastructure.STEP.run(database, loaded.as_of)
    assert [(change.subject, change.after["daily_quota"]) for change in decision.changes] == [
        ("capacity:sms", 30_000)
    ]


def test_before_a_run_nothing_is_judged(database: PsycopgDatabase, loaded: Market) -> None:
    verdict = confusion(database)
    assert verdict.as_of == loaded.as_of
    assert {row[2] for row in verdict.rows()} == {"has not run yet"}
    assert not any(one.settled or one.waiting for one in verdict.lines)


@pytest.mark.usefixtures("loaded")
def test_steps_that_act_settle_what_was_planted(database: PsycopgDatabase, counters: int) -> None:
    for step in STEPS:
        arm(database, step.name)
    run(database, "first")
    verdict = confusion(database)
    assert [(one.step, one.wrong) for one in verdict.lines] == [(step.name, 0) for step in STEPS]
    assert line(verdict, "conversions").settled == 1
    assert line(verdict, "infrastructure").settled == 1
    assert (line(verdict, "live_fomo").settled, line(verdict, "live_fomo").planted) == (counters, 6)

    suppliers = line(verdict, "fake_data")
    assert suppliers.settled > 0.65 * suppliers.planted
    assert suppliers.waiting == 8
    assert suppliers.listed > 0
    # who shows nothing in the row is not found by a look at the row
    assert suppliers.missed >= 14

    merged = line(verdict, "bugs")
    reworded = 4
    assert (merged.settled, merged.missed) == (merged.planted - reworded, reworded)

    before = verdict.rows()
    run(database, "second")
    assert confusion(database).rows() == before


@pytest.mark.usefixtures("loaded")
def test_what_steps_only_propose_waits(database: PsycopgDatabase, counters: int) -> None:
    run(database, "first")
    verdict = confusion(database)
    assert not any(one.settled for one in verdict.lines if one.step != "bugs")
    assert line(verdict, "conversions").waiting == 1
    assert line(verdict, "infrastructure").waiting == 1
    assert line(verdict, "live_fomo").waiting == counters
    assert line(verdict, "fake_data").waiting > 0.65 * line(verdict, "fake_data").planted
    # money that no claim names is hidden, which nobody planted
    assert [one.wrong for one in verdict.lines] == [0] * (len(STEPS) - 1) + [6 - counters]


@pytest.mark.usefixtures("loaded")
def test_what_a_person_agrees_to_is_settled_and_the_counters_follow(
    database: PsycopgDatabase, counters: int
) -> None:
    for step in STEPS:
        arm(database, step.name)
    run(database, "first")
    waiting = database.call("post_audit_read_decisions", step="fake_data", limit=1)
    assert isinstance(waiting, list)
    database.call("post_audit_apply_approval", decision_id=waiting[0]["id"], actor="a test")
    run(database, "second")
    verdict = confusion(database)
    assert line(verdict, "fake_data").waiting == 0
    shown = line(verdict, "live_fomo")
    assert (shown.settled, shown.wrong) == (counters, 0)
