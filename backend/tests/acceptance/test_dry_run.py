"""What leaves a marketplace alone leaves all of it alone: no row is written, not even as it was."""

from __future__ import annotations

import psycopg
import pytest

from tests.support import marketplace
from tests.support.product import Product

pytestmark = [pytest.mark.acceptance]


def test_a_dry_run_writes_no_row(demonstrated: Product, looking: psycopg.Connection) -> None:
    before = marketplace.untouched(looking)
    document = demonstrated.json("run", "--dry-run")
    assert marketplace.untouched(looking) == before
    would = {step["step"]: len(step["decision"]["changes"]) for step in document["steps"]}
    assert would["conversions"] == would["infrastructure"] == 1
    assert would["fake_data"] > 100
    assert {step["decision"]["state"] for step in document["steps"]} == {"preview"}
    told = demonstrated.run("run", "--dry-run")
    assert told.returncode == 0
    assert told.stdout.startswith("Dry run · nothing was changed")
    alone = demonstrated.json("step", "bugs", "--dry-run")
    assert [step["step"] for step in alone["steps"]] == ["bugs"]
    assert marketplace.untouched(looking) == before


@pytest.mark.both_bindings
def test_what_only_looks_writes_no_row(demonstrated: Product, looking: psycopg.Connection) -> None:
    before = marketplace.untouched(looking)
    for command in (
        ("status",),
        ("decisions",),
        ("bind",),
        ("demo", "--verdict"),
        ("decisions", "--waiting"),
    ):
        ended = demonstrated.run(*command)
        assert ended.returncode == 0, (command, ended.stderr)
    assert marketplace.untouched(looking) == before
