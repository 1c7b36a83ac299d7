"""The queue of runs. The only module that knows Absurd (0.5.1, pinned): its tables, its client, its errors.

Absurd gives a task to one worker for the length of a claim, keeps a checkpoint for each step that is done, and gives
the task to another worker when a claim has run out. It has no rule of its own for claims of processes that are known
to be dead, for ticks that fall together, or for a connection that breaks; those are here and in `worker`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import absurd_sdk
import absurdctl
import psycopg

from app.post_audit.db.psycopg_database import connect, translate
from app.post_audit.errors import ConfigurationError, PermissionRefused, PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.runner import RunKind, owner
from app.post_audit.secrecy import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PATIENCE", "VERSION", "Attempt", "Handler", "Queue", "Task", "Wanted", "depth", "install"]

VERSION: Final = "0.5.1"
_QUEUE: Final = "post_audit"
_TASK: Final = "post_audit_run"
# The shape of what is kept for a step, and the order in which steps are kept: another number makes a program that
# was deployed in the middle of a run do a step's checkpoint again. What was decided is known by our own tables.
_STEP_VERSION: Final = 1

PATIENCE: Final = 10
"""After so many attempts the step that the run stands at is given up: whoever does it does not survive it."""
# Beyond patience each of six steps may be given up, one an attempt, and the run be ended.
_MAX_ATTEMPTS: Final = PATIENCE + 10
_RETRY: Final[absurd_sdk.RetryStrategy] = {
    "kind": "exponential",
    "base_seconds": 0.5,
    "factor": 2,
    "max_seconds": 60,
}
# Ended tasks are kept so long; a tick's key keeps it from being run twice, and our own tables do as well.
_KEPT: Final = "7 days"

_log = get_logger(__name__)


def install(conninfo: str) -> None:
    """Make the engine's tables and the queue where they are missing (20 ms); two at once wait for one another.

    Raises `ConfigurationError` where the user may not make a schema, or where another version is installed.
    """
    try:
        with connect(conninfo) as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('post_audit.engine', 0))")
            row = connection.execute(
                "SELECT to_regprocedure('absurd.get_schema_version()') IS NOT NULL"
            ).fetchone()
            if row != (True,):
                connection.execute(absurdctl.BUNDLED_SCHEMA_SQL.encode())
            found = connection.execute("SELECT absurd.get_schema_version()").fetchone()
            if found != (VERSION,):
                raise ConfigurationError(
                    f"The engine's tables in this database are of version {found[0] if found else 'none'}, "
                    f"and this program works with {VERSION}.",
                    cure="Use the same version of the program on every machine.",
                )
            if not connection.execute(
                "SELECT 1 FROM absurd.queues AS q WHERE q.queue_name = %s", (_QUEUE,)
            ).fetchone():
                connection.execute("SELECT absurd.create_queue(%s)", (_QUEUE,))
                connection.execute(
                    "SELECT absurd.set_queue_policy(%s, %s::jsonb)",
                    (_QUEUE, json.dumps({"cleanup_ttl": _KEPT})),
                )
    except psycopg.Error as error:
        named = translate(error)
        if isinstance(named, PermissionRefused):
            raise ConfigurationError(
                f"The engine's tables cannot be made: {named.message}.",
                cure="Run post-audit migrate once as the owner of the database.",
            ) from error
        raise named from error


def depth(conninfo: str) -> dict[str, Any] | None:
    """How many tasks wait, are being worked on, failed within a week; for how many seconds the oldest waits.

    None where the engine's tables have not been made yet.
    """
    try:
        with connect(conninfo) as connection:
            if connection.execute("SELECT to_regclass('absurd.t_post_audit') IS NULL").fetchone() == (True,):
                return None
            row = connection.execute(
                "SELECT jsonb_build_object("
                "'waiting', count(*) FILTER (WHERE t.state IN ('pending', 'sleeping')),"
                "'running', count(*) FILTER (WHERE t.state = 'running'),"
                "'failed', count(*) FILTER (WHERE t.state = 'failed'),"
                "'oldest_waiting_seconds', round(coalesce(extract(epoch FROM absurd.current_time()"
                " - min(t.enqueue_at) FILTER (WHERE t.state IN ('pending', 'sleeping'))), 0), 1))"
                " FROM absurd.t_post_audit AS t"
            ).fetchone()
    except psycopg.Error as error:
        raise translate(error) from error
    return None if row is None else dict(row[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A run that is asked for. `slot` is the begin of its tick, for a schedule's."""

    tick: str
    kind: RunKind
    steps: tuple[str, ...] | None = None
    slot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How a task stands: `result` is what its handler returned, `failure` why it was given up."""

    state: str
    result: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nobody will work on it any more."""
        return self.state in {"completed", "failed", "cancelled"}


