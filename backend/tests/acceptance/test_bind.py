"""`post-audit bind --guess`: a marketplace of another shape is recognized, shown with its values, and bound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from app.post_audit.db.migrate import migrate
from tests.support import marketplace, prisma
from tests.support.gateway import Gateway
from tests.support.product import Product

pytestmark = [pytest.mark.acceptance, pytest.mark.reference_only("it binds by itself")]

OURS = "SELECT array_agg(role ORDER BY role) FROM post_audit.bindings WHERE NOT is_reference"


@pytest.fixture
def other_shape(connection: psycopg.Connection) -> psycopg.Connection:
    connection.execute(prisma.TABLES + prisma.ROWS)
    return connection


def test_a_guess_shows_values_and_binds_nothing(product: Product, other_shape: psycopg.Connection) -> None:
    told = product.run("bind", "--guess")
    assert told.returncode == 0, told.stderr
    assert "suppliers ← public.scraped_companies" in told.stdout
    assert "gstNumber" in told.stdout
    assert "27AAPFU0939F1ZV" in told.stdout
    assert "value in rupees" in told.stdout
    assert "post-audit bind claims public.company_claims --column" in told.stdout
    assert marketplace.one(other_shape, OURS) is None


def test_the_guess_is_bound_and_every_step_decides(
    product: Product, other_shape: psycopg.Connection, conninfo: str
) -> None:
    # as the owner, over a direct connection for this one command
    document = replace(product, settings={"DATABASE_URL": conninfo}).json("bind", "--guess", "--accept")
    assert {guess["role"]: guess["relation"] for guess in document["guesses"]} == {
        "suppliers": "public.scraped_companies",
        "claims": "public.company_claims",
        "earnings": "public.benefits_tracking",
    }
    assert marketplace.one(other_shape, OURS) == ["claims", "earnings", "suppliers"]
    assert marketplace.one(other_shape, "SELECT amount_paise FROM post_audit.earnings") == 500_050
    # what is ours and names suppliers has taken over the type of their ids, and takes them
    other_shape.execute(
        "INSERT INTO public.invites_ab_test (supplier_id, variant) VALUES ('clx1', 'variant_a')"
    )
    report = product.json("run")
    assert {step["step"]: step["state"] for step in report["steps"]} == dict.fromkeys(
        ("conversions", "infrastructure", "fake_data", "bugs", "live_fomo", "enhancements"), "decided"
    )
    # and it stays so when the migration is applied again
    assert migrate(conninfo) == []
    assert product.json("bind", "--guess")["guesses"] == []
    assert product.run("run").returncode == 0


def test_what_nothing_keeps_unique_is_shown_and_not_bound(
    product: Product, connection: psycopg.Connection, conninfo: str
) -> None:
    owner = replace(product, settings={"DATABASE_URL": conninfo})
    connection.execute("""
        CREATE TABLE public.vendors (id bigint, name text, email text, phone text, city text, "createdAt" timestamptz);
        CREATE VIEW public.sellers AS SELECT id, name FROM public.vendors;
        INSERT INTO public.vendors (id, name) VALUES (1, 'Om Traders')
    """)
    told = product.run("bind", "--guess")
    assert "Nothing keeps its id unique, so it cannot be bound as it is." in told.stdout
    # the view shows no id twice; of the table it is the other way round
    assert told.stdout.index("suppliers ← public.sellers") < told.stdout.index("suppliers ← public.vendors")
    connection.execute("DROP VIEW public.sellers")
    document = owner.json("bind", "--guess", "--accept")
    assert ([guess["unique_id"] for guess in document["guesses"]], document["bindings"]) == ([False], [])
    connection.execute("ALTER TABLE public.vendors ADD PRIMARY KEY (id)")
    bound = owner.json("bind", "--guess", "--accept")["bindings"]
    assert [binding["relation"].removeprefix("public.") for binding in bound] == ["vendors"]


def test_nothing_to_guess_is_said(product: Product) -> None:
    told = product.run("bind", "--guess")
    assert (told.returncode, "Bind by hand" in told.stdout) == (0, True)


@pytest.mark.parametrize("arguments", [("--accept",), ("--guess", "suppliers", "public.x")])
def test_a_guess_is_of_all_roles(product: Product, arguments: tuple[str, ...]) -> None:
    ended = product.run("bind", *arguments)
    assert ended.returncode == 2
    assert "post-audit bind --guess" in ended.stderr


def test_binding_needs_the_owner(tmp_path: Path, gateway: Gateway, supabase_conninfo: str) -> None:
    """Over REST the service may look but not make views; it is told what to do."""
    with psycopg.connect(supabase_conninfo, autocommit=True) as owner:
        owner.execute(prisma.TABLES + prisma.ROWS)
        product = Product(tmp_path, gateway.settings(), preloaded=True)
        guessed = product.json("bind", "--guess")["guesses"]
        assert len(guessed) == 3
        ended = product.run("bind", "--guess", "--accept")
        assert ended.returncode == 1
        assert "DATABASE_URL" in ended.stderr
        assert marketplace.one(owner, OURS) is None


def test_where_one_guess_is_refused_none_is_bound(tmp_path: Path, supabase_conninfo: str) -> None:
    product = Product(tmp_path, {"DATABASE_URL": supabase_conninfo}, preloaded=True)
    with psycopg.connect(supabase_conninfo, autocommit=True) as owner:
        owner.execute(prisma.TABLES + prisma.ROWS)
        owner.execute("REVOKE SELECT ON public.benefits_tracking FROM service_role")
        views = "SELECT jsonb_object_agg(relname, oid) FROM pg_class WHERE relnamespace = 'post_audit'::regnamespace"
        before = marketplace.one(owner, views)
        ended = product.run("bind", "--guess", "--accept")
        assert ended.returncode == 2
        said = " ".join(ended.stderr.split())
        assert "The role earnings cannot be public.benefits_tracking" in said
        assert "GRANT SELECT ON public.benefits_tracking TO service_role" in said
        assert marketplace.one(owner, OURS) is None
        assert marketplace.one(owner, views) == before
        owner.execute("GRANT SELECT ON public.benefits_tracking TO service_role")
        assert len(product.json("bind", "--guess", "--accept")["bindings"]) == 3


def test_what_is_bound_is_no_more_open_than_before(supabase_conninfo: str) -> None:
    """A view of ours opens nothing: with or without it an outsider reads and writes what its own grants allow."""
    rights = """
        SELECT jsonb_object_agg(r.role || ' ' || c.relname || ' ' || p.privilege,
          has_table_privilege(r.role, c.oid, p.privilege))
        FROM unnest(ARRAY['anon', 'authenticated']) AS r (role),
          unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (privilege),
          pg_class AS c WHERE c.relnamespace = {0}::regnamespace AND c.relkind IN ('r', 'v')"""
    with psycopg.connect(supabase_conninfo, autocommit=True) as owner:
        owner.execute(prisma.TABLES + prisma.ROWS)
        owner.execute("REVOKE ALL ON public.company_claims FROM anon")
        before = marketplace.one(owner, rights.format("'public'"))
        assert before["anon scraped_companies SELECT"]
        assert not before["anon company_claims SELECT"]
        product_rows = (
            "SELECT count(*) FROM public.post_audit_read_binding_guesses() AS g, jsonb_array_elements(g) AS b"
        )
        assert marketplace.one(owner, product_rows) == 3
        owner.execute(
            "SELECT public.post_audit_apply_binding(b ->> 'role', b ->> 'relation', b -> 'columns', 'a test')"
            " FROM jsonb_array_elements(public.post_audit_read_binding_guesses()) AS b ORDER BY b ->> 'role' DESC"
        )
        assert marketplace.one(owner, rights.format("'public'")) == before
        assert not any(marketplace.one(owner, rights.format("'post_audit'")).values())
        assert not marketplace.one(owner, "SELECT has_schema_privilege('anon', 'post_audit', 'USAGE')")
        assert marketplace.one(
            owner,
            "SELECT bool_and('security_invoker=true' = ANY (reloptions)) FROM pg_class"
            " WHERE relkind = 'v' AND relnamespace = 'post_audit'::regnamespace",
        )
