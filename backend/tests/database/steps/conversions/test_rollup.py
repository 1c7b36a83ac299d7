"""The roll-up: equal to a full recount whatever happens to the tables, and in whatever order it commits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.post_audit.ports import JSON, Database
from app.post_audit.step import Change, Decision, Outcome
from app.post_audit.steps import fake_data
from app.post_audit.steps.conversions import STEP, gather, gather_history
from app.post_audit.steps.conversions.assess import assess
from tests.support import decisions, marketplace

pytestmark = pytest.mark.database

AS_OF = datetime(2025, 11, 9, 9, 30, tzinfo=UTC)
SUPPLIERS = 12
NOTED = pytest.mark.reference_only(
    "changes are noted by triggers on our tables; tables of somebody's own get none"
)

CELLS = """
SELECT date_trunc('hour', u.sent_at), u.epoch, u.variant, count(*), count(*) FILTER (WHERE u.failed)
FROM {units} AS u GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
OUTCOMES = """
SELECT hour, epoch, variant, delay, sum(converted)::bigint, sum(opt_outs)::bigint FROM (
  SELECT date_trunc('hour', u.sent_at) AS hour, u.epoch, u.variant,
    post_audit.delay_hours(u.sent_at, u.verified_at) AS delay, 1 AS converted, 0 AS opt_outs FROM {units} AS u
  UNION ALL
  SELECT date_trunc('hour', u.sent_at), u.epoch, u.variant, post_audit.delay_hours(u.sent_at, u.opted_out_at), 0, 1
  FROM {units} AS u
) AS o WHERE delay IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
UNITS = """
SELECT supplier, sent_at, epoch, variant, failed, other_variant_at, verified_at, opted_out_at FROM {units} AS u
ORDER BY supplier
"""


def refresh(database: Database, batch: int = 4_000) -> dict[str, Any]:
    while True:
        answer: Any = database.call("post_audit_maintain_conversions", batch=batch)
        if answer["complete"]:
            return dict(answer)


def check_all(database: Database) -> None:
    """Go once round all suppliers, as many runs do: where nobody notes changes, what is gone is found so."""
    for _ in range(4):
        database.call("post_audit_maintain_conversions", batch=10_000)


def catch_up(database: Database) -> None:
    """Take in everything that has changed, a few at a time."""
    if not refresh(database, batch=3)["noted"]:
        check_all(database)


def recount(connection: psycopg.Connection) -> list[list[Any]]:
    """Count everything anew from the marketplace's tables."""
    found = connection.execute("SELECT post_audit.units_query(true)").fetchone()
    assert found is not None
    with psycopg.RawCursor(connection) as cursor:
        return [
            cursor.execute(query.format(units=f"({found[0]})"), ("1",)).fetchall()
            for query in (UNITS, CELLS, OUTCOMES)
        ]


def rolled_up(connection: psycopg.Connection) -> list[list[Any]]:
    units = """
    SELECT supplier, sent_at, epoch, variant, failed, other_variant_at, verified_at, opted_out_at
    FROM post_audit.conversion_units WHERE experiment = '1' ORDER BY supplier
    """
    blocks = """
    SELECT hour, epoch, variant, units, failed FROM post_audit.conversion_blocks
    WHERE experiment = '1' AND (units <> 0 OR failed <> 0) ORDER BY 1, 2, 3
    """
    outcomes = """
    SELECT hour, epoch, variant, delay_hours, converted, opt_outs FROM post_audit.conversion_outcomes
    WHERE experiment = '1' AND (converted <> 0 OR opt_outs <> 0) ORDER BY 1, 2, 3, 4
    """
    return [connection.execute(query).fetchall() for query in (units, blocks, outcomes)]


Deed = tuple[str, int, int]

DEEDS = {
    "invite": "INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at) VALUES"
    " (%(supplier)s, CASE WHEN %(number)s %% 3 = 0 THEN 'variant_a' ELSE 'variant_b' END, %(at)s)",
    "invite elsewhere": "INSERT INTO public.invites_ab_test (experiment_id, supplier_id, variant, sent_at)"
    " VALUES (2, %(supplier)s, 'x', %(at)s)",
    "fail": "UPDATE public.invites_ab_test SET status = 'failed', allocation_epoch = 2"
    " WHERE supplier_id::bigint = %(supplier)s",
    "move": "UPDATE public.invites_ab_test SET supplier_id = %(number)s %% 12 + 1"
    " WHERE supplier_id::bigint = %(supplier)s",
    "uninvite": "DELETE FROM public.invites_ab_test WHERE supplier_id::bigint = %(supplier)s",
    "claim": "INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, claimed_at, verified_at) VALUES"
    " (%(supplier)s, 'u', %(at)s, CASE WHEN %(number)s %% 4 > 0 THEN %(at)s END)",
    "verify": "UPDATE public.claim_airdrop_log SET verified_at = %(at)s WHERE supplier_id::bigint = %(supplier)s",
    "unclaim": "DELETE FROM public.claim_airdrop_log WHERE supplier_id::bigint = %(supplier)s",
    "opt out": "INSERT INTO post_audit.opt_out_log (supplier_id, opted_out_at) VALUES (%(supplier)s, %(at)s)",
    "forget": "TRUNCATE public.invites_ab_test",
}


