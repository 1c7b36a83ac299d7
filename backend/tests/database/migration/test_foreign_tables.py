"""Applied over a marketplace that has tables of other shapes under our names, nothing of theirs changes.

Their roles wait for a binding; a step that needs one says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.errors import BindingNeeded
from tests.database.migration import catalogue
from tests.database.migration.conftest import BASE, Place, psql

pytestmark = pytest.mark.database

FOREIGN: Final = Path(__file__).with_name("foreign.sql")
NOW: Final = datetime(2025, 11, 9, 12, tzinfo=UTC)

PRISMA: Final = Path(__file__).with_name("prisma.sql")


@contextmanager
def marketplace(place: Place) -> Iterator[str]:
    """A database with somebody else's tables and without the migration."""
    with place.scratch(BASE) as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(FOREIGN.read_text().format(reader=place.outsiders[0]).encode())
        yield conninfo


@pytest.fixture(scope="module")
def applied(place: Place) -> Iterator[str]:
    """Such a database with the migration."""
    with marketplace(place) as conninfo:
        assert psql(conninfo).returncode == 0
        yield conninfo


@pytest.fixture(scope="module")
def database(applied: str) -> Iterator[PsycopgDatabase]:
    opened = PsycopgDatabase(applied)
    yield opened
    opened.close()


def what_the_reader_sees(conninfo: str, role: str) -> list[Any]:
    with psycopg.connect(conninfo) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        return [
            connection.execute(query.encode()).fetchall()
            for query in (
                "SELECT id, company_name, score FROM public.suppliers ORDER BY id",
                "SELECT * FROM public.bugs ORDER BY ticket",
                "SELECT * FROM public.invites_sent ORDER BY number",
                "SELECT * FROM public.good_firms",
            )
        ]


def test_nothing_of_theirs_changes(place: Place, apply: Callable[[str], None]) -> None:
    with marketplace(place) as foreign, psycopg.connect(foreign, autocommit=True) as connection:
        before = catalogue.read(connection)
        content = catalogue.rows(connection)
        seen = what_the_reader_sees(foreign, place.outsiders[0])
        assert [len(rows) for rows in seen] == [1, 2, 1, 1]
        theirs = {relation for kind, relation, _ in before if kind == "relation"}
        for _ in range(3):
            apply(foreign)
            after = catalogue.read(connection)
            assert catalogue.changes(before, after, may_grow=True) == {}
            # and nothing new hangs on what is theirs: no trigger, index, key, policy
            assert (
                catalogue.changes(
                    catalogue.belonging_to(before, theirs), catalogue.belonging_to(after, theirs)
                )
                == {}
            )
            assert catalogue.changes(content, catalogue.rows(connection), may_grow=True) == {}
            assert what_the_reader_sees(foreign, place.outsiders[0]) == seen


def test_the_roles_of_these_tables_wait_for_a_binding(database: PsycopgDatabase) -> None:
    status: Any = database.call("post_audit_read_status")
    assert set(status["bindings_needed"]) == {"suppliers", "bugs", "sends"}
    bindings: Any = database.call("post_audit_read_bindings")
    assert {one["role"] for one in bindings if not one["bound"]} == {"suppliers", "bugs", "sends"}


@pytest.mark.parametrize(
    ("function", "role"),
    [
        ("post_audit_read_infrastructure", "sends"),
        ("post_audit_read_bugs", "bugs"),
        ("post_audit_read_fake_data", "suppliers"),
    ],
)
def test_a_step_that_needs_one_names_it(database: PsycopgDatabase, function: str, role: str) -> None:
    with pytest.raises(BindingNeeded, match=rf"No table is bound to: {role}\.") as refused:
        database.call(function, as_of=NOW)
    assert f"post-audit bind {role} " in refused.value.cure


def test_a_step_that_needs_none_of_them_works(database: PsycopgDatabase) -> None:
    answer: Any = database.call("post_audit_read_conversions", as_of=NOW)
    assert len(answer["experiments"]) == 1


