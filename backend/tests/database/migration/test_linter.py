"""Supabase's database linter finds nothing that the migration or a binding brought, and finds what is planted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import psycopg
import pytest
from psycopg import sql

from tests.database.migration import linter
from tests.database.migration.conftest import BASE, MIGRATED, Place
from tests.support import prisma

pytestmark = pytest.mark.database

ON_SUPABASE: Final = pytest.mark.parametrize("place", ["15-supabase", "18-supabase"], indirect=True)

GUESSED: Final = """
SELECT public.post_audit_apply_binding(g.guess ->> 'role', g.guess ->> 'relation', g.guess -> 'columns', 'a test')
FROM jsonb_array_elements(public.post_audit_read_binding_guesses()) AS g (guess)
WHERE (g.guess ->> 'best')::boolean ORDER BY g.guess ->> 'role' DESC
"""
PLANTED: Final = {
    "auth_users_exposed": "CREATE VIEW public.planted AS SELECT email FROM auth.users",
    "policy_exists_rls_disabled": "ALTER TABLE public.suppliers DISABLE ROW LEVEL SECURITY",
    "security_definer_view": "CREATE VIEW public.planted AS SELECT name FROM public.suppliers",
    "rls_disabled_in_public": "CREATE TABLE public.planted (id bigint PRIMARY KEY)",
    "rls_references_user_metadata": """CREATE POLICY planted ON public.bugs FOR SELECT TO authenticated
        USING ((auth.jwt() -> 'user_metadata' ->> 'admin') = 'true')""",
    "sensitive_columns_exposed": "CREATE TABLE public.planted (id bigint PRIMARY KEY, access_token text)",
    "function_search_path_mutable": "ALTER FUNCTION public.post_audit_read_status() RESET search_path",
    "extension_in_public": "CREATE EXTENSION pg_trgm SCHEMA public",
    "materialized_view_in_api": "CREATE MATERIALIZED VIEW public.planted AS SELECT name FROM public.suppliers",
    "foreign_table_in_api": """CREATE EXTENSION file_fdw SCHEMA extensions;
        CREATE SERVER planted FOREIGN DATA WRAPPER file_fdw;
        CREATE FOREIGN TABLE public.planted (line text) SERVER planted OPTIONS (filename '/dev/null');
        GRANT SELECT ON public.planted TO anon""",
    "rls_policy_always_true": "CREATE POLICY planted ON public.bugs FOR INSERT TO anon WITH CHECK (true)",
    "anon_security_definer_function_executable": """ALTER FUNCTION public.post_audit_read_status() SECURITY DEFINER;
        GRANT EXECUTE ON FUNCTION public.post_audit_read_status() TO anon""",
    "authenticated_security_definer_function_executable": """CREATE FUNCTION public.planted() RETURNS integer
        LANGUAGE sql SECURITY DEFINER SET search_path = '' RETURN 1""",
    "rls_enabled_no_policy": "DROP POLICY post_audit_service ON public.suppliers",
    "auth_rls_initplan": "CREATE POLICY planted ON public.bugs FOR SELECT TO authenticated USING (auth.uid() = page)",
    "multiple_permissive_policies": """CREATE POLICY one ON public.bugs FOR SELECT TO anon USING (page = '/');
        CREATE POLICY two ON public.bugs TO PUBLIC USING (page = '/search')""",
    "duplicate_index": "CREATE INDEX planted ON public.bugs (fingerprint)",
    "unindexed_foreign_keys": "DROP INDEX public.invites_sent_supplier",
    "no_primary_key": "CREATE TABLE post_audit.planted (id bigint)",
}
"""A fault against each rule."""

# As much of Supabase's own schema as policies and views name.
AUTH: Final = """
CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text);
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE RETURN '{}'::jsonb;
CREATE FUNCTION auth.uid() RETURNS text LANGUAGE sql STABLE RETURN ''::text;
GRANT USAGE ON SCHEMA auth TO postgres, anon, authenticated;
GRANT SELECT ON auth.users TO postgres;
"""


@pytest.fixture(scope="module")
def owner(place: Place) -> Iterator[psycopg.Connection]:
    """A connection to a migrated database in which nothing is kept, as a superuser, who may plant everything."""
    with (
        place.scratch(MIGRATED) as conninfo,
        psycopg.connect(conninfo, user="supabase_admin", autocommit=True) as connection,
    ):
        connection.execute(AUTH)
        connection.execute("SET ROLE postgres")
        yield connection


@ON_SUPABASE
def test_the_migration_brings_nothing(place: Place) -> None:
    findings = []
    for template in (BASE, MIGRATED):
        with place.scratch(template) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
            findings.append(linter.found(connection))
    assert findings[1] - findings[0] == set()


@ON_SUPABASE
def test_bindings_bring_nothing(migrated: str) -> None:
    """To somebody's open tables no way is opened that was not there."""
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(prisma.TABLES + prisma.ROWS)
        before = linter.found(connection)
        assert ("rls_disabled_in_public", "public.scraped_companies") in before
        assert len(connection.execute(GUESSED).fetchall()) == 3
        assert linter.found(connection) - before == set()
        # and back
        connection.execute(
            "SELECT public.post_audit_apply_binding('suppliers', 'public.suppliers', '{}', 'a test')"
        )
        assert linter.found(connection) - before == set()


@ON_SUPABASE
@pytest.mark.parametrize("rule", PLANTED)
def test_what_is_planted_is_found(owner: psycopg.Connection, rule: str) -> None:
    before = linter.found(owner)
    with owner.transaction(force_rollback=True):
        if "EXTENSION" in PLANTED[rule]:
            owner.execute("RESET ROLE")
        owner.execute(PLANTED[rule].encode())
        assert rule in {name for name, _ in linter.found(owner) - before}


def test_a_fault_against_every_rule_is_planted() -> None:
    assert PLANTED.keys() == linter.RULES.keys()


@ON_SUPABASE
def test_what_default_privileges_give_away_is_taken_back(place: Place) -> None:
    """Also those without a schema, which reach into ours."""
    with place.scratch(MIGRATED) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, authenticated")
        connection.execute(prisma.TABLES + prisma.ROWS)
        connection.execute(GUESSED)
        for role in place.outsiders:
            opened = connection.execute(
                sql.SQL(
                    "SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'post_audit'::regnamespace"
                    " AND c.relkind = 'v' AND has_any_column_privilege({}, c.oid, 'SELECT, INSERT, UPDATE')"
                ).format(sql.Literal(role))
            ).fetchall()
            assert opened == []