def do(connection: psycopg.Connection, deed: Deed) -> None:
    name, supplier, number = deed
    at = AS_OF - timedelta(minutes=17 * number)
    connection.execute(DEEDS[name], {"supplier": supplier, "number": number, "at": at})


deeds = st.tuples(st.sampled_from(sorted(DEEDS)), st.integers(1, SUPPLIERS), st.integers(0, 2_000))


@pytest.fixture
def suppliers(connection: psycopg.Connection) -> Callable[[], None]:
    connection.execute(
        "INSERT INTO public.suppliers (id, name) SELECT n, 'S' || n FROM generate_series(1, %s) AS n",
        (SUPPLIERS,),
    )
    connection.execute(
        "INSERT INTO public.ab_test_config (name, active_variant, variants, allocation_basis_points)"
        ' VALUES (\'Second\', \'x\', \'[{"id": "x", "label": "X"}]\', \'{"x": 10000}\')'
    )

    def empty() -> None:
        connection.execute(
            "DELETE FROM public.invites_ab_test; DELETE FROM public.claim_airdrop_log;"
            " DELETE FROM post_audit.opt_out_log"
        )

    return empty


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(deeds, max_size=8), st.lists(deeds, max_size=4), st.lists(deeds, max_size=8), st.booleans())
def test_it_equals_a_full_recount_though_a_transaction_commits_late(  # noqa: PLR0917 - three fixtures, four parts
    database: Database,
    connection: psycopg.Connection,
    conninfo: str,
    suppliers: Callable[[], None],
    before: list[Deed],
    late: list[Deed],
    after: list[Deed],
    commits: bool,
) -> None:
    suppliers()
    for deed in before:
        do(connection, deed)
    refresh(database, batch=3)
    with psycopg.connect(conninfo) as open_for_long:
        # rows and a truncation would wait for this transaction; what only adds does not
        for deed in late:
            if deed[0] in {"invite", "claim", "opt out", "invite elsewhere"}:
                do(open_for_long, deed)
        for deed in after:
            if deed[0] in {"invite", "claim", "opt out", "invite elsewhere"}:
                do(connection, deed)
        catch_up(database)
        assert rolled_up(connection) == recount(connection)
        if commits:
            open_for_long.commit()
        else:
            open_for_long.rollback()
    for deed in after:
        do(connection, deed)
    catch_up(database)
    assert rolled_up(connection) == recount(connection)


def test_a_quarantined_supplier_leaves_it_and_comes_back(
    database: Database, planted: psycopg.Connection
) -> None:
    refresh(database)
    whole = rolled_up(planted)
    assert whole == recount(planted)
    found = fake_data.gather(database, fake_data.STEP.policy, datetime.now(UTC)).suppliers
    place = found.id.index("15")
    state: dict[str, JSON] = {"digest": found.digest[place]}
    before = {**state, "state": "live", "claims": found.claims[place], "earnings": found.earnings[place]}
    taken = Decision(
        outcome=Outcome.ACT,
        headline="One is taken out.",
        reasons=(decisions.reason(),),
        changes=(
            Change(
                subject="supplier:15", before=before, after={**state, "state": "quarantined", "evidence": []}
            ),
        ),
    )
    made = decisions.decide(database, taken, step="fake_data", tick="q")
    assert made["state"] == "proposed"
    database.call("post_audit_apply_approval", decision_id=made["id"], actor=decisions.ACTOR)
    refresh(database)
    assert rolled_up(planted) == recount(planted) != whole
    database.call("post_audit_apply_undo", decision_id=made["id"], actor=decisions.ACTOR)
    refresh(database)
    assert rolled_up(planted) == recount(planted) == whole


