"""The one file is applied again and again, as people apply it, and changes nothing the second time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.database.migration import catalogue
from tests.database.migration.conftest import TWO_OF_THEM, Place, psql

pytestmark = pytest.mark.database

# Written anew by each application: the list of functions, the contract of the roles, the version.
REWRITTEN = {"post_audit.installed_functions", "post_audit.role_columns", "post_audit.schema_version"}

USED = """
INSERT INTO public.suppliers (name, email) VALUES ('Shree Pumps', 'office@shreepumps.example'), ('Kaveri Steel', NULL);
INSERT INTO public.invites_ab_test (supplier_id, variant) SELECT s.id, 'variant_b' FROM public.suppliers AS s;
INSERT INTO public.bugs (title) VALUES ('Checkout shows a blank page');
UPDATE public.infrastructure_config SET daily_quota = 25000 WHERE channel = 'sms';
UPDATE public.ab_test_config SET active_variant = 'variant_b' WHERE id = 1;
DELETE FROM public.leaderboard_tickertape_views WHERE counter = 'airdrop_paise';
SELECT public.post_audit_apply_mode('bugs', 'act', 'Asha');
SELECT public.post_audit_apply_mode('conversions', 'paused', 'Asha');
CREATE TABLE public.firms (id text PRIMARY KEY, title text NOT NULL, "eMail" text);
INSERT INTO public.firms VALUES ('ck1', 'Om Traders', 'om@traders.example');
SELECT public.post_audit_apply_binding('suppliers', 'public.firms', '{"name": "title", "email": "eMail"}', 'Asha');
"""
"""What people did after the first application."""


def state(conninfo: str) -> catalogue.Catalogue:
    """Everything that has to stay."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        content = catalogue.rows(connection)
        kept = {key: rows for key, rows in content.items() if key[1] not in REWRITTEN}
        return catalogue.read(connection) | kept


def test_three_applications_leave_what_one_left(base: str, apply: Callable[[str], None]) -> None:
    apply(base)
    first = state(base)
    for _ in range(2):
        apply(base)
        assert catalogue.changes(first, state(base)) == {}


def test_what_people_did_meanwhile_stays(migrated: str, apply: Callable[[str], None]) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(USED)
    before = state(migrated)
    for _ in range(2):
        apply(migrated)
        assert catalogue.changes(before, state(migrated)) == {}
    with psycopg.connect(migrated, autocommit=True) as connection:
        modes = connection.execute(
            "SELECT step, mode, changed_by FROM post_audit.step_modes "
            "WHERE step IN ('bugs', 'conversions') ORDER BY step"
        ).fetchall()
        assert modes == [("bugs", "act", "Asha"), ("conversions", "paused", "Asha")]
        assert connection.execute("SELECT id, name, email FROM post_audit.suppliers").fetchall() == [
            ("ck1", "Om Traders", "om@traders.example")
        ]


@TWO_OF_THEM
def test_a_grant_that_the_owner_made_later_stays(
    place: Place, owner: psycopg.Connection, migrated: str, apply: Callable[[str], None]
) -> None:
    reader = place.outsiders[0]
    owner.execute(f"GRANT SELECT ON public.suppliers TO {reader}")
    owner.execute(f"CREATE POLICY shop_window ON public.suppliers FOR SELECT TO {reader} USING (true)")
    before = catalogue.read(owner)
    apply(migrated)
    assert catalogue.changes(before, catalogue.read(owner)) == {}


@TWO_OF_THEM
def test_two_at_once_wait_for_each_other(base: str) -> None:
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(psql, [base, base]))
    assert [(one.returncode, one.stderr) for one in done] == [(0, ""), (0, "")]


@TWO_OF_THEM
def test_somebody_who_writes_meanwhile_is_not_waited_for(migrated: str, apply: Callable[[str], None]) -> None:
    with psycopg.connect(migrated) as writer:
        writer.execute("INSERT INTO public.suppliers (name) VALUES ('Nila Textiles')")
        writer.execute(
            "INSERT INTO public.invites_sent (channel, supplier_id) SELECT 'sms', max(id) FROM public.suppliers"
        )
        writer.execute("INSERT INTO public.bugs (title) VALUES ('The map is upside down')")
        apply(migrated)


@TWO_OF_THEM
def test_a_newer_schema_is_refused_and_nothing_is_changed(migrated: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("UPDATE post_audit.schema_version SET version = 2 WHERE id = 1")
        before = catalogue.read(connection)
        refused = psql(migrated)
        assert refused.returncode == 3
        assert "migrated by a newer program (schema 2, this file is schema 1)" in refused.stderr
        assert "Update the program" in refused.stderr
        assert catalogue.changes(before, catalogue.read(connection)) == {}


@TWO_OF_THEM
def test_a_lost_relation_is_told_and_does_not_stop_the_migration(migrated: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.firms (id text PRIMARY KEY, name text NOT NULL, mail text)")
        connection.execute(
            """SELECT public.post_audit_apply_binding('suppliers', 'public.firms', '{"email": "mail"}', 'Asha')"""
        )
        connection.execute("DROP VIEW post_audit.suppliers")
        connection.execute("ALTER TABLE public.firms DROP COLUMN mail")
        done = psql(migrated)
        assert done.returncode == 0
        assert "Role suppliers: The role suppliers needs a column for email" in done.stderr
        status = connection.execute("SELECT public.post_audit_read_status() -> 'bindings_needed'").fetchone()
        assert status == (["suppliers"],)
        connection.execute("ALTER TABLE public.firms ADD COLUMN mail text")
        assert psql(migrated).stderr == ""
        assert connection.execute("SELECT count(*) FROM post_audit.suppliers").fetchone() == (0,)
