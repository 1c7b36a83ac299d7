"""A run that is killed anywhere is completed by the next one, and nothing is decided twice."""

from __future__ import annotations

import random
import subprocess
import time

import psycopg
import pytest

from tests.support import marketplace
from tests.support.product import Product

pytestmark = pytest.mark.faults

KILLS = 20


def test_twenty_kills_at_random_moments(product: Product, connection: psycopg.Connection) -> None:
    """kill -9 between the process's start and its end; the moments cover the whole of a run."""
    marketplace.arm_all(connection)
    started = time.monotonic()
    assert product.run("run").returncode == 0
    whole_run = time.monotonic() - started
    marketplace.nearly_full(connection)
    moments = random.Random(20251109)
    for _ in range(KILLS):
        process = product.start("run", "--json")
        try:
            # most of a run's time is Python's start; its end is where the database is at work
            process.wait(timeout=whole_run * moments.uniform(0.35, 1.05))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    document = product.json("run")
    assert document["state"] == "completed"
    twice = connection.execute(
        "SELECT run_id, step FROM post_audit.decisions WHERE kind = 'step' GROUP BY 1, 2 HAVING count(*) > 1"
    ).fetchall()
    unfinished = connection.execute("SELECT id FROM post_audit.runs WHERE state = 'running'").fetchall()
    half_done = connection.execute("SELECT id FROM post_audit.decisions WHERE state = 'applying'").fetchall()
    assert (twice, unfinished, half_done) == ([], [], [])
    # 85 % of 20,000 was used: raised once, and 17,000 of 30,000 asks for no more
    raises = connection.execute(
        "SELECT count(*) FROM post_audit.changes WHERE subject = 'capacity:sms' AND state = 'applied'"
    ).fetchone()
    messages = connection.execute(
        "SELECT count(*), count(DISTINCT version) FROM post_audit.outbox "
        "WHERE channel = 'n8n_scale' AND subject = 'capacity:sms'"
    ).fetchone()
    quota = connection.execute("SELECT daily_quota FROM post_audit.capacity WHERE channel = 'sms'").fetchone()
    assert (raises, messages, quota) == ((1,), (1, 1), (30_000,))
