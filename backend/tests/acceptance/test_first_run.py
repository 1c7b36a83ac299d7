"""The first five minutes of a stranger: an empty folder, one command, and what comes after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.post_audit.db.embedded import EmbeddedServer
from tests.support import marketplace
from tests.support.product import Product

pytestmark = pytest.mark.acceptance

STEPS = ["conversions", "infrastructure", "fake_data", "bugs", "live_fomo", "enhancements"]
# What a run may do to the marketplace and to others; a second run has to leave all of it alone.
EFFECTS = {
    "applied changes": "SELECT count(*) FROM post_audit.changes WHERE state IN ('applied', 'pending')",
    "waiting changes": "SELECT count(*) FROM post_audit.changes WHERE state = 'proposed'",
    "outbox": "SELECT count(*) FROM post_audit.outbox",
    "quotas": "SELECT jsonb_agg(to_jsonb(c) ORDER BY c.channel) FROM public.infrastructure_config AS c",
    "experiment": "SELECT jsonb_agg(to_jsonb(c) ORDER BY c.id) FROM public.ab_test_config AS c",
    "tasks": "SELECT count(*) FROM public.enhancement_tasks",
    "suppliers": "SELECT count(*) FROM public.suppliers",
    "versions": "SELECT jsonb_object_agg(s.subject, s.version) FROM post_audit.subjects AS s",
}


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Product]:
    """Nothing at all: no database, no settings, an empty folder."""
    product = Product(tmp_path)
    yield product
    EmbeddedServer(product.data_directory).destroy()


def _effects(conninfo: str) -> dict[str, Any]:
    with psycopg.connect(conninfo, autocommit=True) as looking:
        return {name: marketplace.one(looking, query) for name, query in EFFECTS.items()}


def test_the_first_five_minutes(stranger: Product) -> None:
    first = stranger.run("run")
    assert first.returncode == 0, first.stderr
    assert "DEMONSTRATION: an invented marketplace" in first.stdout
    assert "What was planted in the demonstration, and what the steps found of it:" in first.stdout
    table = first.stdout.partition("What was planted")[2]
    assert [
        title for title in ("Conversions", "Capacity", "Fake data", "Bugs", "Live counters") if title in table
    ]
    assert "post-audit undo 1" in first.stdout

    quick = replace(stranger, preloaded=True)
    # holds the server, so that not every command has to start it again
    with EmbeddedServer(stranger.data_directory).acquire() as server:
        decided = quick.json("decisions")["decisions"]
        assert sorted(decision["step"] for decision in decided) == sorted(STEPS)
        assert all(decision["reasons"] for decision in decided)
        assert {decision["state"] for decision in decided} == {"applied"}

        before = _effects(server.conninfo)
        assert before["quotas"][0]["daily_quota"] == 30_000
        assert before["experiment"][0]["active_variant"] == "variant_b"
        second = quick.json("run")
        assert (second["state"], [step["step"] for step in second["steps"]]) == ("completed", STEPS)
        assert second["demonstration"]["lines"][0]["settled"] == 1
        assert not [
            change
            for step in second["steps"]
            for change in step["decision"]["changes"]
            if change["state"] == "applied"
        ]
        assert _effects(server.conninfo) == before

        verdict = quick.run("demo", "--verdict")
        assert verdict.returncode == 0
        assert "202 invented" in verdict.stdout
        assert quick.json("demo", "--verdict") == second["demonstration"]

        refused = quick.run("demo")
        assert (refused.returncode, "already loaded" in refused.stderr) == (2, True)
        removed = quick.json("demo", "--remove")
        assert removed["rows"]["public.suppliers"] >= 23_800
        alone = quick.run("run")
        assert alone.returncode == 0, alone.stderr
        assert "DEMONSTRATION" not in alone.stdout
        assert _effects(server.conninfo)["suppliers"] == 0

        # on purpose it does come back, also after a run that found nothing to do
        again = quick.run("demo")
        assert again.returncode == 0, again.stderr
        assert quick.json("run")["demonstration"]["lines"][0]["settled"] == 1
