"""Fixtures for every folder: one embedded server a session, one freshly migrated database a test."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migrate
from app.post_audit.db.psycopg_database import PsycopgDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = "post_audit_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The conninfo of a PostgreSQL server of our own, for as long as the session lasts."""
    embedded = EmbeddedServer(tmp_path_factory.mktemp("server") / ".post_audit")
    with embedded.acquire() as handle:
        with psycopg.connect(handle.conninfo, autocommit=True) as admin:
            # What a power cut would lose here is a test's database.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
            admin.execute("SELECT pg_reload_conf()")
        yield handle.conninfo
    embedded.destroy()


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """The name of a migrated database that others are copied from."""
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    migrate(make_conninfo(server, dbname=TEMPLATE))
    return TEMPLATE


@pytest.fixture
def conninfo(server: str, template: str) -> Iterator[str]:
    """A freshly migrated database: live, every step proposing."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        yield make_conninfo(server, dbname=name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_conninfo(server: str) -> Iterator[str]:
    """A database without the migration."""
    name = f"empty_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_conninfo(server, dbname=name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


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
