"""A binding that cannot work is refused with the name of what is wrong, and the one before it stays."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.errors import InvalidArgument

pytestmark = pytest.mark.database

FIRMS = """
CREATE SCHEMA shop;
CREATE TABLE shop.firms (id text PRIMARY KEY, title text NOT NULL, labels text[], address jsonb, founded date, "Mail" text);
CREATE TABLE shop.money (id bigint PRIMARY KEY, person text, rupees double precision, cents numeric(12, 2), at timestamptz);
CREATE SEQUENCE shop.counter;
INSERT INTO shop.firms VALUES ('a', 'Om Traders', '{}', '{}', '1998-04-01', 'om@traders.example');
"""
EARNINGS = {"user_id": "person", "tracked_at": "at"}


@pytest.fixture(autouse=True)
def firms(connection: psycopg.Connection) -> None:
    connection.execute(FIRMS)


def bind(database: PsycopgDatabase, role: str, relation: str, columns: object) -> Any:  # noqa: ANN401
    return database.call("post_audit_apply_binding", role=role, relation=relation, columns=columns, actor="Asha")


@pytest.mark.parametrize(
    ("role", "relation", "columns", "said"),
    [
        ("suppliers", "shop.firms", {}, "needs a column for name, and shop.firms has no column named name"),
        ("suppliers", "shop.firms", {"name": "headline"}, "shop.firms has no column named headline"),
        ("suppliers", "shop.firms", {"name": "title", "email": "mail"}, "a column for email, .* no column named mail"),
        ("suppliers", "shop.firms", {"name": "title", "city": "address"}, "cannot read shop.firms.address as city: its type is jsonb"),
        ("suppliers", "shop.firms", {"name": "labels"}, "cannot read shop.firms.labels as name: its type is _?text"),
        ("suppliers", "shop.firms", {"name": "title", "created_at": "title"}, "cannot read shop.firms.title as created_at"),
        ("suppliers", "shop.firms", {"name": "title", "colour": "title"}, "role suppliers has no column named colour"),
        ("suppliers", "shop.firms", {"name": 5}, "column for name"),
        ("suppliers", "shop.firms", {"name": None}, "column for name"),
        ("suppliers", "shop.firms", {"name": {"unit": "rupees"}}, "column for name"),
        ("suppliers", "shop.firms", ["name"], "columns"),
        ("suppliers", "shop.gone", {}, "no table or view named shop.gone"),
        ("suppliers", "nowhere.firms", {}, "no table or view named nowhere.firms"),
        ("suppliers", "shop.", {}, "no table or view named shop."),
        ("suppliers", "shop.counter", {}, "no table or view named shop.counter"),
        ("suppliers", "shop.firms_pkey", {}, "no table or view named shop.firms_pkey"),
        ("suppliers", "post_audit.suppliers", {}, "no table or view named post_audit.suppliers"),
        ("sellers", "shop.firms", {}, "no role named sellers"),
        ("sellers", "shop.firms", {"name": "title"}, "no role named sellers"),
        ("earnings", "shop.money", EARNINGS | {"amount_paise": {"column": "rupees", "unit": "rupee"}}, "unit .* rupee"),
        ("earnings", "shop.money", EARNINGS | {"amount_paise": {"column": "rupees", "units": "rupees"}}, "amount_paise"),
        ("earnings", "shop.money", EARNINGS | {"user_id": {"column": "person", "unit": "rupees"}}, "user_id"),
    ],
)
def test_a_wrong_mapping_is_refused(
    database: PsycopgDatabase, connection: psycopg.Connection, role: str, relation: str, columns: object, said: str
) -> None:
    with pytest.raises(InvalidArgument, match=said):
        bind(database, role, relation, columns)
    assert connection.execute("SELECT count(*) FROM post_audit.bindings WHERE NOT is_reference").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM post_audit.suppliers").fetchone() == (0,)


def test_a_refusal_names_the_cure(database: PsycopgDatabase) -> None:
    with pytest.raises(InvalidArgument) as refused:
        bind(database, "suppliers", "shop.firms", {})
    assert "post-audit bind suppliers shop.firms --column name=THEIRS" in refused.value.cure
    with pytest.raises(InvalidArgument) as refused:
        bind(database, "sellers", "shop.firms", {})
    assert "suppliers" in refused.value.cure


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ({"column": "rupees", "unit": "rupees"}, 10_050),
        ({"column": "rupees", "unit": "paise"}, 101),
        ({"column": "cents"}, 7_525),
        ("cents", 7_525),
    ],
)
def test_money_becomes_whole_paise(
    database: PsycopgDatabase, connection: psycopg.Connection, amount: object, expected: int
) -> None:
    connection.execute("INSERT INTO shop.money VALUES (1, 'Asha', 100.5, 7525, now())")
    bind(database, "earnings", "shop.money", EARNINGS | {"amount_paise": amount})
    assert connection.execute("SELECT amount_paise FROM post_audit.earnings").fetchone() == (expected,)


def test_a_view_can_be_bound(database: PsycopgDatabase, connection: psycopg.Connection) -> None:
    connection.execute("CREATE VIEW shop.all_firms AS SELECT id, title AS name, founded AS created_at FROM shop.firms")
    bind(database, "suppliers", "shop.all_firms", {})
    assert connection.execute("SELECT name, created_at::text FROM post_audit.suppliers").fetchall() == [
        ("Om Traders", "1998-04-01 00:00:00+00")
    ]


@pytest.mark.parametrize("role", ["suppliers", "claims", "earnings", "opt_outs", "invites", "sends", "leaderboard", "airdrop"])
@pytest.mark.parametrize("again", ["experiments", "capacity", "bugs", "tasks"])
def test_every_role_can_be_bound_again(
    database: PsycopgDatabase, connection: psycopg.Connection, role: str, again: str
) -> None:
    for one in (role, again):
        [[relation]] = connection.execute("SELECT relation FROM post_audit.bindings WHERE role = %s", (one,)).fetchall()
        assert bind(database, one, relation, {})["bound"]
