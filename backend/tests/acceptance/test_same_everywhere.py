"""One marketplace, reached directly and over REST, in our tables and in Prisma's: the same decisions and answers.

What may differ is what is given out anew with every run (ids of runs and decisions, tokens, moments of the clock on
the wall) and what names a table or digests a row as it lies in one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.db.rest_database import RestDatabase
from app.post_audit.ports import Database
from app.post_audit.web.server import create_app
from tests.support import marketplace, prisma
from tests.support.databases import Databases
from tests.support.gateway import Gateway
from tests.support.product import Product
from tests.support.web import browser

pytestmark = pytest.mark.acceptance

PLACES: Final = [
    (transport, binding) for transport in ("direct", "rest") for binding in ("reference", "prisma")
]
# What Prisma's shape cannot say (amounts of claims, suppliers of earnings, foreign keys of our invites) our tables do
# not say here either. Ids have one length, so that their order is the same as numbers and as text.
LEVELLED: Final = """
DO $$
DECLARE
  pointing record;
BEGIN
  FOR pointing IN
    SELECT k.conrelid::regclass AS relation, k.conname AS name FROM pg_constraint AS k
    WHERE k.contype = 'f' AND k.confrelid = 'public.suppliers'::regclass
  LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', pointing.relation, pointing.name);
    EXECUTE format('UPDATE %s SET supplier_id = supplier_id + 1000000 WHERE true', pointing.relation);
  END LOOP;
END
$$;
UPDATE public.suppliers SET claimed_by = NULL, id = id + 1000000 WHERE true;
ALTER TABLE public.claim_airdrop_log ALTER COLUMN amount_paise DROP NOT NULL;
UPDATE public.claim_airdrop_log SET amount_paise = NULL, id = id + 1000000 WHERE true;
UPDATE post_audit.earnings_ledger SET supplier_id = NULL, id = id + 1000000 WHERE true;
ALTER TABLE public.claim_airdrop_log ADD FOREIGN KEY (supplier_id) REFERENCES public.suppliers;
ANALYZE
"""
# Clocks on the wall, where the database is, horizons of snapshots, and digests of rows as they lie in their table.
CHANCE: Final = {
    "carried_out_at", "created_at", "decided_at", "duration_ms", "finished_at", "next_attempt_at", "settled_at",
    "started_at", "lease_expires_at", "at", "now", "database", "owner", "tick", "token", "snapshot", "digest",
}  # fmt: skip
MESSAGE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|msg_[0-9a-f]{32}")
# It looks at the way to the database itself.
TELLS_OF_THE_WAY: Final = "/api/admin/doctor"


@pytest.fixture(scope="module")
def levelled(supabase_server: str, supabase_template: str, supabase_databases: Databases) -> dict[str, str]:
    """A template database for each binding."""
    demonstration = marketplace.demonstration_template(supabase_server, supabase_template)
    supabase_databases.create(f"{demonstration}_levelled", template=demonstration, owner="postgres")
    with psycopg.connect(
        make_conninfo(supabase_server, dbname=f"{demonstration}_levelled"), autocommit=True
    ) as connection:
        connection.execute(LEVELLED)
    reshaped = prisma.reshaped_template(
        supabase_server, f"{demonstration}_levelled", f"{demonstration}_levelled_prisma"
    )
    return {"reference": f"{demonstration}_levelled", "prisma": reshaped}


@contextmanager
def installation(
    databases: Databases, template: str, transport: str, folder: Path
) -> Iterator[tuple[Product, psycopg.Connection]]:
    """A product over one transport on a database of its own."""
    with databases.scratch(template, owner="postgres") as made:
        conninfo = make_conninfo(made, user="postgres")
        with psycopg.connect(conninfo, autocommit=True) as looking, Gateway(conninfo) as gateway:
            settings = {"DATABASE_URL": conninfo} if transport == "direct" else gateway.settings()
            folder.mkdir()
            yield Product(folder, settings, preloaded=True), looking


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A document without what is given out anew each time."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in CHANCE}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return "a message" if isinstance(value, str) and MESSAGE.fullmatch(value) else value


def answers(product: Product) -> dict[str, Any]:
    """What every address answers to whoever only reads; where one thing is asked for, the first."""
    settings = product.settings
    database: Database = (
        PsycopgDatabase(settings["DATABASE_URL"])
        if "DATABASE_URL" in settings
        else RestDatabase(settings["SUPABASE_URL"], settings["SUPABASE_SERVICE_ROLE_KEY"])
    )
    app = create_app(database)
    paths = [path for path, deeds in app.openapi()["paths"].items() if "get" in deeds]
    with closing(database), browser(app) as client:
        asked = {
            path: client.get(re.sub(r"\{\w+\}", "1", path)) for path in paths if path != TELLS_OF_THE_WAY
        }
    return {
        path: [answer.status_code, answer.json() if "json" in answer.headers["content-type"] else answer.text]
        for path, answer in asked.items()
    }


def told(product: Product, looking: psycopg.Connection) -> dict[str, Any]:
    """What one run and its undo say, and every row that the deciding left behind."""
    report = product.json("run")
    report["decisions"] = product.json("decisions")
    report["undone"] = product.json("undo", "2")
    report["api"] = answers(product)
    rows = "SELECT jsonb_agg(to_jsonb(t) ORDER BY {order}) FROM post_audit.{table} AS t"
    for table, order in (("changes", "decision_id, position"), ("decisions", "id"), ("outbox", "sequence")):
        report[f"rows of {table}"] = marketplace.one(looking, rows.format(table=table, order=order))
    return dict(plain(report))


@pytest.mark.parametrize(
    "places",
    [
        PLACES[::3],
        pytest.param(PLACES, marks=pytest.mark.slow),
    ],
    ids=["two of them", "all"],
)
def test_the_same_marketplace_is_decided_the_same(
    levelled: dict[str, str],
    supabase_databases: Databases,
    tmp_path: Path,
    places: list[tuple[str, str]],
) -> None:
    answers = {}
    for transport, binding in places:
        folder = tmp_path / f"{transport}-{binding}"
        with installation(supabase_databases, levelled[binding], transport, folder) as (product, looking):
            answers[transport, binding] = told(product, looking)
    first = answers["direct", "reference"]
    assert [step["state"] for step in first["steps"]] == ["decided"] * 6
    # a run that has something to say, or the comparison says nothing
    assert len(first["rows of changes"]) > 100
    assert len(first["rows of outbox"]) >= 5
    assert sum(status == 200 for status, _ in first["api"].values()) > 20
    for place, answer in answers.items():
        assert answer == first, place
