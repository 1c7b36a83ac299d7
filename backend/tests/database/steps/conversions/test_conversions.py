"""The step over a real database: counts as a person would count, switches once, and goes back exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from app.post_audit.ports import Database
from app.post_audit.runner import Runner
from app.post_audit.steps.conversions import STEP, gather
from tests.support import decisions

pytestmark = pytest.mark.database

LEASE = timedelta(seconds=30)


def experiment(connection: psycopg.Connection) -> dict[str, Any]:
    row = connection.execute(
        "SELECT to_jsonb(e) - '{version,updated_at}'::text[] FROM public.ab_test_config AS e"
    ).fetchone()
    assert row is not None
    return dict(row[0])


def run(database: Database) -> dict[str, Any]:
    report = Runner(database, [STEP], lease=LEASE).run()
    assert report.steps[0].decision is not None, report.steps[0].error
    return dict(report.steps[0].decision)


@pytest.mark.both_transports
@pytest.mark.both_bindings
def test_a_clear_winner_is_switched_to_once_and_undone_exactly(
    database: Database, planted: psycopg.Connection
) -> None:
    connection = planted
    decisions.arm(database, "conversions")
    before = experiment(connection)

    switch = run(database)
    assert switch["state"] == "applied"
    now = experiment(connection)
    assert (now["active_variant"], now["winner"], now["allocation_epoch"]) == ("variant_b", "variant_b", 2)
    assert now["allocation_basis_points"] == {"variant_a": 500, "variant_b": 9500}
    told = [message for message in switch["messages"] if message["channel"] == "n8n_ab_update"]
    assert [message["payload"]["active_variant"] for message in told] == ["variant_b"]

    again = run(database)
    assert (again["outcome"], again["counts"]) == ("nothing", {})

    answer: Any = database.call("post_audit_apply_undo", decision_id=switch["id"], actor=decisions.ACTOR)
    # all as it was, under an epoch of its own: before the switch and after its undo is not compared
    assert experiment(connection) == before | {"allocation_epoch": 3}
    undone = [message for message in answer["decision"]["messages"] if message["channel"] == "n8n_ab_update"]
    assert [message["payload"]["active_variant"] for message in undone] == ["variant_a"]
    assert undone[0]["version"] > told[0]["version"]
    assert undone[0]["payload"]["allocation_epoch"] == 3

    held = run(database)
    assert (held["outcome"], experiment(connection)) == ("blocked", before | {"allocation_epoch": 3})
    connection.execute("UPDATE post_audit.holds SET until = now()")
    assert run(database)["state"] == "applied"


def test_counts_equal_a_persons_count(database: Database, planted: psycopg.Connection) -> None:
    connection = planted
    connection.execute(
        # a second invite with the other message does not count: the first one sticks
        "INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at) "
        "SELECT supplier_id, CASE variant WHEN 'variant_a' THEN 'variant_b' ELSE 'variant_a' END, "
        "sent_at + interval '1 day' FROM public.invites_ab_test WHERE supplier_id::bigint <= 100"
    )
    # too young to be judged, and claimed at once all the same
    connection.execute("INSERT INTO public.suppliers (id, name) VALUES (7001, 'Young'), (7002, 'Late')")
    connection.execute(
        "INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at) VALUES "
        "(7001, 'variant_a', now() - interval '1 hour'), (7002, 'variant_a', now() - interval '8 days')"
    )
    connection.execute(
        "INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, claimed_at, verified_at) VALUES "
        "(7001, 'y', 'verified', now(), now()), "
        # after the window of 72 hours
        "(7002, 'l', 'verified', now() - interval '1 day', now() - interval '1 day')"
    )
    facts = gather(database, STEP.policy, datetime.now(UTC))
    counted: dict[str, tuple[int, int]] = {}
    for block in facts.experiments[0].blocks:
        for variant, counts in block.counts.items():
            units, converted = counted.get(variant, (0, 0))
            counted[variant] = (units + counts.units, converted + counts.converted)
    assert counted == {"variant_a": (3001, 120), "variant_b": (3000, 200)}


def test_without_invites_nothing_is_known(database: Database) -> None:
    decision = run(database)
    assert (decision["outcome"], decision["state"]) == ("unknown", "noted")


def test_a_role_without_a_table_is_named(database: Database, connection: psycopg.Connection) -> None:
    connection.execute("DROP VIEW post_audit.invites")
    report = Runner(database, [STEP], lease=LEASE).run()
    assert report.steps[0].error is not None
    assert report.steps[0].error["code"] == "BindingNeeded"
    assert "post-audit bind invites" in report.steps[0].error["cure"]
