"""Whoever comes with a public key calls nothing of ours, with roles bound to open tables of somebody's own too."""

from __future__ import annotations

import httpx2
import psycopg
import pytest

from tests.support import marketplace, prisma
from tests.support.gateway import Gateway

pytestmark = [pytest.mark.database, pytest.mark.reference_only("it binds tables of that shape by itself")]

FUNCTIONS = r"""
SELECT p.proname, coalesce(p.proargnames, '{}') FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'post\_audit\_%' ORDER BY 1
"""
RELATIONS = r"""
SELECT c.oid::regclass::text FROM pg_class AS c
WHERE c.relkind IN ('r', 'v', 'm', 'p') AND (c.relnamespace = 'post_audit'::regnamespace
  OR obj_description(c.oid, 'pg_class') LIKE 'Post-Audit Protocol: %')
"""


def test_public_keys_call_nothing_and_read_nothing(gateway: Gateway, supabase_conninfo: str) -> None:
    with psycopg.connect(supabase_conninfo, autocommit=True) as owner:
        owner.execute(prisma.TABLES + prisma.ROWS)
        for role, relation in (
            ("suppliers", "public.scraped_companies"),
            ("claims", "public.company_claims"),
        ):
            columns = {
                "supplier_id": "scrapedCompanyId",
                "claimed_at": "claimedAt",
                "verified_at": "verifiedAt",
            }
            marketplace.bind(owner, role, relation, columns if role == "claims" else {})
        functions = owner.execute(FUNCTIONS).fetchall()
        relations = [name for (name,) in owner.execute(RELATIONS).fetchall()]
    assert len(functions) > 30
    assert len(relations) > 30
    # PostgREST looks a function up before it asks whether it may be called: 401 for anon, 403 for who is logged in
    for key, role, status in (
        (gateway.anon_key, "anon", 401),
        (gateway.publishable_key, "anon", 401),
        (gateway.authenticated_key, "authenticated", 403),
    ):
        headers = {"apikey": key} | ({} if key.startswith("sb_") else {"Authorization": f"Bearer {key}"})
        with httpx2.Client(base_url=gateway.url, headers=headers) as outsider:
            for name, arguments in functions:
                refused = outsider.post(f"/rest/v1/rpc/{name}", json=dict.fromkeys(arguments))
                assert (refused.status_code, refused.json()["code"]) == (status, "42501"), (role, name)
        with psycopg.connect(supabase_conninfo, autocommit=True) as connection:
            connection.execute(f"SET ROLE {role}".encode())
            for relation in relations:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"SELECT FROM {relation}".encode())