class Attempt:
    """One claimed task in the hands of this process."""

    def __init__(self, queue: Queue, context: absurd_sdk.TaskContext) -> None:
        self._queue, self._context = queue, context
        self._claim = context._task  # noqa: SLF001 - the SDK tells the number of an attempt nowhere else
        self.task_id: Final = str(context.task_id)

    @property
    def number(self) -> int:
        """1 for the first; grows when a worker died or failed, not when it handed the task back."""
        return int(self._claim["attempt"])

    def step(self, run_id: int, name: str, body: Callable[[], Mapping[str, Any]]) -> None:
        """Do one step and keep a checkpoint of it, which also extends the claim.

        Whether the step is done is asked of our own tables before, and not of the checkpoint.
        """
        kept, named = dict(body()), f"run {run_id}: {name}@{_STEP_VERSION}"
        try:
            step = absurd_sdk.StepHandle(name=named, checkpoint_name=named, done=False)
            self._context.complete_step(step, kept)
        except absurd_sdk.FailedTask:
            # The claim ran out and somebody else has the task now. The step is done, and the run is ours as long
            # as its token is: who has the task follows it.
            _log.warning("task.claim_lost", run_id=run_id, step=name)

    def hand_back(self, after: timedelta = timedelta(0)) -> NoReturn:
        """Give the task back for anybody to go on with, at once or later; costs no attempt. Does not return."""
        self._queue.hand_back(str(self._claim["run_id"]), after)
        raise absurd_sdk.SuspendTask

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Extend the claim from a second connection, since the first is busy with the task."""
        ended = threading.Event()
        thread = threading.Thread(
            target=self._queue.beat,
            args=(str(self._claim["run_id"]), ended),
            name="post-audit-claim",
            daemon=True,
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


Handler = Callable[[Wanted, Attempt], Mapping[str, Any]]


class Queue:
    """One worker's connection to the queue. Not for several threads; raises `psycopg.Error` when it breaks."""

    def __init__(self, conninfo: str, *, lease: timedelta) -> None:
        self._conninfo, self._lease = conninfo, lease
        self._connection = connect(conninfo)
        self._client = absurd_sdk.Absurd(
            self._connection, queue_name=_QUEUE, default_max_attempts=_MAX_ATTEMPTS
        )
        self._handler: Handler | None = None
        self._has_worked = False
        self._client.register_task(_TASK)(self._execute)
        self.name: Final = owner.mine()

    def close(self) -> None:
        """Give the connection back; what is still claimed under this name is nobody's."""
        owner.leave(self.name)
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, wanted: Wanted) -> str:
        """Put a run into the queue, once for each tick, and return its task's id."""
        spawned = self._client.spawn(
            _TASK, asdict(wanted), retry_strategy=_RETRY, idempotency_key=wanted.tick
        )
        return str(spawned["task_id"])

    def task(self, task_id: str) -> Task:
        """How a task stands; one that was cleaned away has ended."""
        found = self._client.fetch_task_result(task_id)
        if found is None:
            return Task(state="cancelled")
        result: Any = found.result
        failure: Any = found.failure
        return Task(state=found.state, result=result, failure=failure)

    def cancel(self, task_id: str) -> None:
        """Take back what was asked for, because something else has done it."""
        self._client.cancel_task(task_id)

    def work(self, handler: Handler) -> bool:
        """Take the next task and do it; False when there is none."""
        self._handler, self._has_worked = handler, False
        self._client.work_batch(
            worker_id=self.name, claim_timeout=int(self._lease.total_seconds()), batch_size=1
        )
        return self._has_worked

    def is_overtaken(self, slot: str) -> bool:
        """Whether a later tick of the schedule is in the queue, or has been run."""
        row = self._connection.execute(
            "SELECT EXISTS (SELECT FROM absurd.t_post_audit AS t WHERE t.task_name = %s"
            " AND t.params ->> 'kind' = 'schedule' AND (t.params ->> 'slot')::timestamptz > %s::timestamptz"
            " AND t.state NOT IN ('failed', 'cancelled'))",
            (_TASK, slot),
        ).fetchone()
        return row == (True,)

    def release_the_dead(self) -> int:
        """Take tasks from processes of this machine that certainly do not run any more; return how many.

        Elsewhere a claim has to run out first.
        """
        claimed = self._connection.execute(
            "SELECT r.run_id, r.claimed_by FROM absurd.r_post_audit AS r"
            " WHERE r.state = 'running' AND r.claimed_by IS NOT NULL"
        ).fetchall()
        dead = [(run_id, by) for run_id, by in claimed if owner.is_dead(by)]
        for run_id, by in dead:
            with self._connection.transaction():
                still = self._connection.execute(
                    "SELECT 1 FROM absurd.r_post_audit AS r"
                    " WHERE r.run_id = %s AND r.claimed_by = %s AND r.state = 'running' FOR UPDATE",
                    (run_id, by),
                ).fetchone()
                if still:
                    reason = {"name": "WorkerGone", "message": f"{owner.readable(by)} does not run any more"}
                    self._connection.execute(
                        "SELECT absurd.fail_run(%s, %s, %s::jsonb, absurd.current_time())",
                        (_QUEUE, run_id, json.dumps(reason)),
                    )
                    _log.info("task.worker_gone", owner=owner.readable(by))
        return len(dead)

    def clean(self) -> None:
        """Remove tasks that ended long ago, a thousand at most."""
        self._connection.execute("SELECT absurd.cleanup_all_queues()")

    def hand_back(self, run_id: str, after: timedelta) -> None:
        """See `Attempt.hand_back`."""
        self._connection.execute(
            "SELECT absurd.schedule_run(%s, %s, absurd.current_time() + %s)", (_QUEUE, run_id, after)
        )

    def beat(self, run_id: str, ended: threading.Event) -> None:
        """Extend a claim every third of the lease until `ended`; the body of the heartbeat's thread."""
        seconds = self._lease.total_seconds()
        while not ended.wait(seconds / 3):
            try:
                with connect(self._conninfo) as second:
                    second.execute("SELECT absurd.extend_claim(%s, %s, %s)", (_QUEUE, run_id, int(seconds)))
            except (psycopg.Error, PostAuditError) as error:
                # The run's own lease decides who may write; this one only who is asked first.
                _log.warning("task.heartbeat_failed", error=redact(str(error)))

    def _execute(self, params: Any, context: absurd_sdk.TaskContext) -> Any:  # noqa: ANN401 - JSON both ways
        self._has_worked = True
        if self._handler is None:
            raise RuntimeError("a task came without a handler")
        steps = params.get("steps")
        wanted = Wanted(
            tick=params["tick"],
            kind=params["kind"],
            steps=None if steps is None else tuple(steps),
            slot=params.get("slot"),
        )
        return dict(self._handler(wanted, Attempt(self, context)))
