"""Fixtures for every folder: one embedded server a session, one freshly migrated database a test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg.conninfo import make_conninfo

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migrate
from app.post_audit.db.psycopg_database import PsycopgDatabase
from tests.support.databases import Databases, hurry, in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = "post_audit_template"

# No limit of time for examples: on a busy machine it would be the machine that fails. `make test-all` is thorough.
_UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("usual", _UNHURRIED, max_examples=25)
settings.register_profile("thorough", _UNHURRIED, max_examples=300)
settings.load_profile("usual")


@pytest.fixture(scope="session")
def memory() -> Iterator[Path | None]:
    """A folder in memory for what servers of tests hold; it outlives them."""
    with in_memory() as folder:
        yield folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, memory: Path | None) -> Iterator[str]:  # noqa: ARG001
    """The conninfo of a PostgreSQL server of our own, for as long as the session lasts."""
    embedded = EmbeddedServer(tmp_path_factory.mktemp("server") / ".post_audit")
    with embedded.acquire() as handle:
        hurry(handle.conninfo)
        yield handle.conninfo
    embedded.destroy()


@pytest.fixture(scope="session")
def databases(server: str, memory: Path | None) -> Iterator[Databases]:
    """What makes and drops databases on that server."""
    with Databases(server, memory) as made:
        yield made


@pytest.fixture(scope="session")
def template(server: str, databases: Databases) -> str:
    """The name of a migrated database that others are copied from."""
    databases.create(TEMPLATE)
    migrate(make_conninfo(server, dbname=TEMPLATE))
    return TEMPLATE


@pytest.fixture
def conninfo(databases: Databases, template: str) -> Iterator[str]:
    """A freshly migrated database: live, every step proposing."""
    with databases.scratch(template) as made:
        yield made


@pytest.fixture
def empty_conninfo(databases: Databases) -> Iterator[str]:
    """A database without the migration."""
    with databases.scratch() as made:
        yield made


@pytest.fixture
def database(conninfo: str) -> Iterator[PsycopgDatabase]:
    """The port to the test's database."""
    opened = PsycopgDatabase(conninfo)
    yield opened
    opened.close()


@pytest.fixture
def connection(conninfo: str) -> Iterator[psycopg.Connection]:
    """A plain connection to the test's database, for arranging and looking."""
    with psycopg.connect(conninfo, autocommit=True) as opened:
        yield opened
