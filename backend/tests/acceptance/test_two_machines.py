"""Two machines share one database: two folders, two logs, and still one run a tick and one effect a change."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.support import marketplace
from tests.support.product import Product, until

pytestmark = [pytest.mark.acceptance, pytest.mark.both_transports]


@pytest.fixture
def machines(tmp_path: Path, demonstration_reached: dict[str, str]) -> list[Product]:
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        # that a machine waits for the next tick is a thing of little interest
        made.append(
            Product(
                tmp_path / name, demonstration_reached | {"POST_AUDIT_LOG_LEVEL": "DEBUG"}, preloaded=True
            )
        )
    return made


def _decided(product: Product) -> int:
    return sum(event["event"] == "step.decided" for event in product.events())


def _assert_one_effect_each(looking: psycopg.Connection) -> None:
    twice = "SELECT count(*) FROM (SELECT {0} FROM post_audit.{1} GROUP BY {0} HAVING count(*) > 1) AS t"
    applied = (
        "SELECT count(*) = count(DISTINCT c.subject) FROM post_audit.changes AS c WHERE c.state = 'applied'"
    )
    assert marketplace.one(looking, applied)
    assert marketplace.one(looking, twice.format("channel, subject, version", "outbox")) == 0
    assert marketplace.one(looking, twice.format("run_id, step", "decisions")) == 0
    quotas = "SELECT array_agg(c.daily_quota ORDER BY c.channel) FROM public.infrastructure_config AS c"
    assert marketplace.one(looking, quotas) == [30_000, 20_000]
    # both machines' logs together tell of each step once for each run
    assert marketplace.one(looking, "SELECT count(*) FROM post_audit.runs WHERE state <> 'completed'") == 0


def test_one_tick_is_one_run(machines: list[Product], looking: psycopg.Connection) -> None:
    """Ten thousand hours: both are in the same tick, whenever this is run."""
    schedules = [machine.fork("schedule", "--interval-hours", "10000", "--json") for machine in machines]
    waits = "SELECT count(*) = 1 AND bool_and(state = 'completed') FROM post_audit.runs"
    until(lambda: bool(marketplace.one(looking, waits)), "the run of the tick has ended")
    # one that is busy starting has still to come upon the tick that is done
    until(
        lambda: all("schedule.waiting" in machine.log.read_text() for machine in machines),
        "both machines are done with the tick",
    )
    for schedule in schedules:
        schedule.process.terminate()
    ended = [schedule.ended() for schedule in schedules]
    assert [machine.returncode for machine in ended] == [0, 0], ended
    assert marketplace.one(looking, "SELECT array_agg(kind) FROM post_audit.runs") == ["schedule"]
    assert sorted(_decided(machine) for machine in machines) == [0, 6]
    _assert_one_effect_each(looking)


def test_manual_runs_meet(machines: list[Product], looking: psycopg.Connection) -> None:
    """Who comes second follows the first one's run and reports it, or comes later and finds nothing to do."""
    ended = [running.ended() for running in [machine.fork("run", "--json") for machine in machines]]
    assert [machine.returncode for machine in ended] == [0, 0], ended
    reports = [json.loads(machine.stdout) for machine in ended]
    assert {report["state"] for report in reports} == {"completed"}
    assert all(len(report["steps"]) == 6 for report in reports)
    runs = {report["run_id"] for report in reports}
    assert sum(_decided(machine) for machine in machines) == 6 * len(runs)
    _assert_one_effect_each(looking)


def test_a_machine_that_dies_is_followed_by_the_other(
    machines: list[Product], looking: psycopg.Connection
) -> None:
    first, second = machines
    running = first.fork("run")
    until(lambda: _decided(first) >= 2 or running.has_ended, "the first machine is in the middle of its run")
    running.kill()
    document = second.json("run")
    assert (document["state"], document["origin"], document["run_id"]) == ("completed", "resumed", 1)
    assert _decided(first) + _decided(second) >= 6
    _assert_one_effect_each(looking)
