"""Any one of six steps is broken: the other five finish, the run ends with 1, and report and log say which and why."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from tests.support import marketplace
from tests.support.product import Product

pytestmark = [pytest.mark.acceptance]

STEPS = ("conversions", "infrastructure", "fake_data", "bugs", "live_fomo", "enhancements")


@pytest.mark.parametrize("broken", STEPS)
def test_a_step_without_its_facts(product: Product, connection: psycopg.Connection, broken: str) -> None:
    function = f"post_audit_read_{broken}"
    connection.execute(sql.SQL("DROP FUNCTION public.{}").format(sql.Identifier(function)))
    ended = product.run("run")
    assert ended.returncode == 1
    said = " ".join(ended.stdout.split())
    assert f"The database has no function {function}." in said
    assert "Apply the migration again: post-audit migrate." in said
    assert "failed; 5 of 6 steps finished." in said
    events = [event for event in product.events() if event["event"].startswith("step.")]
    assert [event["step"] for event in events] == list(STEPS)
    failed = [event for event in events if event["event"] == "step.failed"]
    assert [(event["step"], event["code"]) for event in failed] == [(broken, "FunctionMissing")]
    assert function in failed[0]["message"]
    rows = connection.execute("SELECT step, state FROM post_audit.step_runs").fetchall()
    assert dict(rows) == {step: "failed" if step == broken else "decided" for step in STEPS}


@pytest.mark.parametrize("broken", STEPS)
def test_a_step_whose_answer_makes_no_sense(
    product: Product, connection: psycopg.Connection, broken: str
) -> None:
    """The function is there and answers with something else: as bad as none, and no worse."""
    answer = """RETURN '{"experiments": "none", "suppliers": -1, "é": [[]]}'::jsonb"""
    marketplace.rewrite(connection, f"post_audit_read_{broken}", answer)
    document = product.json("run", code=1)
    states = {step["step"]: step["state"] for step in document["steps"]}
    assert states == {step: "failed" if step == broken else "decided" for step in STEPS}
    error = next(step["error"] for step in document["steps"] if step["step"] == broken)
    assert error["code"] == "UnexpectedAnswer"
    assert error["message"]
    assert error["cure"]
