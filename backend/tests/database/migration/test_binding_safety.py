"""What may be bound, what a binding opens, and what stands on the views of roles when they are built again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg
import pytest

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.errors import DatabaseError, InvalidArgument
from tests.database.migration.conftest import TWO_OF_THEM, Place, psql
from tests.support import prisma

pytestmark = pytest.mark.database

FIRMS: Final = """
CREATE TABLE public.firms (id bigint, number bigint UNIQUE, pair bigint, name text NOT NULL, UNIQUE (id, pair));
CREATE UNIQUE INDEX firms_some ON public.firms (pair) WHERE pair > 0;
INSERT INTO public.firms VALUES (1, 1, 1, 'Om Traders'), (1, 2, 2, 'Shree Pumps');
CREATE VIEW public.all_firms AS SELECT * FROM public.firms;
CREATE MATERIALIZED VIEW public.kept_firms AS SELECT number AS id, name FROM public.firms;
"""


@pytest.fixture
def database(migrated: str) -> Iterator[PsycopgDatabase]:
    opened = PsycopgDatabase(migrated)
    yield opened
    opened.close()


def bind(database: PsycopgDatabase, role: str, relation: str, **columns: object) -> Any:  # noqa: ANN401 - JSON
    return database.call(
        "post_audit_apply_binding", role=role, relation=relation, columns=columns, actor="Asha"
    )


@TWO_OF_THEM
@pytest.mark.parametrize(
    ("relation", "columns", "said"),
    [
        ("public.firms", {}, "Nothing keeps the column firms.id unique"),
        ("public.firms", {"id": "pair"}, "Nothing keeps the column firms.pair unique"),
        (
            "public.all_firms",
            {},
            "column all_firms.id cannot be the id of the role suppliers: more than one row has 1",
        ),
    ],
    ids=["of two columns", "partial", "a view"],
)
def test_rows_that_nothing_tells_apart_are_refused(
    database: PsycopgDatabase, owner: psycopg.Connection, relation: str, columns: dict[str, str], said: str
) -> None:
    owner.execute(FIRMS)
    before = owner.execute("SELECT * FROM post_audit.bindings ORDER BY role").fetchall()
    with pytest.raises(InvalidArgument) as refused:
        bind(database, "suppliers", relation, **columns)
    assert said in refused.value.message.replace("public.", "")
    assert "--column id=THEIRS" in refused.value.cure
    assert owner.execute("SELECT * FROM post_audit.bindings ORDER BY role").fetchall() == before
    # and with another column it is bound
    assert bind(database, "suppliers", relation, id="number")["bound"]
    assert bind(database, "suppliers", "public.kept_firms")["bound"]


@pytest.mark.parametrize("place", ["18-supabase"], indirect=True)
@pytest.mark.parametrize(
    "unusable",
    [
        (
            "REVOKE SELECT ON public.firms FROM service_role",
            "suppliers",
            "public.firms",
            "service_role lacks the right to select",
            "GRANT SELECT ON public.firms TO service_role",
        ),
        (
            "REVOKE INSERT, UPDATE ON public.bugs FROM service_role",
            "bugs",
            "public.bugs",
            "service_role lacks the right to insert, update",
            "GRANT INSERT, UPDATE ON public.bugs TO service_role",
        ),
        (
            "REVOKE USAGE ON SCHEMA public FROM service_role, PUBLIC",
            "suppliers",
            "public.firms",
            "service_role may not use the schema public",
            "GRANT USAGE ON SCHEMA public TO service_role",
        ),
    ],
    ids=["read", "write", "schema"],
)
def test_what_the_service_may_not_use_is_refused(
    database: PsycopgDatabase, owner: psycopg.Connection, unusable: tuple[str, str, str, str, str]
) -> None:
    revoked, role, relation, said, cure = unusable
    owner.execute(FIRMS)
    owner.execute(revoked.encode())
    columns = {"id": "number"} if role == "suppliers" else {}
    with pytest.raises(InvalidArgument) as refused:
        bind(database, role, relation, **columns)
    assert said in refused.value.message
    # the hint is the statement that cures it
    assert cure.replace("public.", "") in refused.value.cure.replace("public.", "")
    owner.execute(refused.value.cure.encode())
    assert bind(database, role, relation, **columns)["bound"]


REPORTS: Final = """
CREATE VIEW public.cities AS SELECT s.city, count(*) AS suppliers FROM post_audit.suppliers AS s GROUP BY s.city;
GRANT SELECT ON post_audit.suppliers TO stranger;
"""


@TWO_OF_THEM
def test_a_view_of_somebodys_over_ours_outlives_the_next_application(
    migrated: str, owner: psycopg.Connection, apply: Callable[[str], None]
) -> None:
    owner.execute(REPORTS)
    apply(migrated)
    assert owner.execute("SELECT count(*) FROM public.cities").fetchone() == (0,)
    assert owner.execute(
        "SELECT has_table_privilege('stranger', 'post_audit.suppliers', 'SELECT')"
    ).fetchone() == (True,)


@TWO_OF_THEM
def test_a_binding_that_would_break_somebodys_view_names_it(
    place: Place, migrated: str, owner: psycopg.Connection, database: PsycopgDatabase
) -> None:
    """Ids of another type: the columns cannot stay what they are."""
    owner.execute(REPORTS)
    owner.execute(prisma.TABLES + prisma.ROWS)
    before = owner.execute("SELECT * FROM post_audit.bindings ORDER BY role").fetchall()
    with pytest.raises(DatabaseError) as refused:
        bind(database, "suppliers", "public.scraped_companies")
    assert "The view post_audit.suppliers has to change its columns" in refused.value.message
    assert "cities stands on it" in refused.value.message
    assert "Drop " in refused.value.cure
    assert owner.execute("SELECT * FROM post_audit.bindings ORDER BY role").fetchall() == before
    assert owner.execute("SELECT count(*) FROM public.cities").fetchone() == (0,)
    owner.execute("DROP VIEW public.cities")
    assert bind(database, "suppliers", "public.scraped_companies")["bound"]
    if place.is_supabase:
        # made anew, and as closed as the first one
        grantees = owner.execute(
            "SELECT array_agg(DISTINCT a.grantee::regrole::text ORDER BY a.grantee::regrole::text)"
            " FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.oid = 'post_audit.suppliers'::regclass"
        ).fetchone()
        assert grantees == (["postgres", "service_role"],)
    assert psql(migrated).returncode == 0


@TWO_OF_THEM
def test_a_bound_table_that_lost_a_column_does_not_stop_the_next_application(
    migrated: str, owner: psycopg.Connection, database: PsycopgDatabase
) -> None:
    owner.execute(prisma.TABLES + prisma.ROWS)
    bind(database, "suppliers", "public.scraped_companies", gstin="gstNumber")
    owner.execute('ALTER TABLE public.scraped_companies DROP COLUMN "gstNumber" CASCADE')
    done = psql(migrated)
    assert done.returncode == 0, done.stderr
    assert "Role suppliers" in done.stderr
    bound = owner.execute("SELECT columns FROM post_audit.bindings WHERE role = 'suppliers'").fetchone()
    assert bound == ({"gstin": "gstNumber"},)
    # bound again, everything that waited for it works
    assert bind(database, "suppliers", "public.scraped_companies")["bound"]
