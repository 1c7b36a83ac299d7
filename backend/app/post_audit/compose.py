"""The only place that builds objects from settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from app.post_audit import logs
from app.post_audit.db.embedded import EmbeddedServer, ServerHandle
from app.post_audit.db.migrate import migrate, needs_migration
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.demonstration import Loaded, first_run
from app.post_audit.errors import ConfigurationError
from app.post_audit.outbox import ConsoleSender, dispatch
from app.post_audit.ports import Sender
from app.post_audit.runner import AnyStep, Runner, RunReport
from app.post_audit.settings import Settings, load_settings, project_folder
from app.post_audit.step import Channel
from app.post_audit.steps import bugs, conversions, enhancements, fake_data, infrastructure, live_fomo
from app.post_audit.steps.enhancements.inbox import Collected, collect

__all__ = ["EMBEDDED_ACTOR", "STEPS", "Application", "build", "open_connection"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Everything a command, a page or the protocol needs, built once."""

    settings: Settings
    database: PsycopgDatabase
    runner: Runner
    senders: Mapping[str, Sender]
    is_embedded: bool
    conninfo: str
    server: ServerHandle | None = None

    def prepare_first_run(self) -> Loaded | None:
        """Load the demonstration into the embedded database when nothing has ever been in it."""
        if not self.is_embedded or not first_run.is_untouched(self.conninfo):
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
        """Run once (see `Runner.run`), then send what is due."""
        report = self.runner.run(**request)
        return self.runner.reread(report) if self.deliver() else report

    def deliver(self) -> int:
        """Send what waits in the outbox, once each; return how many were tried."""
        return dispatch(self.database, self.senders)

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
        if self.server is not None:
            self.server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the database is."""

    conninfo: str
    label: str
    server: ServerHandle | None


def open_connection(settings: Settings) -> _Place:
    """Find the database: DATABASE_URL when there is one, else the embedded server, which is started.

    Raises `ConfigurationError` when only Supabase's REST address is given: a demonstration must never answer in
    the place of somebody's own data.
    """
    if settings.database_url is not None:
        return _Place(conninfo=settings.database_url.get_secret_value(), label="", server=None)
    if settings.supabase_url is not None:
        raise ConfigurationError(
            "SUPABASE_URL is set, but this version reaches a database only by a direct connection.",
            cure="Set DATABASE_URL to the project's connection string (Supabase: Connect > Session pooler), "
            "or unset SUPABASE_URL to use the embedded database.",
        )
    handle = EmbeddedServer(settings.data_directory).acquire()
    return _Place(conninfo=handle.conninfo, label="embedded", server=handle)


def build(settings: Settings | None = None, *, terminal_level: int | None = None) -> Application:
    """Build the application.

    The embedded database is migrated when it needs to be, and its steps are armed when it is new; a database of
    somebody's own is migrated and armed only on request. Raises `ConfigurationError` when it cannot be used.
    """
    settings = settings or load_settings()
    chosen = {} if terminal_level is None else {"terminal_level": terminal_level}
    logs.configure(log_file=settings.log_file, level=settings.log_level, secrets=settings.secrets(), **chosen)
    place = open_connection(settings)
    try:
        is_new = False
        if place.server is not None and needs_migration(place.conninfo):
            migrate(place.conninfo)
            is_new = True
        database = PsycopgDatabase(place.conninfo, label=place.label)
        if is_new:
            _arm_untouched(database)
    except BaseException:
        if place.server is not None:
            place.server.close()
        raise
    return Application(
        settings=settings,
        database=database,
        runner=Runner(database, STEPS, lease=settings.lease),
        senders={channel.value: ConsoleSender() for channel in Channel},
        is_embedded=place.server is not None,
        conninfo=place.conninfo,
        server=place.server,
    )


def _arm_untouched(database: PsycopgDatabase) -> None:
    """Let every step act whose mode nobody has chosen yet."""
    database.call("post_audit_apply_initial_modes", mode="act", actor=EMBEDDED_ACTOR)
