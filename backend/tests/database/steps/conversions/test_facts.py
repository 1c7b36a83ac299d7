"""The facts of the step `conversions` as the database gives them, and the changes it carries out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import psycopg

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.steps.conversions import STEP
from app.post_audit.steps.conversions.facts import Counts, Experiment

AS_OF = datetime(2025, 11, 9, 9, tzinfo=UTC)
SENT = AS_OF - timedelta(hours=200)


def suppliers(connection: psycopg.Connection, number: int) -> None:
    connection.execute(
        "INSERT INTO public.suppliers (id, name) SELECT n, 'S' || n FROM generate_series(1, %s) AS n",
        (number,),
    )


def invite(  # noqa: PLR0917 - as the columns stand
    connection: psycopg.Connection,
    supplier: int,
    variant: str = "variant_a",
    sent_at: datetime = SENT,
    epoch: int = 1,
    status: str = "sent",
) -> None:
    connection.execute(
        "INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at, allocation_epoch, status)"
        " VALUES (%s, %s, %s, %s, %s)",
        (supplier, variant, sent_at, epoch, status),
    )


def experiment(database: PsycopgDatabase) -> Experiment:
    (found,) = STEP.gather(database, STEP.policy, AS_OF).experiments
    return found


def test_the_first_invite_counts_and_others_are_exposure(
    database: PsycopgDatabase, connection: psycopg.Connection
) -> None:
    suppliers(connection, 3)
    invite(connection, 1)
    invite(connection, 1, "variant_b", SENT + timedelta(hours=1))
    invite(connection, 2, "variant_b", SENT)
    invite(connection, 3, "variant_b", AS_OF - timedelta(hours=1), epoch=2)
    found = experiment(database)
    assert found.blocks[0].counts == {
        "variant_a": Counts(units=1, converted=0),
        "variant_b": Counts(units=1, converted=0),
    }
    assert found.assigned == {1: {"variant_a": 1, "variant_b": 1}, 2: {"variant_b": 1}}
    assert (found.exposed_to_several, found.immature) == (1, {"variant_b": 1})
    assert found.epoch_allocations == {1: {"variant_a": 5_000, "variant_b": 5_000}}
    assert (found.judged_from_epoch, found.own_window_hours) == (1, None)


def test_opt_outs_within_the_window_and_failed_sends_are_counted(
    database: PsycopgDatabase, connection: psycopg.Connection
) -> None:
    suppliers(connection, 4)
    for supplier in (1, 2, 3):
        invite(connection, supplier)
    invite(connection, 4, status="failed")
    for supplier, hours in ((1, 1), (1, 2), (2, 73), (3, -1)):
        connection.execute(
            "INSERT INTO post_audit.opt_out_log (supplier_id, opted_out_at) VALUES (%s, %s)",
            (supplier, SENT + timedelta(hours=hours)),
        )
    (block,) = experiment(database).blocks
    assert block.counts == {"variant_a": Counts(units=4, converted=0, opt_outs=1, failed=1)}


def test_late_claims_are_seen_beyond_the_window(
    database: PsycopgDatabase, connection: psycopg.Connection
) -> None:
    suppliers(connection, 200)
    connection.execute(
        "INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at)"
        " SELECT n, 'variant_b', %s FROM generate_series(1, 200) AS n",
        (SENT,),
    )
    connection.execute(
        "INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, claimed_at, verified_at)"
        " SELECT n, 'u' || n, %(at)s, %(at)s FROM generate_series(1, 200) AS n",
        {"at": SENT + timedelta(hours=100)},
    )
    found = experiment(database)
    assert found.claim_hours == {"variant_b": 100.0}
    assert found.blocks[0].counts["variant_b"].converted == 0


def test_the_window_and_the_shares_are_changed_and_taken_back(
    database: PsycopgDatabase, connection: psycopg.Connection
) -> None:
    def change(expected: dict[str, object], wanted: dict[str, object]) -> None:
        connection.execute(
            "SELECT post_audit.change_experiment('1', %s, %s, 2, 1)",
            (json.dumps(expected), json.dumps(wanted)),
        )

    narrow: dict[str, object] = {"attribution_window_hours": None}
    wide: dict[str, object] = {"attribution_window_hours": 96}
    change(narrow, wide)
    found = experiment(database)
    assert (found.attribution_window_hours, found.own_window_hours) == (96, 96)
    assert found.winner is None
    change(wide, narrow)
    assert experiment(database).attribution_window_hours == 72
