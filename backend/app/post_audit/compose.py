"""Puts the application together from the settings: its database, its steps, its receivers.

What only some commands need is imported where it is built: steps, engine and demonstration are most of the second
that importing everything takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Final, Self

from app.post_audit import logs
from app.post_audit.errors import ConfigurationError, DatabaseError, PostAuditError
from app.post_audit.outbox import Delivery, dispatch
from app.post_audit.outbox.receivers import receivers
from app.post_audit.ports import Database, Sender
from app.post_audit.settings import Settings, load_settings, project_folder

if TYPE_CHECKING:
    from app.post_audit.db.embedded import ServerHandle
    from app.post_audit.db.place import Place
    from app.post_audit.demonstration import Loaded
    from app.post_audit.engine import Wanted
    from app.post_audit.runner import AnyStep, Progress, Runner, RunReport
    from app.post_audit.steps.enhancements.inbox import Collected

__all__ = [
    "EMBEDDED_ACTOR",
    "PATIENCE_SECONDS",
    "STEP_NAMES",
    "Application",
    "build",
    "steps",
]

_log = logs.get_logger(__name__)
# The first who asks for the runner makes it, in whichever thread.
_MAKING: Final = Lock()

STEP_NAMES: Final = ("conversions", "infrastructure", "fake_data", "bugs", "live_fomo", "enhancements")
"""The names of the steps, in the order they run; for who only tells of them."""

EMBEDDED_ACTOR: Final = "embedded default"
PATIENCE_SECONDS: Final = 3.5
"""How long a command waits for the next message: a chat takes one a second; a receiver that is down takes longer."""


@cache
def steps() -> tuple[AnyStep, ...]:
    """The steps in the order they run."""
    from app.post_audit.steps import bugs, conversions, enhancements, fake_data, infrastructure, live_fomo

    return (
        conversions.STEP,
        infrastructure.STEP,
        fake_data.STEP,
        bugs.STEP,
        live_fomo.STEP,
        enhancements.STEP,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Everything a command, a page or the protocol needs, built once."""

    settings: Settings
    database: Database
    senders: Mapping[str, Sender]
    place: Place
    _runners: list[Runner] = field(default_factory=list, repr=False)
    _queue_server: list[ServerHandle] = field(default_factory=list, repr=False)
    """The embedded server that holds the engine's tables where the marketplace is reached over REST; one at most."""

    @property
    def is_embedded(self) -> bool:
        """Whether the database is the product's own, on this machine."""
        return self.place.server is not None

    @property
    def runner(self) -> Runner:
        """What runs the steps; one for the whole application, which `stop` tells."""
        from app.post_audit.runner import Runner

        with _MAKING:
            if not self._runners:
                self._runners.append(Runner(self.database, steps(), lease=self.settings.lease))
            return self._runners[0]

    @property
    def conninfo(self) -> str:
        """The connection string, for what only a direct connection can do; else `ConfigurationError`."""
        return self.place.conninfo

    def engine_conninfo(self) -> str:
        """Where the engine's tables are; they are made when they are missing.

        Beside the marketplace, or over REST in the embedded server of this machine: which tick is run once, and who
        owns a run, stands in the marketplace in both cases.
        """
        from app.post_audit.db.embedded import EmbeddedServer
        from app.post_audit.engine import install

        # a database without the migration is told of, and not given tables
        self.database.call("post_audit_read_clock")
        if self.place.direct is not None:
            install(self.place.direct)
            return self.place.direct
        self._leave_queue_server()
        server = EmbeddedServer(self.settings.data_directory).acquire()
        self._queue_server.append(server)
        install(server.conninfo)
        return server.conninfo

    def is_untouched(self) -> bool:
        """Whether this is the embedded database and nothing has ever been in it, so that the demonstration may be."""
        from app.post_audit.demonstration import first_run

        return self.is_embedded and first_run.is_untouched(self.conninfo)

    def prepare_first_run(self) -> Loaded | None:
        """Load the demonstration into the embedded database when nothing has ever been in it."""
        from app.post_audit.demonstration import first_run

        if not self.is_untouched():
            return None
        return first_run.prepare(self.conninfo, self.database, project_folder() / "samples")

    def load_demonstration(self, *, seed: int | None = None, into: str | None = None) -> Loaded:
        """Load a demonstration with its audit, as a first run does; see `demonstration.load_demonstration`."""
        from app.post_audit.demonstration import DEFAULT_SEED, first_run, load_demonstration

        loaded = load_demonstration(self.conninfo, seed=DEFAULT_SEED if seed is None else seed, into=into)
        first_run.hand_over(self.database, project_folder() / "samples")
        return loaded

    def take_in(self) -> list[Collected]:
        """Store the audits that lie in the inbox, each content once; files that cannot be read stay there."""
        from app.post_audit.steps.enhancements.inbox import collect

        collected = collect(self.settings.inbox, self.database)
        for item in collected:
            if item.stored is None:
                _log.warning("audit.refused", file=item.name, why=item.error)
            else:
                _log.info(
                    "audit.taken_in", file=item.name, audit_id=item.stored.id, known=item.stored.is_known
                )
        return collected

    def run(self, **request: Any) -> RunReport:  # noqa: ANN401 - passed on to Runner.run
        """Give back tasks whose time ran out, run once (see `Runner.run`), then send what is due."""
        try:
            # A person said until when; that does not wait for a step's mode.
            self.database.call("post_audit_apply_returned_tasks")
        except DatabaseError as error:
            _log.warning("tasks.not_returned", code=type(error).__name__, error=str(error))
        report = self.runner.run(**request)
        return self.runner.reread(report) if self.deliver().tried else report

    def operations(self) -> dict[str, Any]:
        """How the machinery stands: runs, workers, leases, messages, the next tick, and the queue of this database.

        `queue` is None where the engine's tables have not been made, or are the embedded server's of each machine.
        """
        from app.post_audit.engine import depth

        now: Any = self.database.call("post_audit_read_operations")
        return {**now, "queue": None if self.place.direct is None else depth(self.place.direct)}

    def run_durably(self, wanted: Wanted, progress: Progress | None = None) -> RunReport:
        """Run once, through the queue, so that any worker goes on with it if this process dies; then send what is due.

        Over REST directly: the queue would be this machine's own, and the run's lease in the marketplace already lets
        the next run of any machine go on with it. The same where the engine's tables are missing and may not be made.
        """
        from app.post_audit.engine import install, run_once

        if self.place.direct is None:
            return self.run(tick=wanted.tick, kind=wanted.kind, progress=progress)
        # a database without the migration is told of, and not given tables
        self.database.call("post_audit_read_clock")
        try:
            install(self.place.direct)
        except ConfigurationError as error:
            _log.warning("engine.not_used", why=str(error))
            return self.run(tick=wanted.tick, kind=wanted.kind, progress=progress)
        report = run_once(self, wanted, lease=self.settings.lease, progress=progress)
        return self.runner.reread(report) if self.deliver().tried else report

    def ask(self, wanted: Wanted) -> bool:
        """Put a run into the queue, so that somebody makes it if this process dies; False where there is no queue."""
        from app.post_audit.engine import ask

        if self.place.direct is None:
            return False
        try:
            ask(self, wanted, lease=self.settings.lease)
        except PostAuditError as error:
            _log.warning("engine.not_used", tick=wanted.tick, why=str(error))
            return False
        return True

    def drain(self, stopping: Event) -> None:
        """Make the runs that wait in the queue until none does or `stopping` is set, then send what is due."""
        from app.post_audit.engine import drain

        if self.place.direct is not None and drain(self, lease=self.settings.lease, stopping=stopping):
            self.deliver()

    def deliver(self, *, patience_seconds: float = PATIENCE_SECONDS, stop: Event | None = None) -> Delivery:
        """Send what is due in the outbox, waiting no longer than this for the next (see `outbox.dispatch`)."""
        from app.post_audit.runner import owner

        return dispatch(
            self.database,
            self.senders,
            patience_seconds=patience_seconds,
            stop=stop,
            owner=owner.mine(),
        )

    def tidy(self) -> int:
        """Delete a part of the messages that ended long ago, where that is due today; how many."""
        answer: Any = self.database.call(
            "post_audit_maintain_old_messages", keep_days=self.settings.keep_messages_days
        )
        if answer["pruned"]:
            _log.info("outbox.pruned", messages=answer["pruned"], days=self.settings.keep_messages_days)
        return int(answer["pruned"])

    def renewed(self) -> Application:
        """The same application over an embedded server that answers; itself over a database of somebody's own."""
        if not self.is_embedded:
            return self
        fresh = build(self.settings)
        self.close()
        return fresh

    def close(self) -> None:
        """Give back connections and the embedded server."""
        self.database.close()
        self._leave_queue_server()
        self.place.close()

    def _leave_queue_server(self) -> None:
        while self._queue_server:
            self._queue_server.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def build(settings: Settings | None = None, *, terminal_level: int | None = None) -> Application:
    """Build the application.

    The embedded database is migrated when it needs to be, and its steps are armed when it is new; a database of
    somebody's own is migrated and armed only on request. Raises `ConfigurationError` when it cannot be used.
    """
    from app.post_audit.db.migrate import migrate, needs_migration
    from app.post_audit.db.place import find_database

    settings = settings or load_settings()
    chosen = {} if terminal_level is None else {"terminal_level": terminal_level}
    logs.configure(log_file=settings.log_file, level=settings.log_level, secrets=settings.secrets(), **chosen)
    senders = receivers(settings)
    place = find_database(settings)
    try:
        is_new = False
        if place.server is not None and needs_migration(place.conninfo):
            migrate(place.conninfo)
            is_new = True
        database = place.database()
        if is_new:
            _arm_untouched(database)
    except BaseException:
        place.close()
        raise
    return Application(
        settings=settings,
        database=database,
        senders=senders,
        place=place,
    )


def _arm_untouched(database: Database) -> None:
    """Let every step act whose mode nobody has chosen yet."""
    database.call("post_audit_apply_initial_modes", mode="act", actor=EMBEDDED_ACTOR)
