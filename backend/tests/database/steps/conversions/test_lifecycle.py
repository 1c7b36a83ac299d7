"""What follows a switch in a real database: a winner that wears out, harm, several experiments at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from app.post_audit.ports import Database
from app.post_audit.runner import Runner
from app.post_audit.steps.conversions import STEP
from tests.support import decisions

pytestmark = pytest.mark.database

# {first supplier, number, variant, epoch, one in so many converts, one in so many opts out}, over two days a week ago
MORE = """
INSERT INTO public.suppliers (id, name)
SELECT n, 'S' || n FROM generate_series(%(first)s, %(first)s + %(number)s - 1) AS n;
INSERT INTO public.invites_ab_test (experiment_id, supplier_id, variant, allocation_epoch, sent_at)
SELECT %(experiment)s, n, %(variant)s, %(epoch)s,
  date_trunc('hour', now()) - interval '7 days' + (n %% 48) * interval '1 hour'
FROM generate_series(%(first)s, %(first)s + %(number)s - 1) AS n;
INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, claimed_at, verified_at)
SELECT i.supplier_id::bigint, 'u', 'verified', i.sent_at + interval '1 hour', i.sent_at + interval '2 hours'
FROM public.invites_ab_test AS i
WHERE i.supplier_id::bigint BETWEEN %(first)s AND %(first)s + %(number)s - 1
  AND i.supplier_id::bigint %% %(converts)s = 0;
INSERT INTO post_audit.opt_out_log (supplier_id, opted_out_at)
SELECT i.supplier_id, i.sent_at + interval '1 hour' FROM public.invites_ab_test AS i
WHERE i.supplier_id::bigint BETWEEN %(first)s AND %(first)s + %(number)s - 1
  AND i.supplier_id::bigint %% %(opts_out)s = 0;
"""


def more(connection: psycopg.Connection, first: int, number: int, variant: str, **how: int) -> None:
    numbers = {"experiment": 1, "epoch": 2, "converts": 33, "opts_out": 10**9, **how}
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(MORE, {"first": first, "number": number, "variant": variant, **numbers})


def row(connection: psycopg.Connection, experiment: int = 1) -> dict[str, Any]:
    query = "SELECT to_jsonb(e) FROM public.ab_test_config AS e WHERE e.id = %s"
    found = connection.execute(query, (experiment,)).fetchone()
    assert found is not None
    return dict(found[0])


def run(database: Database) -> dict[str, Any]:
    report = Runner(database, [STEP], lease=timedelta(seconds=30)).run()
    assert report.steps[0].decision is not None, report.steps[0].error
    return dict(report.steps[0].decision)


@pytest.fixture
def switched(database: Database, planted: psycopg.Connection) -> psycopg.Connection:
    """The experiment after its switch to variant_b."""
    decisions.arm(database, "conversions")
    assert run(database)["state"] == "applied"
    return planted


def test_a_winner_that_wears_out_is_reverted_and_that_is_undone(
    database: Database, switched: psycopg.Connection
) -> None:
    more(switched, 10_000, 600, "variant_a", converts=8)
    more(switched, 20_000, 11_400, "variant_b", converts=33)
    reverted = run(database)
    assert [reason["code"] for reason in reverted["reasons"]] == ["conversions.worn"]
    now = row(switched)
    assert (now["active_variant"], now["winner"], now["allocation_epoch"]) == ("variant_a", None, 3)
    # what spoke for the former winner is over
    (told,) = run(database)["numbers"]["experiments"]
    assert (told["word"], [variant["units"] for variant in told["variants"]]) == ("reverted", [0, 0])
    database.call("post_audit_apply_undo", decision_id=reverted["id"], actor=decisions.ACTOR)
    again = row(switched)
    assert (again["active_variant"], again["winner"], again["allocation_epoch"]) == (
        "variant_b",
        "variant_b",
        4,
    )
    # nobody was invited under the new epoch yet, so nothing speaks against the winner in it
    assert (run(database)["counts"], row(switched)["allocation_epoch"]) == ({}, 4)


def test_a_message_that_does_harm_is_stopped_and_goes_on_when_a_person_says_so(
    database: Database, switched: psycopg.Connection
) -> None:
    more(switched, 10_000, 3_000, "variant_a", opts_out=500)
    more(switched, 20_000, 10_000, "variant_b", opts_out=50)
    stopped = run(database)
    assert [reason["code"] for reason in stopped["reasons"]] == ["conversions.harm"]
    now = row(switched)
    assert (now["active_variant"], now["allocation_basis_points"]) == (
        "variant_a",
        {"variant_a": 10_000, "variant_b": 0},
    )
    database.call("post_audit_apply_undo", decision_id=stopped["id"], actor=decisions.ACTOR)
    assert row(switched)["active_variant"] == "variant_b"
    assert run(database)["counts"] == {}


def test_several_experiments_are_judged_and_switched_together(
    database: Database, planted: psycopg.Connection
) -> None:
    planted.execute(
        "INSERT INTO public.ab_test_config (name, active_variant, variants, allocation_basis_points, started_at)"
        " SELECT 'Second', active_variant, variants, allocation_basis_points, started_at"
        " FROM public.ab_test_config WHERE id = 1"
    )
    for first, variant, converts in ((10_000, "variant_a", 15), (20_000, "variant_b", 50)):
        more(planted, first, 3_000, variant, experiment=2, epoch=1, converts=converts)
    planted.execute(
        "INSERT INTO public.invites_ab_test (experiment_id, supplier_id, variant, sent_at)"
        " SELECT 2, n, CASE WHEN n % 2 = 0 THEN 'variant_a' ELSE 'variant_b' END, now()"
        " FROM generate_series(6001, 6100) AS n"
    )
    decisions.arm(database, "conversions")
    both = run(database)
    assert both["headline"] == "2 experiments switch to their winners."
    assert (row(planted)["winner"], row(planted, 2)["winner"]) == ("variant_b", "variant_a")
    database.call(
        "post_audit_apply_undo", decision_id=both["id"], actor=decisions.ACTOR, subjects=["experiment:2"]
    )
    assert (row(planted)["winner"], row(planted, 2)["winner"]) == ("variant_b", None)
    assert (row(planted)["allocation_epoch"], row(planted, 2)["allocation_epoch"]) == (2, 3)
