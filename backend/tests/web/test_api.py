"""The fixed addresses answer what the marketplace's pages expect, and every error has one shape."""

from __future__ import annotations

import psycopg
import pytest
from fastapi.testclient import TestClient

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.web.server import create_app
from tests.support.web import HERE, THIS_MACHINE

pytestmark = pytest.mark.database


def invite(connection: psycopg.Connection, *, suppliers: int = 400) -> None:
    """Two variants, invited in one hour a week ago; every tenth and every fifth supplier claims a day later."""
    connection.execute(
        "INSERT INTO public.suppliers (name) SELECT 'Supplier ' || n FROM generate_series(1, %s) AS n",
        (suppliers,),
    )
    connection.execute(
        "INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at) "
        "SELECT id, CASE WHEN id % 2 = 0 THEN 'variant_a' ELSE 'variant_b' END, now() - interval '7 days' "
        "FROM public.suppliers"
    )
    connection.execute(
        "INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, claimed_at, verified_at) "
        "SELECT id, 'user ' || id, 'verified', now() - interval '6 days', now() - interval '6 days' "
        "FROM public.suppliers WHERE (id % 2 = 0 AND id % 10 = 0) OR (id % 2 = 1 AND id % 5 = 0)"
    )


def test_statistics_have_the_known_shape(client: TestClient, connection: psycopg.Connection) -> None:
    connection.execute("UPDATE public.ab_test_config SET started_at = now() - interval '8 days'")
    invite(connection)
    answer = client.get("/api/admin/ab-test/stats", params={"hours": 24 * 14}).json()
    assert {"stats", "active_variant", "winner"} <= answer.keys()
    assert (answer["active_variant"], answer["winner"]) == ("variant_a", None)
    by_variant = {entry["variant"]: entry for entry in answer["stats"]}
    assert by_variant["variant_a"]["total_sent"] == by_variant["variant_b"]["total_sent"] == 200
    assert (by_variant["variant_a"]["total_converted"], by_variant["variant_b"]["total_converted"]) == (
        40,
        40,
    )
    for entry in answer["stats"]:
        assert {"variant", "total_sent", "total_converted", "conversion_rate", "data_points"} <= entry.keys()
        for point in entry["data_points"]:
            assert {"time", "conversion_rate", "sent", "converted"} <= point.keys()


def test_nobody_invited_is_unknown_and_not_zero(client: TestClient) -> None:
    answer = client.get("/api/admin/ab-test/stats?hours=24").json()
    assert [entry["conversion_rate"] for entry in answer["stats"]] == [None, None]


def test_health_and_readiness(client: TestClient, connection: psycopg.Connection) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    ready = client.get("/ready")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    connection.execute("DROP VIEW post_audit.suppliers")
    away = client.get("/ready")
    assert away.status_code == 503
    assert "post-audit bind suppliers" in away.json()["why"][0]


def test_not_ready_without_a_database() -> None:
    nowhere = PsycopgDatabase("postgresql://postgres:hunter2@127.0.0.1:9/bell24h")
    with TestClient(
        create_app(nowhere), base_url=HERE, client=THIS_MACHINE, raise_server_exceptions=False
    ) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/ready").status_code == 503
        stats = client.get("/api/admin/ab-test/stats")
        assert stats.status_code == 503
        assert "hunter2" not in stats.text
        assert stats.json()["error"]["code"] == "DatabaseUnreachable"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/api/admin/ab-test/stats?hours=0", 422),
        ("/api/admin/ab-test/stats?hours=soon", 422),
        ("/api/admin/ab-test/stats?experiment=404", 404),
        ("/api/admin/runs?tick=%00", 422),
        ("/api/nowhere", 404),
    ],
)
def test_every_error_has_one_shape(client: TestClient, address: str, status: int) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert answer.json()["error"].keys() == {"code", "message", "cure"}


def test_a_fault_of_the_program_is_500_in_the_same_shape(
    client: TestClient, connection: psycopg.Connection
) -> None:
    connection.execute('UPDATE public.ab_test_config SET variants = \'{"not": "a list"}\'')
    answer = client.get("/api/admin/ab-test/stats")
    assert answer.status_code == 500
    assert answer.json()["error"].keys() == {"code", "message", "cure"}
