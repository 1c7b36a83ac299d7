"""Every function, table and view keeps the rules, and a fault against each rule is found by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.database.migration import checks
from tests.database.migration.conftest import MIGRATED, TWO_OF_THEM, Place

pytestmark = pytest.mark.database

APPLICATION: Final = Path(__file__).resolve().parents[3] / "app"

ON_EVERY_SERVER: Final = {
    "is named read, maintain or apply": "ALTER FUNCTION public.post_audit_read_status() RENAME TO post_audit_status",
    "answers with jsonb": """CREATE FUNCTION public.post_audit_read_planted() RETURNS text
        LANGUAGE sql STABLE SET search_path = '' SET "TimeZone" = 'UTC' RETURN 'text'""",
    "pins search_path to nothing": "ALTER FUNCTION public.post_audit_read_status() SET search_path = public",
    "pins the time zone": 'ALTER FUNCTION post_audit.clock() RESET "TimeZone"',
    "is as volatile as its name says": "ALTER FUNCTION public.post_audit_read_status() VOLATILE",
    "has no overloads": """CREATE FUNCTION public.post_audit_read_status(hours integer) RETURNS jsonb
        LANGUAGE sql STABLE SET search_path = '' SET "TimeZone" = 'UTC' RETURN 'null'::jsonb""",
    "runs with the rights of its caller": "ALTER FUNCTION public.post_audit_read_status() SECURITY DEFINER",
    "names all its arguments": """CREATE FUNCTION public.post_audit_read_planted(integer) RETURNS jsonb
        LANGUAGE sql STABLE SET search_path = '' SET "TimeZone" = 'UTC' RETURN 'null'::jsonb""",
    "is registered for the next application": """CREATE FUNCTION post_audit.planted() RETURNS void
        LANGUAGE sql SET search_path = '' SET "TimeZone" = 'UTC' AS ''""",
    "can be called by the service alone": "GRANT EXECUTE ON FUNCTION public.post_audit_read_status() TO {outsider}",
    "has row level security": "ALTER TABLE public.suppliers DISABLE ROW LEVEL SECURITY",
    "has a policy": "DROP POLICY post_audit_service ON public.suppliers",
    "lets in the service alone": "CREATE POLICY everybody ON post_audit.runs FOR SELECT USING (true)",
    "belongs to the service alone": "GRANT USAGE ON SEQUENCE public.suppliers_id_seq TO {outsider}",
    "shows each caller only its own rows": "CREATE VIEW post_audit.planted AS SELECT 1 AS number",
    "has an index under each foreign key": "DROP INDEX post_audit.outbox_decision",
    "has each index once": "CREATE INDEX planted ON public.bugs (fingerprint)",
}
"""A fault against each rule."""

ON_SUPABASE: Final = {
    # What default privileges do to whatever is made in schema public.
    "can be called by the service alone": """CREATE FUNCTION public.post_audit_read_planted() RETURNS jsonb
        LANGUAGE sql STABLE SET search_path = '' SET "TimeZone" = 'UTC' RETURN 'null'::jsonb;
        REVOKE ALL ON FUNCTION public.post_audit_read_planted() FROM PUBLIC""",
    "belongs to the service alone": """CREATE TABLE public.planted (id integer);
        COMMENT ON TABLE public.planted IS 'Post-Audit Protocol: planted'""",
    "can be called by the service": "REVOKE EXECUTE ON FUNCTION public.post_audit_read_status() FROM {service}",
    "can be used by the service": "REVOKE DELETE ON post_audit.outbox FROM {service}",
}


@pytest.fixture(scope="module")
def owner(place: Place) -> Iterator[psycopg.Connection]:
    """A connection to a migrated database in which nothing is kept."""
    with place.scratch(MIGRATED) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("rule", checks.RULES)
def test_everything(rule: str, owner: psycopg.Connection, place: Place) -> None:
    assert checks.RULES[rule](owner, place.service) == []


def found(connection: psycopg.Connection, place: Place, rule: str, fault: str) -> set[str]:
    """What the rule finds with the fault and does not find without it."""
    without = checks.RULES[rule](connection, place.service)
    with connection.transaction(force_rollback=True):
        connection.execute(fault.format(service=place.service, outsider=place.outsiders[0]).encode())
        return set(checks.RULES[rule](connection, place.service)) - set(without)


@pytest.mark.parametrize("rule", ON_EVERY_SERVER)
def test_a_fault_is_found(rule: str, owner: psycopg.Connection, place: Place) -> None:
    assert found(owner, place, rule, ON_EVERY_SERVER[rule])


@pytest.mark.parametrize("rule", ON_SUPABASE)
def test_a_fault_of_supabase_is_found(rule: str, owner: psycopg.Connection, place: Place) -> None:
    if not place.is_supabase:
        pytest.skip("needs Supabase's roles")
    assert found(owner, place, rule, ON_SUPABASE[rule])


def test_a_fault_against_every_rule_is_planted() -> None:
    assert ON_EVERY_SERVER.keys() | ON_SUPABASE.keys() == checks.RULES.keys()


@TWO_OF_THEM
def test_python_calls_what_is_there(owner: psycopg.Connection) -> None:
    files = sorted(APPLICATION.rglob("*.py"))
    assert len(files) > 20
    assert list(checks.calls_that_do_not_fit(files, checks.signatures(owner))) == []


@TWO_OF_THEM
def test_a_call_that_does_not_fit_is_found(owner: psycopg.Connection, tmp_path: Path) -> None:
    file = tmp_path / "planted.py"
    file.write_text(
        'NAME = "post_audit_read_gone"\n'
        'database.call("post_audit_read_run", run=1)\n'
        'database.call("post_audit_apply_mode", step="bugs", mode="act")\n'
        'database.call("post_audit_apply_mode", **arguments)\n'
    )
    assert list(checks.calls_that_do_not_fit([file], checks.signatures(owner))) == [
        "planted.py: there is no post_audit_read_gone",
        "planted.py:2: post_audit_read_run takes no run",
        "planted.py:3: post_audit_apply_mode needs actor",
    ]
