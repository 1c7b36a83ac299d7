"""PostgreSQL 15 and 18, each as it comes and with Supabase's roles, and databases on them to migrate."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.post_audit.db import binaries
from app.post_audit.db.embedded import EmbeddedServer, ServerHandle
from tests.support import supabase
from tests.support.databases import Databases, hurry

MIGRATION: Final = (
    Path(__file__).resolve().parents[4] / "supabase/migrations/20251109_post_audit_protocol.sql"
)
VISITOR: Final = "website_visitor"
STRANGER: Final = "stranger"
BASE: Final = "base"
MIGRATED: Final = "migrated"

# Where the version and the roles make no difference, these two stand for all four.
TWO_OF_THEM: Final = pytest.mark.parametrize("place", ["18", "15-supabase"], indirect=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server that the migration has to work on. `admin` may make databases; `owner` applies the migration."""

    name: str
    admin: str = field(repr=False)
    owner: str = field(repr=False)
    is_supabase: bool
    databases: Databases = field(repr=False)

    @property
    def outsiders(self) -> tuple[str, ...]:
        """The roles that anybody on the internet can have."""
        return supabase.OUTSIDERS if self.is_supabase else (VISITOR,)

    @property
    def service(self) -> str:
        """The role that the protocol works as."""
        return supabase.SERVICE if self.is_supabase else "postgres"

    def database(self, name: str, template: str) -> str:
        """Copy a database and return the copy's conninfo, as its owner."""
        self.databases.create(name, template=template, owner="postgres")
        return make_conninfo(self.owner, dbname=name)

    @contextmanager
    def scratch(self, template: str) -> Iterator[str]:
        """A copy for the length of one test."""
        with self.databases.scratch(template, owner="postgres") as made:
            yield make_conninfo(self.owner, dbname=str(conninfo_to_dict(made)["dbname"]))


def psql(conninfo: str, file: Path = MIGRATION) -> subprocess.CompletedProcess[str]:
    """Apply a file the way the README tells people to."""
    program = shutil.which("psql")
    if program is None:
        pytest.skip("psql is not installed")
    parts = conninfo_to_dict(conninfo)
    return subprocess.run(
        [
            program,
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            str(parts["user"]),
            "-d",
            str(parts["dbname"]),
            "-f",
            str(file),
        ],
        env={
            "PATH": os.defpath,
            "PGHOST": str(parts["host"]),
            "PGPORT": str(parts["port"]),
            "PGPASSWORD": str(parts["password"]),
            "PSQLRC": os.devnull,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


class Servers:
    """The servers of this session, each started when the first test asks for it."""

    def __init__(self, folder: Path, memory: Path | None, shared: str, databases: Databases) -> None:
        self._folder = folder
        self._memory = memory
        self._shared = shared
        self._databases = databases
        self._running: list[tuple[EmbeddedServer, ServerHandle]] = []
        self._places: dict[str, Place] = {}
        self._closing = ExitStack()

    def place(self, name: str) -> Place:
        """The server of one name like `15` or `15-supabase`, with its template databases."""
        if name not in self._places:
            major, _, flavour = name.partition("-")
            self._places[name] = self._prepare(name, int(major), is_supabase=bool(flavour))
        return self._places[name]

    def _prepare(self, name: str, major: int, *, is_supabase: bool) -> Place:
        owner = self._server(name, major, is_supabase=is_supabase)
        admin = supabase.prepare_server(owner) if is_supabase else owner
        databases = (
            self._databases
            if owner == self._shared
            else self._closing.enter_context(Databases(admin, self._memory))
        )
        place = Place(name=name, admin=admin, owner=owner, is_supabase=is_supabase, databases=databases)
        base = place.database(BASE, "template1")
        if is_supabase:
            supabase.prepare_database(base)
        else:
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(VISITOR)))
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(STRANGER)))
            connection.execute(sql.SQL("GRANT {} TO postgres").format(sql.Identifier(STRANGER)))
        applied = psql(place.database(MIGRATED, BASE))
        assert applied.returncode == 0, applied.stderr
        return place

    def _server(self, name: str, major: int, *, is_supabase: bool) -> str:
        with psycopg.connect(self._shared) as connection:
            is_shared_version = connection.info.server_version // 10_000 == major
        if is_shared_version and not is_supabase:
            return self._shared
        found = [one for one in binaries.installed() if one.major == major]
        if not found:
            pytest.skip(f"PostgreSQL {major} is not installed")
        server = EmbeddedServer(self._folder / name / ".post_audit", binaries=found)
        handle = server.acquire()
        self._running.append((server, handle))
        hurry(handle.conninfo)
        return handle.conninfo

    def stop(self) -> None:
        """Stop them all at once: each waits for its keeper to see that nobody is left."""
        self._closing.close()
        for _, handle in self._running:
            handle.close()
        with ThreadPoolExecutor() as pool:
            for stopped in [pool.submit(server.destroy) for server, _ in self._running]:
                stopped.result()


@pytest.fixture(scope="session")
def servers(
    tmp_path_factory: pytest.TempPathFactory, memory: Path | None, server: str, databases: Databases
) -> Iterator[Servers]:
    """Servers of other versions and kinds beside the one that all tests share."""
    made = Servers(tmp_path_factory.mktemp("servers"), memory, server, databases)
    yield made
    made.stop()


def _kinds() -> list[object]:
    """Either version and either kind are met by two of the four; the other two are for `make test-all`."""
    slow = pytest.mark.slow
    return ["18", pytest.param("15", marks=slow), pytest.param("18-supabase", marks=slow), "15-supabase"]


@pytest.fixture(scope="session", params=_kinds())
def place(request: pytest.FixtureRequest, servers: Servers) -> Place:
    """Each kind of server in turn."""
    return servers.place(request.param)


@pytest.fixture
def base(place: Place) -> Iterator[str]:
    """A database without the migration, as a new marketplace has it."""
    with place.scratch(BASE) as conninfo:
        yield conninfo


@pytest.fixture
def migrated(place: Place) -> Iterator[str]:
    """A database with the migration."""
    with place.scratch(MIGRATED) as conninfo:
        yield conninfo


@pytest.fixture
def owner(migrated: str) -> Iterator[psycopg.Connection]:
    """A connection to the migrated database, as its owner."""
    with psycopg.connect(migrated, autocommit=True) as connection:
        yield connection


@pytest.fixture
def apply() -> Callable[[str], None]:
    """Apply the migration with psql, quietly and successfully."""

    def once(conninfo: str) -> None:
        done = psql(conninfo)
        assert (done.returncode, done.stderr) == (0, "")

    return once
