"""A planted experiment: variant_b converts three times as often, and no honest test can miss it.

Ids of suppliers are text where these are bound to such a table; whoever computes with them says so.
"""

from __future__ import annotations

import psycopg
import pytest

PLANTED = """
INSERT INTO public.suppliers (id, name) SELECT n, 'Supplier ' || n FROM generate_series(1, 6000) AS n;
UPDATE public.ab_test_config SET started_at = now() - interval '10 days' WHERE id = 1;
INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at)
SELECT n, CASE WHEN n % 2 = 0 THEN 'variant_a' ELSE 'variant_b' END,
  date_trunc('hour', now()) - interval '9 days' + (n / 2 % 96) * interval '1 hour' + interval '5 minutes'
FROM generate_series(1, 6000) AS n;
INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, claimed_at, verified_at)
SELECT i.supplier_id::bigint, 'user ' || i.supplier_id, 'verified',
  i.sent_at + interval '2 hours', i.sent_at + interval '3 hours'
FROM public.invites_ab_test AS i
WHERE i.supplier_id::bigint % CASE i.variant WHEN 'variant_a' THEN 50 ELSE 15 END = 0;
-- and the experiment goes on: these are too young to count
INSERT INTO public.suppliers (id, name) SELECT n, 'Supplier ' || n FROM generate_series(6001, 6200) AS n;
INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at)
SELECT n, CASE WHEN n % 2 = 0 THEN 'variant_a' ELSE 'variant_b' END, now() - interval '30 minutes'
FROM generate_series(6001, 6200) AS n;
"""


@pytest.fixture
def planted(connection: psycopg.Connection) -> psycopg.Connection:
    connection.execute(PLANTED)
    # counted, so that a look of a busy machine has only what is new
    counted = None
    while counted != (True,):
        counted = connection.execute(
            "SELECT (public.post_audit_maintain_conversions() -> 'complete')::boolean"
        ).fetchone()
    return connection
