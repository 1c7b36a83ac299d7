"""Where the database is that the settings name: a connection string, Supabase's REST interface, or one of our own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.errors import ConfigurationError
from app.post_audit.ports import Database
from app.post_audit.settings import Settings

if TYPE_CHECKING:
    from app.post_audit.db.embedded import ServerHandle
    from app.post_audit.db.rest_database import RestDatabase

__all__ = ["Place", "find_database"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the database is. `direct` is its connection string; None where there is only the REST interface."""

    direct: str | None = field(repr=False)
    rest: RestDatabase | None = None
    server: ServerHandle | None = None

    @property
    def conninfo(self) -> str:
        """The connection string; `ConfigurationError` where there is only the REST interface."""
        if self.direct is None:
            raise ConfigurationError(
                "This needs a direct connection to the database; SUPABASE_URL gives only the REST interface.",
                cure="Set DATABASE_URL as well, to the project's connection string (Supabase: Connect > Session "
                "pooler), as the user postgres.",
            )
        return self.direct

    def database(self) -> Database:
        """The port to it; nothing is opened before its first call."""
        return self.rest or PsycopgDatabase(
            self.conninfo, label="embedded" if self.server is not None else ""
        )

    def close(self) -> None:
        """Let go of the embedded server."""
        if self.server is not None:
            self.server.close()


def find_database(settings: Settings) -> Place:
    """Find the database: DATABASE_URL, else Supabase's REST interface, else the embedded server, which is started.

    Raises `ConfigurationError` when only one of Supabase's two settings is given: a demonstration must never answer
    in the place of somebody's own data.
    """
    if settings.database_url is not None:
        return Place(direct=settings.database_url.get_secret_value())
    url, key = settings.supabase_url, settings.supabase_service_role_key
    if url is not None and key is not None:
        from app.post_audit.db.rest_database import RestDatabase

        return Place(direct=None, rest=RestDatabase(url, key.get_secret_value()))
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
    from app.post_audit.db.embedded import EmbeddedServer

    handle = EmbeddedServer(settings.data_directory).acquire()
    return Place(direct=handle.conninfo, server=handle)
