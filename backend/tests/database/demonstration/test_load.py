"""The demonstration goes only where nothing is, and leaves nothing behind."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from app.post_audit import compose
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.demonstration import (
    Market,
    confusion,
    load,
    load_demonstration,
    obstacle,
    remove,
    remove_demonstration,
)
from app.post_audit.errors import ConfigurationError, InputError, NotFound, NotMigrated
from app.post_audit.runner import Runner
from tests.support import marketplace
from tests.support.content import Content
from tests.support.decisions import begin

pytestmark = [
    pytest.mark.database,
    pytest.mark.reference_only("the demonstration is loaded into our tables alone"),
]


def name_of(connection: psycopg.Connection) -> str:
    return connection.info.dbname


def test_everything_is_loaded_and_the_clock_stands(connection: psycopg.Connection, market: Market) -> None:
    loaded = load(connection, market)
    for relation, rows in loaded.rows.items():
        found = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()  # noqa: S608 - our own names
        assert found == (rows,), relation
    row = connection.execute("SELECT kind, as_of, post_audit.clock() FROM post_audit.marketplace").fetchone()
    assert row == ("demonstration", market.as_of, market.as_of)
    assert datetime.fromisoformat(loaded.as_of) == market.as_of
    assert connection.execute("SELECT count(*) FROM post_audit.seed_fingerprints").fetchone() == (400,)


def test_new_rows_get_the_next_ids(connection: psycopg.Connection, market: Market) -> None:
    load(connection, market)
    last = len(market.table("public.suppliers").rows)
    row = connection.execute(
        "INSERT INTO public.suppliers (name) VALUES ('One more') RETURNING id"
    ).fetchone()
    assert row == (last + 1,)


def test_the_planner_knows_the_new_rows(connection: psycopg.Connection, market: Market) -> None:
    load(connection, market)
    row = connection.execute(
        "SELECT reltuples::integer FROM pg_class WHERE oid = 'public.invites_sent'::regclass"
    ).fetchone()
    assert row == (len(market.table("public.invites_sent").rows),)


def test_it_is_not_loaded_twice(connection: psycopg.Connection, market: Market, content: Content) -> None:
    load(connection, market)
    before = content.tables()
    with pytest.raises(InputError, match="already loaded") as refused:
        load(connection, market)
    assert "--remove" in refused.value.cure
    assert content.tables() == before


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO public.suppliers (name) VALUES ('Ours')",
        "INSERT INTO public.bugs (title) VALUES ('Ours')",
        "INSERT INTO public.enhancement_tasks (title) VALUES ('Ours')",
        "INSERT INTO public.invites_sent (channel) VALUES ('sms')",
        "INSERT INTO post_audit.earnings_ledger (user_id, benefit_type, amount_paise) VALUES ('u1', 'gift', 1)",
        "SELECT public.post_audit_apply_seed_rows('ours', '[{\"name\": \"Ours\"}]', 'a test')",
    ],
)
def test_one_row_of_somebody_is_enough_to_refuse(
    connection: psycopg.Connection, market: Market, content: Content, statement: str
) -> None:
    connection.execute(statement.encode())
    before = content.tables()
    with pytest.raises(InputError, match="not empty"):
        load(connection, market)
    assert content.tables() == before


def test_a_role_bound_to_somebody_s_table_is_refused(
    connection: psycopg.Connection, market: Market, content: Content
) -> None:
    connection.execute("CREATE TABLE public.firms (id text PRIMARY KEY, name text NOT NULL)")
    connection.execute("SELECT public.post_audit_apply_binding('suppliers', 'public.firms', '{}', 'a test')")
    before = content.tables()
    with pytest.raises(ConfigurationError, match=r"suppliers is bound to (public\.)?firms") as refused:
        load(connection, market)
    assert "empty database" in refused.value.cure
    assert content.tables() == before


def test_a_refusal_comes_before_anything_is_made(conninfo: str, connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO public.suppliers (name) VALUES ('Ours')")
    with pytest.raises(InputError, match=r"rows in public\.suppliers"):
        load_demonstration(conninfo)


def test_an_empty_database_has_no_obstacle(connection: psycopg.Connection, content: Content) -> None:
    before = content.tables()
    assert obstacle(connection) is None
    assert content.tables() == before


def test_the_database_has_to_be_the_one_that_is_named(
    conninfo: str, connection: psycopg.Connection, content: Content
) -> None:
    before = content.tables()
    with pytest.raises(InputError, match="not production"):
        load_demonstration(conninfo, into="production")
    assert content.tables() == before
    loaded = load_demonstration(conninfo, into=name_of(connection))
    assert loaded.seconds < 30


def test_a_database_without_the_protocol_is_refused(empty_conninfo: str) -> None:
    with pytest.raises(NotMigrated):
        load_demonstration(empty_conninfo)
    with pytest.raises(NotMigrated):
        remove_demonstration(empty_conninfo)


def test_an_address_where_nobody_answers_is_refused(conninfo: str) -> None:
    with pytest.raises(ConfigurationError):
        load_demonstration(make_conninfo(conninfo, dbname="there_is_none"))


def test_somebody_s_settings_come_back(
    connection: psycopg.Connection, market: Market, content: Content
) -> None:
    connection.execute("UPDATE public.infrastructure_config SET daily_quota = 35000 WHERE channel = 'sms'")
    connection.execute("UPDATE public.ab_test_config SET name = 'Ours', version = 4 WHERE id = 1")
    # what stays on purpose: that there was a demonstration, so that it does not come again by itself
    connection.execute("UPDATE post_audit.marketplace SET was_demonstrated = true")
    before, numbers, triggers = content.tables(), content.sequences(), content.triggers()
    load(connection, market)
    assert content.tables()["public.infrastructure_config"] != before["public.infrastructure_config"]
    remove(connection)
    assert content.tables() == before
    assert content.sequences() == numbers
    assert content.triggers() == triggers


def test_a_live_marketplace_is_not_emptied(connection: psycopg.Connection, content: Content) -> None:
    connection.execute("INSERT INTO public.suppliers (name) VALUES ('Ours')")
    before = content.tables()
    with pytest.raises(InputError, match="live"):
        remove(connection)
    assert content.tables() == before


def test_a_demonstration_in_which_a_run_goes_on_stays(
    connection: psycopg.Connection, database: PsycopgDatabase, market: Market, content: Content
) -> None:
    load(connection, market)
    run_id, token = begin(database, tick="going on")
    before = content.tables()
    with pytest.raises(InputError, match=f"Run {run_id} is going on"):
        remove(connection)
    assert content.tables() == before
    database.call("post_audit_apply_release_run", run_id=run_id, token=token)
    assert remove(connection).rows["post_audit.runs"] == 1


def test_a_table_that_was_bound_since_is_somebody_s_and_stays(
    connection: psycopg.Connection, market: Market
) -> None:
    load(connection, market)
    connection.execute("CREATE TABLE public.firms (id text PRIMARY KEY, name text NOT NULL)")
    connection.execute("INSERT INTO public.firms VALUES ('f1', 'Ours')")
    connection.execute("SELECT public.post_audit_apply_binding('suppliers', 'public.firms', '{}', 'a test')")
    removed = remove(connection)
    assert removed.rows["public.suppliers"] == len(market.table("public.suppliers").rows)
    assert connection.execute("SELECT id, name FROM public.firms").fetchall() == [("f1", "Ours")]


def test_a_live_marketplace_has_no_verdict(database: PsycopgDatabase) -> None:
    with pytest.raises(NotFound, match="live"):
        confusion(database)


def test_a_demonstration_that_was_run_leaves_nothing_behind(
    database: PsycopgDatabase, connection: psycopg.Connection, market: Market, content: Content
) -> None:
    # what stays on purpose: that there was a demonstration, so that it does not come again by itself
    connection.execute("UPDATE post_audit.marketplace SET was_demonstrated = true")
    before, numbers, triggers = content.tables(), content.sequences(), content.triggers()
    load(connection, market)
    marketplace.arm_all(connection)
    report = Runner(database, compose.steps(), lease=timedelta(seconds=60)).run(tick="first", kind="manual")
    assert not report.failed
    removed = remove(connection)
    assert removed.rows["post_audit.decisions"] == len(compose.steps())
    assert removed.rows["post_audit.live_evidence"] > 0
    after = content.tables()
    # the modes are people's and stay
    assert {table for table in before if before[table] != after[table]} == {"post_audit.step_modes"}
    assert content.sequences() == numbers
    assert content.triggers() == triggers
    assert load(connection, market).rows["public.suppliers"] == len(market.table("public.suppliers").rows)
