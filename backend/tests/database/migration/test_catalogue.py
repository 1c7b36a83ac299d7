"""The comparison that proves that nothing changed would see it if something did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import psycopg
import pytest

from tests.database.migration import catalogue
from tests.database.migration.conftest import STRANGER, TWO_OF_THEM, Place
from tests.database.migration.test_foreign_tables import marketplace

pytestmark = pytest.mark.database

HARM: Final = [
    "ALTER TABLE public.suppliers DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE public.bugs ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE public.suppliers FORCE ROW LEVEL SECURITY",
    "ALTER TABLE public.suppliers ADD COLUMN trust integer",
    "ALTER TABLE public.suppliers ALTER COLUMN contact DROP DEFAULT",
    "ALTER TABLE public.suppliers ALTER COLUMN contact DROP NOT NULL",
    "ALTER TABLE public.bugs ADD CONSTRAINT low CHECK (severity < 9) NOT VALID",
    "ALTER TABLE public.bugs ENABLE TRIGGER stays_off",
    "ALTER TABLE public.bugs SET (fillfactor = 70)",
    "ALTER TABLE public.bugs OWNER TO {stranger}",
    "COMMENT ON TABLE public.bugs IS 'Post-Audit Protocol: bugs that users reported'",
    "COMMENT ON COLUMN public.suppliers.score IS NULL",
    "CREATE INDEX bugs_fingerprint ON public.bugs (severity)",
    "DROP INDEX public.bugs_fingerprint_old",
    "DROP STATISTICS public.suppliers_together",
    "CREATE POLICY post_audit_service ON public.suppliers USING (true)",
    "ALTER POLICY good_ones ON public.suppliers USING (true)",
    "REVOKE ALL ON public.bugs FROM {reader}",
    "REVOKE SELECT (score) ON public.suppliers FROM {reader}",
    "GRANT SELECT ON public.orders TO {stranger}",
    "DROP TRIGGER stamp_contact ON public.suppliers",
    "CREATE OR REPLACE VIEW public.good_firms AS SELECT s.id, s.company_name FROM public.suppliers AS s",
    "ALTER FUNCTION public.stamp() SET search_path = ''",
    "REVOKE ALL ON FUNCTION public.post_audit_trail(uuid) FROM PUBLIC",
    "DROP RULE no_removal ON public.orders",
    "ALTER PUBLICATION firms DROP TABLE public.bugs",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA accounts REVOKE SELECT ON TABLES FROM {reader}",
    "REVOKE USAGE ON SCHEMA public FROM {reader}",
    "ALTER TYPE public.rating ADD VALUE 'best'",
    "SELECT nextval('public.bugs_ticket_seq')",
    "CREATE TABLE public.child (firm uuid REFERENCES public.suppliers (id))",
    "UPDATE public.bugs SET body = body WHERE ticket = 1",
    "DELETE FROM public.bugs WHERE ticket = 2",
    "INSERT INTO public.orders SELECT 2, id FROM public.suppliers LIMIT 1",
    "TRUNCATE public.invites_sent",
    "REFRESH MATERIALIZED VIEW public.firm_count",
]
"""What a careless migration could do, one statement each."""


@pytest.fixture(scope="module")
def foreign(place: Place) -> Iterator[psycopg.Connection]:
    """A database with somebody else's tables, in which nothing is kept."""
    with marketplace(place) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        # who is given a table has to be allowed to make one there
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {STRANGER}")
        yield connection


@TWO_OF_THEM
@pytest.mark.parametrize("harm", HARM)
def test_a_change_is_seen(place: Place, foreign: psycopg.Connection, harm: str) -> None:
    before = catalogue.read(foreign) | catalogue.rows(foreign)
    theirs = {relation for kind, relation, _ in before if kind == "relation"}
    with foreign.transaction(force_rollback=True):
        foreign.execute(harm.format(reader=place.outsiders[0], stranger=STRANGER).encode())
        after = catalogue.read(foreign) | catalogue.rows(foreign)
    assert catalogue.changes(before, after, may_grow=True) or catalogue.changes(
        catalogue.belonging_to(before, theirs), catalogue.belonging_to(after, theirs)
    )
