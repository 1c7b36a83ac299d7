"""Whoever comes from the internet reaches nothing; the service reaches everything it needs.

Tried by being that role, and not by reading the grants.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.errors import PermissionRefused
from tests.database.migration.conftest import MIGRATED, Place
from tests.support import decisions

pytestmark = pytest.mark.database

RELATIONS = r"""
SELECT c.relkind::text, n.nspname, c.relname,
  (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum = 1)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'S') AND (n.nspname = 'post_audit' OR n.nspname = 'public')
ORDER BY 2, 3
"""
FUNCTIONS = r"""
SELECT n.nspname, p.proname, ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes::oid[]) AS t)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE (n.nspname = 'post_audit' OR (n.nspname = 'public' AND p.proname LIKE 'post\_audit\_%'))
  AND p.prorettype <> 'trigger'::regtype
ORDER BY 1, 2
"""


@pytest.fixture(scope="module")
def conninfo(place: Place) -> Iterator[str]:
    """A migrated database in which nothing is kept."""
    with place.scratch(MIGRATED) as made:
        with psycopg.connect(made, autocommit=True) as connection:
            for role in place.outsiders:
                # as far as Supabase's roles get anyway
                connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(role)))
        yield made


def refused(connection: psycopg.Connection, role: str, statement: sql.SQL | sql.Composed) -> bool:
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        try:
            with connection.transaction():
                connection.execute(statement)
        except InsufficientPrivilege:
            return True
    return False


def test_no_outsider_reaches_a_table(place: Place, conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        relations = connection.execute(RELATIONS).fetchall()
        assert {kind for kind, *_ in relations} == {"r", "v", "S"}
        for kind, schema, name, column in relations:
            names: dict[str, sql.Composable] = {
                "name": sql.Identifier(schema, name),
                "column": sql.Identifier(column or ""),
            }
            tried = ["SELECT * FROM {name}"]
            if kind == "S":
                tried += [
                    f"SELECT {call}" for call in ("nextval({text})", "setval({text}, 1)", "currval({text})")
                ]
                names["text"] = sql.Literal(f"{schema}.{name}")
            else:
                tried += [
                    "SELECT count(*) FROM {name}",
                    "INSERT INTO {name} DEFAULT VALUES",
                    "UPDATE {name} SET {column} = {column} WHERE true",
                    "DELETE FROM {name} WHERE true",
                ]
            for role in place.outsiders:
                for statement in tried:
                    assert refused(connection, role, sql.SQL(statement).format(**names)), (
                        f"{role}: {statement} {name}"
                    )


def test_no_outsider_calls_a_function(place: Place, conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        functions = connection.execute(FUNCTIONS).fetchall()
        assert len(functions) > 40
        for schema, name, types in functions:
            call = sql.SQL("SELECT {}({})").format(
                sql.Identifier(schema, name),
                sql.SQL(", ").join(sql.SQL("NULL::{}").format(sql.SQL(one)) for one in types),
            )
            for role in place.outsiders:
                assert refused(connection, role, call), f"{role}: {name}"


def test_an_outsider_cannot_make_anything_in_our_schema(place: Place, conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for role in place.outsiders:
            assert refused(connection, role, sql.SQL("CREATE TABLE post_audit.planted (id integer)"))
            assert refused(connection, role, sql.SQL("TRUNCATE public.suppliers CASCADE"))


@pytest.fixture
def service(place: Place, migrated: str) -> Iterator[PsycopgDatabase]:
    """The database as the REST layer is there."""
    if not place.is_supabase:
        pytest.skip("needs Supabase's roles")
    opened = PsycopgDatabase(make_conninfo(migrated, options=f"-c role={place.service}"))
    yield opened
    opened.close()


def test_the_service_decides_and_takes_back(service: PsycopgDatabase) -> None:
    status: Any = service.call("post_audit_read_status")
    assert (status["schema_version"], status["bindings_needed"]) == (1, [])
    decisions.arm(service)
    decision = decisions.decide(service, decisions.raise_quota(20_000, 30_000), tick="1")
    assert decision["state"] == "applied"
    undone: Any = service.call("post_audit_apply_undo", decision_id=decision["id"], actor=decisions.ACTOR)
    assert undone["decision"]["state"] == "applied"
    messages: Any = service.call("post_audit_apply_claim_messages", owner=decisions.ACTOR)
    assert [message["payload"]["daily_quota"] for message in messages] == [20_000]
    settled: Any = service.call(
        "post_audit_apply_settle_message",
        message_id=messages[0]["message_id"],
        owner=decisions.ACTOR,
        state="delivered",
        detail="ok",
    )
    assert settled["state"] == "delivered"


def test_the_service_reads_every_role(service: PsycopgDatabase, migrated: str) -> None:
    with psycopg.connect(migrated) as connection:
        bindings = connection.execute(
            "SELECT DISTINCT role FROM post_audit.role_columns ORDER BY role"
        ).fetchall()
    assert len(bindings) == 12
    for (role,) in bindings:
        page: Any = service.call("post_audit_read_columns", role=role, columns=["id"])
        assert page["next"] is None


def test_the_service_inserts_into_the_marketplaces_tables(service: PsycopgDatabase, migrated: str) -> None:
    """n8n writes through REST; numbers of keys need no right to their sequence."""
    assert service.describe()
    with psycopg.connect(migrated) as connection:
        connection.execute("SET ROLE service_role")
        connection.execute("INSERT INTO public.suppliers (name) VALUES ('Om Traders')")
        connection.execute(
            "INSERT INTO public.invites_sent (supplier_id, channel) SELECT id, 'sms' FROM public.suppliers"
        )
        connection.execute("INSERT INTO public.bugs (title) VALUES ('The map is upside down')")


def test_binding_is_for_the_owner(service: PsycopgDatabase, migrated: str) -> None:
    """The views belong to whoever applied the migration, and so do changes of them."""
    arguments: dict[str, Any] = {
        "role": "suppliers",
        "relation": "public.suppliers",
        "columns": {"city": "state"},
        "actor": "Asha",
    }
    with pytest.raises(PermissionRefused) as told:
        service.call("post_audit_apply_binding", **arguments)
    assert (
        told.value.message
        == "Only postgres can bind a role, as the owner of schema post_audit; this is service_role."
    )
    assert "DATABASE_URL" in told.value.cure
    owner = PsycopgDatabase(migrated)
    answer: Any = owner.call("post_audit_apply_binding", **arguments)
    assert answer["bound"]
    owner.close()
    # the service uses what the owner has bound
    assert service.call("post_audit_read_columns", role="suppliers", columns=["city"])
