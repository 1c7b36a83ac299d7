"""The step over a real database: raises one channel when it has to, and goes back exactly."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from app.post_audit.errors import StateMoved
from app.post_audit.ports import Database
from app.post_audit.runner import Runner
from app.post_audit.steps.infrastructure import STEP
from tests.support import decisions, marketplace

pytestmark = pytest.mark.database


def capacity(connection: psycopg.Connection) -> dict[str, Any]:
    row = connection.execute(
        "SELECT jsonb_object_agg(c.channel, to_jsonb(c) - '{version,updated_at}'::text[]) "
        "FROM public.infrastructure_config AS c"
    ).fetchone()
    assert row is not None
    return dict(row[0])


def run(database: Database) -> dict[str, Any]:
    report = Runner(database, [STEP], lease=timedelta(seconds=30)).run()
    assert report.steps[0].decision is not None, report.steps[0].error
    return dict(report.steps[0].decision)


@pytest.mark.both_transports
@pytest.mark.both_bindings
def test_a_channel_that_is_nearly_full_is_raised_and_undone_exactly(
    database: Database, connection: psycopg.Connection
) -> None:
    marketplace.nearly_full(connection)
    decisions.arm(database, "infrastructure")
    before = capacity(connection)

    raised = run(database)
    after = capacity(connection)
    assert (after["sms"]["daily_quota"], after["sms"]["n8n_batch_size"]) == (30_000, 750)
    assert after["whatsapp"] == before["whatsapp"]
    told = [message for message in raised["messages"] if message["channel"] == "n8n_scale"]
    assert [message["payload"]["daily_quota"] for message in told] == [30_000]

    answer: Any = database.call("post_audit_apply_undo", decision_id=raised["id"], actor=decisions.ACTOR)
    assert capacity(connection) == before
    undone = [message for message in answer["decision"]["messages"] if message["channel"] == "n8n_scale"]
    assert [message["payload"]["daily_quota"] for message in undone] == [20_000]
    assert undone[0]["version"] > told[0]["version"]

    held = run(database)
    assert (held["outcome"], capacity(connection)) == ("blocked", before)
    # what is needed now is more than what was taken back: the hold no longer binds
    marketplace.nearly_full(connection, used=20_000)
    assert run(database)["state"] == "applied"


def test_below_the_mark_nothing_is_raised(database: Database, connection: psycopg.Connection) -> None:
    marketplace.nearly_full(connection, used=15_900)
    decisions.arm(database, "infrastructure")
    before = capacity(connection)
    assert run(database)["changes"] == []
    assert capacity(connection) == before


def test_never_a_message_is_unknown_and_not_zero(database: Database) -> None:
    decision = run(database)
    assert (decision["outcome"], decision["changes"]) == ("unknown", [])


def test_a_quota_that_was_changed_by_hand_meanwhile_is_decided_on_anew(
    database: Database, connection: psycopg.Connection
) -> None:
    marketplace.nearly_full(connection)
    decision = run(database)
    assert decision["state"] == "proposed"
    connection.execute("UPDATE public.infrastructure_config SET daily_quota = 50000 WHERE channel = 'sms'")
    report_id = decision["id"]
    answer: Any = database.call("post_audit_apply_approval", decision_id=report_id, actor=decisions.ACTOR)
    assert answer["decision"]["state"] == "moved"
    assert capacity(connection)["sms"]["daily_quota"] == 50_000
    with pytest.raises(StateMoved):
        database.call("post_audit_apply_undo", decision_id=report_id, actor=decisions.ACTOR)
