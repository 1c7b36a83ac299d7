"""The steps of the product on the demonstration: what they find, what they leave, and that all of it goes again."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.demonstration import Line, Market, Verdict, confusion, load, remove
from app.post_audit.runner import Runner
from app.post_audit.step import Outcome
from app.post_audit.steps import bugs, conversions, fake_data, infrastructure, live_fomo
from tests.support.content import Content
from tests.support.decisions import arm

pytestmark = [
    pytest.mark.database,
    pytest.mark.reference_only("the demonstration is loaded into our tables alone"),
]

STEPS = (conversions.STEP, infrastructure.STEP, fake_data.STEP, bugs.STEP, live_fomo.STEP)


def line(verdict: Verdict, step: str) -> Line:
    return next(one for one in verdict.lines if one.step == step)


def run(database: PsycopgDatabase, tick: str) -> None:
    report = Runner(database, STEPS, lease=timedelta(seconds=60)).run(tick=tick, kind="manual")
    assert not report.failed, [step.error for step in report.steps]


@pytest.fixture
def loaded(connection: psycopg.Connection, market: Market) -> Market:
    load(connection, market)
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
def test_steps_that_act_settle_what_was_planted(database: PsycopgDatabase) -> None:
    for step in STEPS:
        arm(database, step.name)
    run(database, "first")
    verdict = confusion(database)
    assert [(one.step, one.wrong) for one in verdict.lines] == [(step.name, 0) for step in STEPS]
    assert line(verdict, "conversions").settled == 1
    assert line(verdict, "infrastructure").settled == 1
    assert line(verdict, "live_fomo").settled == line(verdict, "live_fomo").planted == 6

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
def test_what_steps_only_propose_waits(database: PsycopgDatabase) -> None:
    run(database, "first")
    verdict = confusion(database)
    assert not any(one.settled for one in verdict.lines if one.step != "bugs")
    assert line(verdict, "conversions").waiting == 1
    assert line(verdict, "infrastructure").waiting == 1
    assert line(verdict, "live_fomo").waiting == 6
    assert line(verdict, "fake_data").waiting > 0.65 * line(verdict, "fake_data").planted
    assert [one.wrong for one in verdict.lines] == [0] * len(STEPS)


@pytest.mark.usefixtures("loaded")
def test_what_a_person_agrees_to_is_settled_and_the_counters_follow(database: PsycopgDatabase) -> None:
    for step in STEPS:
        arm(database, step.name)
    run(database, "first")
    waiting = database.call("post_audit_read_decisions", step="fake_data", limit=1)
    assert isinstance(waiting, list)
    database.call("post_audit_apply_approval", decision_id=waiting[0]["id"], actor="a test")
    run(database, "second")
    verdict = confusion(database)
    assert line(verdict, "fake_data").waiting == 0
    counters = line(verdict, "live_fomo")
    assert (counters.settled, counters.wrong) == (6, 0)


def test_a_demonstration_that_was_run_leaves_nothing_behind(
    database: PsycopgDatabase, connection: psycopg.Connection, market: Market, content: Content
) -> None:
    # what stays on purpose: that there was a demonstration, so that it does not come again by itself
    connection.execute("UPDATE post_audit.marketplace SET was_demonstrated = true")
    before, numbers, triggers = content.tables(), content.sequences(), content.triggers()
    load(connection, market)
    for step in STEPS:
        database.call("post_audit_apply_mode", step=step.name, mode="act", actor="a test")
    run(database, "first")
    removed = remove(connection)
    assert removed.rows["post_audit.decisions"] == len(STEPS)
    assert removed.rows["post_audit.live_evidence"] > 0
    after = content.tables()
    # the modes are people's and stay
    assert {table for table in before if before[table] != after[table]} == {"post_audit.step_modes"}
    assert content.sequences() == numbers
    assert content.triggers() == triggers
    assert load(connection, market).rows["public.suppliers"] == len(market.table("public.suppliers").rows)
