"""A worker that is killed keeps nothing: its claim is undone, or its task returns when the lease ends."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from app.post_audit.steps.enhancements import queue as tasks
from app.post_audit.steps.enhancements.tasks import Action
from tests.database.steps.enhancements.audited import Queue, finding
from tests.support.product import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.database

_BACKEND: Final = Path(__file__).parents[4]

# Claims, says which task it got, and then works for as long as nobody ends it.
_WORKER: Final = """
import sys
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.steps.enhancements import queue
(task,) = queue.claim(PsycopgDatabase(sys.argv[1]), "killed").tasks
print(task.id, flush=True)
sys.stdin.read()
"""

# The same within a claim: the database has answered, and nothing is committed yet.
_CLAIMING: Final = """
import sys
import psycopg
from app.post_audit.codec import encode
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
with psycopg.connect(sys.argv[1], application_name="claiming") as connection:
    (answer,) = connection.execute(
        "SELECT public.post_audit_apply_claim_tasks('killed', %s::jsonb)", (encode(EnhancementsPolicy().scoring),)
    ).fetchone()
    print(answer["tasks"][0]["id"], flush=True)
    sys.stdin.read()
"""


@contextmanager
def _killed(program: str, conninfo: str) -> Iterator[str]:
    """The id of the task that a worker got; the worker is gone without a word afterwards."""
    worker = subprocess.Popen(
        [sys.executable, "-c", program, conninfo],
        cwd=_BACKEND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        try:
            assert worker.stdout is not None
            yield worker.stdout.readline().strip()
        finally:
            worker.kill()


def test_a_task_of_a_killed_worker_returns_after_its_lease(queue: Queue, conninfo: str) -> None:
    queue.bring([finding(1, severity="critical"), finding(2, severity="low")])
    with _killed(_WORKER, conninfo) as got:
        assert got
    (other,) = tasks.claim(queue.database, "second").tasks
    assert str(other.id) != got, "the lease has not ended"
    assert tasks.claim(queue.database, "third").tasks == ()

    queue.connection.execute(
        "UPDATE public.enhancement_tasks SET lease_expires_at = clock_timestamp() WHERE owner = 'killed'"
    )
    (again,) = tasks.claim(queue.database, "third").tasks
    assert (str(again.id), again.owner) == (got, "third")
    told = [(event.kind, event.actor) for event in reversed(tasks.show(queue.database, got).events)]
    assert told[1:] == [("claimed", "killed"), ("lease_ended", "protocol"), ("claimed", "third")]
    (done,) = tasks.act(queue.database, [got], Action.DONE, "third").tasks
    assert done.status == "completed"


def test_a_claim_that_is_killed_midway_never_was(queue: Queue, conninfo: str) -> None:
    queue.bring([finding(1)])
    with _killed(_CLAIMING, conninfo) as got:
        assert tasks.claim(queue.database, "second").tasks == (), "it is held, and nobody waits for it"
    until(
        lambda: (
            queue.rows("SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'claiming'")
            == [(0,)]
        ),
        "the server has noticed",
    )
    (task,) = tasks.claim(queue.database, "second").tasks
    assert str(task.id) == got
    assert [event.actor for event in tasks.show(queue.database, got).events] == ["second", "import"]
