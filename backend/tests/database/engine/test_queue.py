"""The queue over a real database: asked for once, taken from the dead, told, and refused where it cannot be."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.engine import Queue, Wanted, depth, install
from app.post_audit.engine.handling import Watcher, handle
from app.post_audit.engine.presence import Presence
from app.post_audit.engine.queue import Attempt
from app.post_audit.engine.workshop import Workshop
from app.post_audit.errors import ConfigurationError
from app.post_audit.outbox import Delivery, dispatch
from app.post_audit.ports import Database
from app.post_audit.runner import Runner, owner
from app.post_audit.steps import bugs
from app.post_audit.steps.enhancements.inbox import Collected
from tests.support import decisions, marketplace
from tests.support.product import until

pytestmark = pytest.mark.database

LEASE = timedelta(seconds=30)
TICKS = [Wanted(tick=f"tick {n}", kind="schedule", slot=f"2025-11-09T{n:02}:00:00+00:00") for n in range(4)]


class Shop:
    """A workshop of one step."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self.database: Database = PsycopgDatabase(conninfo)
        self.runner = Runner(self.database, [bugs.STEP], lease=LEASE)

    def engine_conninfo(self) -> str:
        return self._conninfo

    def take_in(self) -> list[Collected]:
        return []

    def deliver(self, *, patience_seconds: float = 0.0, stop: object = None) -> Delivery:
        del stop
        return dispatch(self.database, {}, patience_seconds=patience_seconds)

    def tidy(self) -> int:
        answer: Any = self.database.call("post_audit_maintain_old_messages")
        return int(answer["pruned"])

    def renewed(self) -> Workshop:
        return self


@pytest.fixture
def shop(conninfo: str) -> Shop:
    install(conninfo)
    return Shop(conninfo)


def work(shop: Shop, queue: Queue) -> None:
    def do(wanted: Wanted, attempt: Attempt) -> dict[str, object]:
        return dict(handle(shop, queue, wanted, attempt, Watcher()))

    while queue.work(do):
        pass


def test_is_installed_once_and_another_version_is_refused(
    conninfo: str, connection: psycopg.Connection
) -> None:
    assert depth(conninfo) is None
    install(conninfo)
    install(conninfo)
    assert depth(conninfo) == {"waiting": 0, "running": 0, "failed": 0, "oldest_waiting_seconds": 0}
    connection.execute(
        "CREATE OR REPLACE FUNCTION absurd.get_schema_version() RETURNS text LANGUAGE sql AS $$SELECT '9.9.9'$$"
    )
    with pytest.raises(ConfigurationError, match=r"version 9\.9\.9"):
        install(conninfo)


def test_who_may_not_make_tables_is_told_what_to_do(conninfo: str, connection: psycopg.Connection) -> None:
    name = "post_audit_guest"
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'guest'").format(sql.Identifier(name)))
    try:
        with pytest.raises(ConfigurationError) as refused:
            install(make_conninfo(conninfo, user=name, password="guest"))
        assert "post-audit migrate" in refused.value.cure
    finally:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_tick_is_asked_for_once(shop: Shop, conninfo: str) -> None:
    with Queue(conninfo, lease=LEASE) as first, Queue(conninfo, lease=LEASE) as second:
        assert first.ask(TICKS[0]) == second.ask(TICKS[0])
        work(shop, second)
        assert first.task(first.ask(TICKS[0])).state == "completed"


def test_of_missed_ticks_the_last_is_run(shop: Shop, conninfo: str, connection: psycopg.Connection) -> None:
    with Queue(conninfo, lease=LEASE) as queue:
        asked = [queue.ask(tick) for tick in TICKS]
        work(shop, queue)
        results = [queue.task(task_id).result for task_id in asked]
    assert [None if result is None else result["state"] for result in results] == ["coalesced"] * 3 + [
        "completed"
    ]
    assert marketplace.one(connection, "SELECT array_agg(tick) FROM post_audit.runs") == ["tick 3"]


def test_a_task_of_a_dead_process_is_free_at_once(
    shop: Shop, conninfo: str, connection: psycopg.Connection
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    parts = owner.mine().split("|")
    gone = "|".join((parts[0], str(ended.pid), *parts[2:]))
    with Queue(conninfo, lease=LEASE) as queue:
        task_id = queue.ask(TICKS[0])
        connection.execute("SELECT absurd.claim_task('post_audit', %s, 30, 1)", (gone,))
        work(shop, queue)
        assert queue.task(task_id).state == "running"
        assert queue.release_the_dead() == 1
        work(shop, queue)
        assert queue.task(task_id).state == "completed"
    attempts = connection.execute(
        "SELECT state, attempt FROM absurd.r_post_audit ORDER BY attempt"
    ).fetchall()
    assert attempts == [("failed", 1), ("completed", 2)]


def test_a_name_that_was_given_up_is_dead(conninfo: str) -> None:
    install(conninfo)
    with Queue(conninfo, lease=LEASE) as queue:
        assert not owner.is_dead(queue.name)
    assert owner.is_dead(queue.name)


def test_a_run_that_another_version_began_is_ended_with_the_steps_that_there_are(
    shop: Shop, connection: psycopg.Connection
) -> None:
    run_id, _ = decisions.begin(shop.database, tick="before the deploy", owner="the former version")
    connection.execute(
        "UPDATE post_audit.runs SET lease_expires_at = now(), steps = %s WHERE id = %s",
        ('["a_step_that_is_gone", "bugs"]', run_id),
    )
    shop.runner.run()
    ended: Any = shop.database.call("post_audit_read_run", run_id=run_id)
    assert (ended["state"], [step["step"] for step in ended["steps"]]) == ("completed", ["bugs"])


def test_a_worker_tidies_up_by_itself(shop: Shop, connection: psycopg.Connection) -> None:
    with Presence(shop, kind="worker"):
        until(
            lambda: bool(
                connection.execute(
                    "SELECT 1 FROM post_audit.upkeep WHERE done_at > now() - interval '1 minute'"
                ).fetchone()
            ),
            "old messages were looked for",
        )