@NOTED
def test_triggers_that_are_off_are_noticed(database: Database, planted: psycopg.Connection) -> None:
    assert refresh(database)["noted"]
    planted.execute("ALTER TABLE public.invites_ab_test DISABLE TRIGGER post_audit_notes_insert")
    planted.execute("DELETE FROM public.invites_ab_test WHERE supplier_id::bigint < 100")
    planted.execute(
        "INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at) VALUES (50, 'variant_a', now())"
    )
    assert not refresh(database)["noted"]
    assert rolled_up(planted) == recount(planted)


def test_another_binding_is_counted_anew(database: Database, planted: psycopg.Connection) -> None:
    refresh(database)
    planted.execute(
        "CREATE TABLE public.theirs AS SELECT id, experiment_id, supplier_id, variant, sent_at"
        " FROM public.invites_ab_test WHERE supplier_id::bigint % 2 = 0"
    )
    planted.execute("ALTER TABLE public.theirs ADD PRIMARY KEY (id)")
    marketplace.bind(planted, "invites", "public.theirs", {})
    assert not refresh(database)["noted"]
    assert rolled_up(planted) == recount(planted)
    # without notes: what is new is found by its moment
    planted.execute("INSERT INTO public.theirs VALUES (900001, 1, 1, 'variant_b', now())")
    planted.execute("DELETE FROM public.theirs WHERE supplier_id::bigint = 2")
    planted.execute("UPDATE post_audit.conversion_rollups SET read_until = now() - interval '2 hours'")
    check_all(database)
    assert rolled_up(planted) == recount(planted)


def test_a_load_of_many_rows_is_walked(database: Database, connection: psycopg.Connection) -> None:
    refresh(database)
    connection.execute(
        "INSERT INTO public.suppliers (id, name) SELECT n, 'S' || n FROM generate_series(1, 50001) AS n"
    )
    connection.execute(
        "INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at)"
        " SELECT n, 'variant_a', %s FROM generate_series(1, 50001) AS n",
        (AS_OF - timedelta(days=9),),
    )
    notes = connection.execute("SELECT count(*) FROM post_audit.conversion_notes").fetchone()
    assert notes == (1,)
    begun = gather(database, STEP.policy, AS_OF).experiments[0].counting
    assert begun is not None
    assert 0 < begun.counted < 50_001 <= 2 * begun.invites
    assert STEP.run(database, AS_OF).outcome is not Outcome.UNKNOWN
    facts = gather(database, STEP.policy, AS_OF)
    assert facts.experiments[0].counting is None
    assert facts.experiments[0].blocks[0].counts["variant_a"].units == 50_001


@NOTED
def test_nothing_is_written_where_nothing_has_changed(
    database: Database, planted: psycopg.Connection
) -> None:
    refresh(database)
    before = planted.execute(
        "SELECT pg_current_xact_id_if_assigned(), xmin, r.* FROM post_audit.conversion_rollups AS r"
    )
    former = before.fetchall()
    refresh(database)
    after = planted.execute(
        "SELECT pg_current_xact_id_if_assigned(), xmin, r.* FROM post_audit.conversion_rollups AS r"
    )
    assert after.fetchall() == former


def test_what_is_remembered_gives_the_same_judgement(database: Database, planted: psycopg.Connection) -> None:
    as_of = datetime.now(UTC)
    planted.execute(
        "UPDATE public.invites_ab_test SET sent_at = sent_at - interval '9 days'"
        " WHERE supplier_id::bigint <= 6000"
    )
    planted.execute(
        "UPDATE public.claim_airdrop_log"
        " SET claimed_at = claimed_at - interval '9 days', verified_at = verified_at - interval '9 days'"
    )
    # what was moved is counted again before anything is remembered
    refresh(database)
    whole = gather(database, STEP.policy, as_of)
    assert whole.experiments[0].memory is None
    short = gather(database, STEP.policy, as_of)
    (old,), (new,) = whole.experiments, short.experiments
    assert new.memory is not None
    assert len(new.blocks) < len(old.blocks)
    assert (new.assigned, new.claim_hours, new.immature) == (old.assigned, old.claim_hours, old.immature)
    first, second = (assess(one, as_of, (), STEP.policy) for one in (old, new))
    assert second.log_e == pytest.approx(first.log_e)
    assert [(r.units, r.converted) for r in second.results] == [(r.units, r.converted) for r in first.results]
    assert second.status is first.status
    # a claim that is taken out of an old block makes that forgotten
    planted.execute("DELETE FROM public.claim_airdrop_log WHERE supplier_id = 15")
    check_all(database)
    again = gather(database, STEP.policy, as_of).experiments[0]
    assert again.memory is None
    assert gather_history(database, STEP.policy, as_of).experiments[0].blocks == again.blocks