def bind(database: PsycopgDatabase, role: str, relation: str, columns: dict[str, Any]) -> Any:  # noqa: ANN401
    return database.call(
        "post_audit_apply_binding", role=role, relation=relation, columns=columns, actor="Asha"
    )


def test_theirs_can_be_bound_and_stays_bound(place: Place, apply: Callable[[str], None]) -> None:
    with (
        marketplace(place) as conninfo,
        closing(PsycopgDatabase(conninfo)) as database,
        psycopg.connect(conninfo, autocommit=True) as connection,
    ):
        apply(conninfo)
        before = catalogue.read(connection)
        answer = bind(
            database, "suppliers", "public.suppliers", {"name": "company_name", "email": "owner_mail"}
        )
        assert (answer["bound"], answer["is_reference"], answer["bound_by"]) == (True, False, "Asha")
        theirs = {relation for kind, relation, _ in before if relation.startswith("public.")}
        for _ in range(2):
            after = catalogue.read(connection)
            assert (
                catalogue.changes(
                    catalogue.belonging_to(before, theirs), catalogue.belonging_to(after, theirs)
                )
                == {}
            )
            assert connection.execute(
                "SELECT name, email, city, created_at FROM post_audit.suppliers ORDER BY id"
            ).fetchall() == [
                ("Shree Pumps", "office@shreepumps.example", None, datetime(2024, 3, 1, 10, tzinfo=UTC)),
                ("Kaveri Steel", None, None, datetime(2024, 5, 2, 18, 30, tzinfo=UTC)),
            ]
            status: Any = database.call("post_audit_read_status")
            assert set(status["bindings_needed"]) == {"bugs", "sends"}
            apply(conninfo)
        # the view can be written through, so their own triggers see what the protocol does
        connection.execute(
            "UPDATE post_audit.suppliers SET email = 'k@kaveri.example' WHERE name = 'Kaveri Steel'"
        )
        assert connection.execute(
            "SELECT owner_mail, contact FROM public.suppliers WHERE company_name = 'Kaveri Steel'"
        ).fetchone() == ("k@kaveri.example", {"seen": True})


def test_a_prisma_schema_can_be_bound(migrated: str, apply: Callable[[str], None]) -> None:
    with (
        closing(PsycopgDatabase(migrated)) as database,
        psycopg.connect(migrated, autocommit=True) as connection,
    ):
        connection.execute(PRISMA.read_bytes())
        bind(
            database,
            "suppliers",
            'public."Supplier"',
            {
                "name": "companyName",
                "email": "contactEmail",
                "claim_status": "claimState",
                "created_at": "createdAt",
            },
        )
        bind(
            database,
            "earnings",
            'public."Earning"',
            {
                "user_id": "userId",
                "supplier_id": "supplierId",
                "amount_paise": {"column": "amountRupees", "unit": "rupees"},
                "tracked_at": "trackedAt",
            },
        )
        for _ in range(2):
            assert connection.execute(
                "SELECT id, name, email, claim_status, created_at FROM post_audit.suppliers ORDER BY id"
            ).fetchall() == [
                (
                    "clx1",
                    "Shree Pumps",
                    "office@shreepumps.example",
                    "CLAIMED",
                    datetime(2025, 10, 31, 18, 30, 0, 123_000, tzinfo=UTC),
                ),
                ("clx2", "Kaveri Steel", None, "UNCLAIMED", datetime(2025, 11, 1, tzinfo=UTC)),
            ]
            page: Any = database.call(
                "post_audit_read_columns",
                role="earnings",
                columns=["id", "supplier_id", "amount_paise"],
                limit=2,
            )
            assert page["columns"] == {
                "id": ["e1", "e2"],
                "supplier_id": ["clx1", "clx2"],
                "amount_paise": [184_250_010, 29],
            }
            rest: Any = database.call(
                "post_audit_read_columns", role="earnings", columns=["amount_paise"], after=page["next"]
            )
            assert (rest["columns"], rest["next"]) == ({"amount_paise": [-25_000]}, None)
            apply(migrated)
