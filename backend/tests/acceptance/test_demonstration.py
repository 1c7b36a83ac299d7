"""A database of one's own and the demonstration: it never gets in by itself, and only by name when asked."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.post_audit.db.embedded import EmbeddedServer
from tests.support import marketplace
from tests.support.product import Product

pytestmark = pytest.mark.acceptance

LOADS = "the demonstration is loaded by the owner, over a direct connection"

EXAMPLES = "SELECT count(*) FROM post_audit.demonstration_labels"


def test_a_run_in_a_database_of_ones_own(product: Product, connection: psycopg.Connection) -> None:
    """Nothing of the demonstration gets in, every step proposes, and the report says how to arm."""
    ended = product.run("run")
    assert ended.returncode == 0, ended.stderr
    assert "DEMONSTRATION" not in ended.stdout
    names = "conversions, infrastructure, fake_data, bugs, live_fomo, enhancements"
    said = " ".join(ended.stdout.split())
    assert f"Steps only propose until you arm them: post-audit arm STEP ({names})." in said
    for query in (
        EXAMPLES,
        "SELECT count(*) FROM public.suppliers",
        "SELECT count(*) FROM post_audit.audits",
    ):
        assert marketplace.one(connection, query) == 0
    modes = "SELECT array_agg(DISTINCT d.mode) FROM post_audit.decisions AS d"
    assert marketplace.one(connection, modes) == ["propose"]
    status = product.json("status")
    assert (status["marketplace"], status["embedded"]) == ("live", False)
    assert set(status["modes"].values()) == {"propose"}


@pytest.mark.reference_only("the demonstration is loaded into our tables alone")
@pytest.mark.direct_only(LOADS)
def test_it_is_loaded_only_by_the_right_name(product: Product, connection: psycopg.Connection) -> None:
    name = str(conninfo_to_dict(product.settings["DATABASE_URL"])["dbname"])
    before = marketplace.untouched(connection)
    unnamed = product.run("demo")
    assert unnamed.returncode == 2
    assert "post-audit demo --yes-into NAME" in " ".join(unnamed.stderr.split())
    assert name in unnamed.stderr
    misnamed = product.run("demo", "--yes-into", "another")
    assert misnamed.returncode == 2
    assert f"This is the database {name}, not another" in " ".join(misnamed.stderr.split())
    live = product.run("demo", "--remove")
    assert (live.returncode, "nothing was removed" in live.stderr) == (2, True)
    assert product.run("demo", "--verdict").returncode == 2
    assert marketplace.untouched(connection) == before

    empty = marketplace.contents(connection)
    loaded = product.json("demo", "--yes-into", name)
    assert loaded["labels"] == marketplace.one(connection, EXAMPLES) > 0
    # with it comes the audit of a scanner, as at a first run
    assert marketplace.one(connection, "SELECT count(*) FROM post_audit.audits") == 1
    # also in the demonstration the steps of a database of one's own propose
    assert set(product.json("status")["modes"].values()) == {"propose"}
    removed = product.json("demo", "--remove")
    assert sum(removed["rows"].values()) > 24_000
    changed = {
        relation: rows
        for relation, rows in marketplace.contents(connection).items()
        if empty[relation] != rows
    }
    # that there was one is remembered, so that it does not come back by itself
    assert changed.keys() == {"post_audit.marketplace"}


@pytest.mark.reference_only("the demonstration is loaded into our tables alone")
@pytest.mark.direct_only(LOADS)
def test_one_row_of_somebodys_is_enough_to_refuse_it(
    product: Product, connection: psycopg.Connection
) -> None:
    name = str(conninfo_to_dict(product.settings["DATABASE_URL"])["dbname"])
    connection.execute("INSERT INTO public.suppliers (name) VALUES ('Sharma Steel')")
    before = marketplace.untouched(connection)
    refused = product.run("demo", "--yes-into", name)
    assert refused.returncode == 2
    assert "The database is not empty: there are rows in public.suppliers" in " ".join(refused.stderr.split())
    assert marketplace.untouched(connection) == before


def test_an_embedded_database_with_something_in_it_stays_as_it_is(tmp_path: Path) -> None:
    """An audit is the first thing that comes into the embedded database: no demonstration joins it."""
    report = tmp_path / "review.csv"
    report.write_text("title,severity,file\nDebug route is open,low,debug.ts\n")
    product = Product(tmp_path, preloaded=True)
    server = EmbeddedServer(product.data_directory)
    with server.acquire():
        assert product.json("import", str(report))["run"]["state"] == "completed"
        document = product.json("run")
        assert (document["marketplace"], document["demonstration"]) == ("live", None)
    server.destroy()
