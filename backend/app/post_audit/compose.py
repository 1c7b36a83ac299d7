"""The only place that builds objects from settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final, Self

from app.post_audit import logs
from app.post_audit.db.embedded import EmbeddedServer, ServerHandle
from app.post_audit.db.migrate import migrate, needs_migration
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.db.rest_database import RestDatabase
from app.post_audit.demonstration import Loaded, first_run
from app.post_audit.engine import Wanted, ask, depth, drain, install, run_once
from app.post_audit.errors import ConfigurationError, DatabaseError, PostAuditError
from app.post_audit.outbox import Delivery, dispatch
from app.post_audit.outbox.receivers import receivers
from app.post_audit.ports import Database, Sender
from app.post_audit.runner import AnyStep, Progress, Runner, RunReport
from app.post_audit.settings import Settings, load_settings, project_folder
from app.post_audit.steps import bugs, conversions, enhancements, fake_data, infrastructure, live_fomo
from app.post_audit.steps.enhancements.inbox import Collected, collect

__all__ = ["EMBEDDED_ACTOR", "PATIENCE_SECONDS", "STEPS", "Application", "build", "open_connection"]

STEPS: Final[tuple[AnyStep, ...]] = (
    conversions.STEP,
    infrastructure.STEP,
    fake_data.STEP,
    bugs.STEP,
    live_fomo.STEP,
    enhancements.STEP,
)
"""The steps in the order they run."""

_log = logs.get_logger(__name__)

EMBEDDED_ACTOR: Final = "embedded default"
PATIENCE_SECONDS: Final = 3.5
"""How long a command waits for the next message: a chat takes one a second; a receiver that is down takes longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Everything a command, a page or the protocol needs, built once."""

    settings: Settings
    database: Database
    runner: Runner
    senders: Mapping[str, Sender]
    is_embedded: bool
    direct: str | None = field(repr=False)
    """The connection string; None where there is only the REST interface."""
    server: ServerHandle | None = None
    _beside: list[ServerHandle] = field(default_factory=list, repr=False)
    """The embedded server that holds the engine's tables where the marketplace is reached over REST."""

    @property
    def conninfo(self) -> str:
        """The connection string, for what only a direct connection can do; else `ConfigurationError`."""
        return _needed(self.direct)

    def engine_conninfo(self) -> str:
        """Where the engine's tables are; they are made when they are missing.

        Beside the marketplace, or over REST in the embedded server of this machine: which tick is run once, and who
        owns a run, stands in the marketplace in both cases.
        """
        # a database without the migration is told of, and not given tables
        self.database.call("post_audit_read_clock")
        if self.direct is not None:
            install(self.direct)
            return self.direct
        while self._beside:
            self._beside.pop().close()
        self._beside.append(EmbeddedServer(self.settings.data_directory).acquire())
        install(conninfo := self._beside[-1].conninfo)
        return conninfo

    def is_untouched(self) -> bool:
        """Whether this is the embedded database and nothing has ever been in it, so that the demonstration may be."""
        return self.is_embedded and first_run.is_untouched(self.conninfo)

    def prepare_first_run(self) -> Loaded | None:
        """Load the demonstration into the embedded database when nothing has ever been in it."""
        if not self.is_untouched():
            return None
        return first_run.prepare(self.conninfo, self.database, project_folder() / "samples")

    def take_in(self) -> list[Collected]:
        """Store the audits that lie in the inbox, each content once; files that cannot be read stay there."""
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
        now: Any = self.database.call("post_audit_read_operations")
        return {**now, "queue": None if self.direct is None else depth(self.direct)}

    def run_durably(self, wanted: Wanted, progress: Progress | None = None) -> RunReport:
        """Run once, through the queue, so that any worker goes on with it if this process dies; then send what is due.

        Over REST directly: the queue would be this machine's own, and the run's lease in the marketplace already lets
        the next run of any machine go on with it. The same where the engine's tables are missing and may not be made.
        """
        if self.direct is None:
            return self.run(tick=wanted.tick, kind=wanted.kind, progress=progress)
        # a database without the migration is told of, and not given tables
        self.database.call("post_audit_read_clock")
        try:
            install(self.direct)
        except ConfigurationError as error:
            _log.warning("engine.not_used", why=str(error))
            return self.run(tick=wanted.tick, kind=wanted.kind, progress=progress)
        report = run_once(self, wanted, lease=self.settings.lease, progress=progress)
        return self.runner.reread(report) if self.deliver().tried else report

    def ask(self, wanted: Wanted) -> bool:
        """Put a run into the queue, so that somebody makes it if this process dies; False where there is no queue."""
        if self.direct is None:
            return False
        try:
            ask(self, wanted, lease=self.settings.lease)
        except PostAuditError as error:
            _log.warning("engine.not_used", tick=wanted.tick, why=str(error))
            return False
        return True

    def drain(self, stopping: Event) -> None:
        """Make the runs that wait in the queue until none does or `stopping` is set, then send what is due."""
        if self.direct is not None and drain(self, lease=self.settings.lease, stopping=stopping):
            self.deliver()

    def deliver(self, *, patience_seconds: float = PATIENCE_SECONDS, stop: Event | None = None) -> Delivery:
        """Send what is due in the outbox, waiting no longer than this for the next (see `outbox.dispatch`)."""
        return dispatch(self.database, self.senders, patience_seconds=patience_seconds, stop=stop)

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
        if self.server is None:
            return self
        fresh = build(self.settings)
        self.close()
        return fresh

    def close(self) -> None:
        """Give back connections and the embedded server."""
        self.database.close()
        while self._beside:
            self._beside.pop().close()
        if self.server is not None:
            self.server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the database is, directly or over REST."""

    direct: str | None = field(repr=False)
    rest: RestDatabase | None = None
    server: ServerHandle | None = None

    @property
    def conninfo(self) -> str:
        """The connection string; `ConfigurationError` where there is only the REST interface."""
        return _needed(self.direct)

    def database(self) -> Database:
        """The port to it; nothing is opened before its first call."""
        return self.rest or PsycopgDatabase(
            self.conninfo, label="embedded" if self.server is not None else ""
        )

    def close(self) -> None:
        """Let go of the embedded server."""
        if self.server is not None:
            self.server.close()


def _needed(conninfo: str | None) -> str:
    if conninfo is None:
        raise ConfigurationError(
            "This needs a direct connection to the database; SUPABASE_URL gives only the REST interface.",
            cure="Set DATABASE_URL as well, to the project's connection string (Supabase: Connect > Session "
            "pooler), as the user postgres.",
        )
    return conninfo


def open_connection(settings: Settings) -> _Place:
    """Find the database: DATABASE_URL, else Supabase's REST interface, else the embedded server, which is started.

    Raises `ConfigurationError` when only one of Supabase's two settings is given: a demonstration must never answer
    in the place of somebody's own data.
    """
    if settings.database_url is not None:
        return _Place(direct=settings.database_url.get_secret_value())
    url, key = settings.supabase_url, settings.supabase_service_role_key
    if url is not None and key is not None:
        return _Place(direct=None, rest=RestDatabase(url, key.get_secret_value()))
    if url is not None:
        raise ConfigurationError(
            "SUPABASE_URL is set, and SUPABASE_SERVICE_ROLE_KEY is not.",
            cure="Set it to the project's secret key (Supabase: Project Settings > API Keys), or set DATABASE_URL, "
            "or unset SUPABASE_URL to use the embedded database.",
        )
    if key is not None:
        raise ConfigurationError(
            "SUPABASE_SERVICE_ROLE_KEY is set, and SUPABASE_URL is not.",
            cure="Set it to the project's address, https://PROJECT.supabase.co, or unset the key to use the "
            "embedded database.",
        )
    handle = EmbeddedServer(settings.data_directory).acquire()
    return _Place(direct=handle.conninfo, server=handle)


def build(settings: Settings | None = None, *, terminal_level: int | None = None) -> Application:
    """Build the application.

    The embedded database is migrated when it needs to be, and its steps are armed when it is new; a database of
    somebody's own is migrated and armed only on request. Raises `ConfigurationError` when it cannot be used.
    """
    settings = settings or load_settings()
    chosen = {} if terminal_level is None else {"terminal_level": terminal_level}
    logs.configure(log_file=settings.log_file, level=settings.log_level, secrets=settings.secrets(), **chosen)
    senders = receivers(settings)
    place = open_connection(settings)
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
        runner=Runner(database, STEPS, lease=settings.lease),
        senders=senders,
        is_embedded=place.server is not None,
        direct=place.direct,
        server=place.server,
    )


def _arm_untouched(database: Database) -> None:
    """Let every step act whose mode nobody has chosen yet."""
    database.call("post_audit_apply_initial_modes", mode="act", actor=EMBEDDED_ACTOR)
