"""A binding that cannot work is refused with the name of what is wrong, and the one before it stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.errors import InvalidArgument
from tests.database.migration.conftest import MIGRATED, Place

pytestmark = pytest.mark.database

FIRMS = """
CREATE SCHEMA shop;
CREATE TABLE shop.firms (
  id text PRIMARY KEY, title text NOT NULL, labels text[], address jsonb, founded date, "Mail" text);
CREATE TABLE shop.money (
  id bigint PRIMARY KEY, person text, rupees double precision, hundredths numeric(12, 2), at timestamptz);
GRANT USAGE ON SCHEMA shop TO {service};
CREATE VIEW shop.all_firms AS SELECT id, title AS name, founded AS created_at FROM shop.firms;
CREATE SEQUENCE shop.counter;
INSERT INTO shop.firms VALUES ('a', 'Om Traders', '{{}}', '{{}}', '1998-04-01', 'om@traders.example');
INSERT INTO shop.money VALUES (1, 'Asha', 100.5, 7525, '2025-11-09');
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {service};
"""
EARNINGS = {"user_id": "person", "tracked_at": "at"}
REFUSED: list[tuple[str, str, object, str]] = [
    ("suppliers", "shop.firms", {}, "needs a column for name, and shop.firms has no column named name"),
    (
        "suppliers",
        "shop.firms",
        {"name": "headline"},
        "for name, and shop.firms has no column named headline",
    ),
    ("suppliers", "shop.firms", {"name": "title", "email": "mail"}, "for email, .* no column named mail"),
    (
        "suppliers",
        "shop.firms",
        {"name": "title", "city": "address"},
        "shop.firms.address as city: its type is jsonb",
    ),
    ("suppliers", "shop.firms", {"name": "labels"}, r"shop.firms.labels as name: its type is text\[\]"),
    ("suppliers", "shop.firms", {"name": "title", "created_at": "title"}, "shop.firms.title as created_at"),
    ("suppliers", "shop.firms", {"name": "title", "colour": "title"}, "suppliers has no column named colour"),
    ("suppliers", "shop.firms", {"name": 5}, "column for name is not a name"),
    ("suppliers", "shop.firms", {"name": None}, "column for name is not a name"),
    ("suppliers", "shop.firms", {"name": {"unit": "rupees"}}, "column for name is not a name"),
    ("suppliers", "shop.firms", ["name"], "columns of a binding are an object"),
    ("suppliers", "shop.firms", None, "columns of a binding are an object"),
    ("suppliers", "shop.gone", {}, "no table or view named shop.gone"),
    ("suppliers", "nowhere.firms", {}, "no table or view named nowhere.firms"),
    ("suppliers", "shop.", {}, r"no table or view named shop\."),
    ("suppliers", "other.shop.firms", {}, "no table or view named other.shop.firms"),
    ("suppliers", "shop.counter", {}, "no table or view named shop.counter"),
    ("suppliers", "shop.firms_pkey", {}, "no table or view named shop.firms_pkey"),
    ("suppliers", "post_audit.suppliers", {}, "no table or view named post_audit.suppliers"),
    ("suppliers", "post_audit.claims", {"name": "claimed_by"}, "no table or view named post_audit.claims"),
    ("sellers", "shop.firms", {}, "no role named sellers"),
    ("sellers", "shop.firms", {"name": "title"}, "no role named sellers"),
    # a slip in the unit would make amounts a hundred times too small
    (
        "earnings",
        "shop.money",
        EARNINGS | {"amount_paise": {"column": "rupees", "unit": "rupee"}},
        "amount_paise .* unit rupee",
    ),
    (
        "earnings",
        "shop.money",
        EARNINGS | {"amount_paise": {"column": "rupees", "units": "rupees"}},
        "column for amount_paise",
    ),
    (
        "earnings",
        "shop.money",
        EARNINGS | {"amount_paise": "rupees", "user_id": {"column": "person", "unit": "rupees"}},
        "user_id in the unit",
    ),
]


@pytest.fixture(scope="module")
def conninfo(place: Place) -> Iterator[str]:
    """A migrated database with a shop in it."""
    with place.scratch(MIGRATED) as made:
        with psycopg.connect(made, autocommit=True) as connection:
            connection.execute(FIRMS.format(service=place.service).encode())
        yield made


@pytest.fixture(scope="module")
def database(conninfo: str) -> Iterator[PsycopgDatabase]:
    opened = PsycopgDatabase(conninfo)
    yield opened
    opened.close()


def bind(database: PsycopgDatabase, role: str, relation: str, columns: object) -> Any:  # noqa: ANN401 - JSON
    return database.call(
        "post_audit_apply_binding", role=role, relation=relation, columns=columns, actor="Asha"
    )


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_wrong_mapping_is_refused(
    database: PsycopgDatabase, conninfo: str, wrong: tuple[str, str, object, str]
) -> None:
    role, relation, columns, said = wrong
    bindings = """SELECT b.*, v.oid FROM post_audit.bindings AS b
        LEFT JOIN pg_class AS v ON v.oid = to_regclass('post_audit.' || b.role)"""
    with psycopg.connect(conninfo) as connection:
        before = connection.execute(bindings).fetchall()
        with pytest.raises(InvalidArgument, match=said):
            bind(database, role, relation, columns)
        assert connection.execute(bindings).fetchall() == before


@pytest.mark.parametrize(
    ("role", "columns", "cure"),
    [
        ("suppliers", {}, "post-audit bind suppliers shop.firms --column name=THEIRS"),
        ("suppliers", {"name": "title", "colour": "title"}, "It has id, name, email, phone"),
        ("sellers", {}, "The roles are airdrop, bugs, capacity"),
    ],
)
def test_a_refusal_names_the_cure(
    database: PsycopgDatabase, role: str, columns: dict[str, str], cure: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        bind(database, role, "shop.firms", columns)
    assert cure in refused.value.cure


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ({"column": "rupees", "unit": "rupees"}, 10_050),
        ({"column": "rupees", "unit": "paise"}, 101),
        ({"column": "hundredths"}, 7_525),
        ("hundredths", 7_525),
    ],
)
def test_money_becomes_whole_paise(
    database: PsycopgDatabase, conninfo: str, amount: object, expected: int
) -> None:
    bind(database, "earnings", "shop.money", EARNINGS | {"amount_paise": amount})
    with psycopg.connect(conninfo) as connection:
        assert connection.execute("SELECT amount_paise FROM post_audit.earnings").fetchall() == [(expected,)]


def test_a_view_can_be_bound(database: PsycopgDatabase, conninfo: str) -> None:
    bind(database, "suppliers", "shop.all_firms", {})
    with psycopg.connect(conninfo) as connection:
        assert connection.execute("SELECT name, created_at::text FROM post_audit.suppliers").fetchall() == [
            ("Om Traders", "1998-04-01 00:00:00+00")
        ]


def test_every_role_can_be_bound_again(database: PsycopgDatabase, conninfo: str) -> None:
    with psycopg.connect(conninfo) as connection:
        bound = connection.execute("SELECT role, relation, columns FROM post_audit.bindings").fetchall()
    assert len(bound) == 12
    for role, relation, columns in bound:
        assert bind(database, role, relation, columns)["bound"]


@pytest.mark.parametrize("wrong", [None, {}, "suppliers"])
def test_several_bindings_are_an_array(database: PsycopgDatabase, wrong: object) -> None:
    with pytest.raises(InvalidArgument, match="Bindings are an array"):
        database.call("post_audit_apply_bindings", bindings=wrong, actor="Asha")
