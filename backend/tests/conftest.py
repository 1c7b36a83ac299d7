"""Fixtures for every folder: one embedded server a session, one freshly migrated database a test.

A test is run directly; and over Supabase's REST interface too when it is marked `both_transports`, or, with
`--all-transports`, when nothing about it is direct (`direct_only`). It is run on our reference tables; and on a
marketplace in Prisma's shape too when it is marked `both_bindings`, or, with `--all-bindings`, when nothing about it is
of our tables (`reference_only`). Both exemptions say why.
"""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg.conninfo import make_conninfo

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migrate
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.db.rest_database import RestDatabase
from tests.support import marketplace, prisma, supabase
from tests.support.databases import Databases, hurry, in_memory
from tests.support.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.post_audit.ports import Database

TEMPLATE = "post_audit_template"
PRISMA_TEMPLATE = "post_audit_prisma"

# No limit of time for examples: on a busy machine it would be the machine that fails. `make test-all` is thorough.
_UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("usual", _UNHURRIED, max_examples=25)
settings.register_profile("thorough", _UNHURRIED, max_examples=300)
settings.load_profile("usual")


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Let one test configure logging; what was there before comes back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    sys.excepthook, threading.excepthook = hooks
    for handler in list(root.handlers):
        root.removeHandler(handler)
        if handler not in handlers:
            handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def memory() -> Iterator[Path | None]:
    """A folder in memory for what servers of tests hold; it outlives them."""
    with in_memory() as folder:
        yield folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-transports", action="store_true", help="run every test over REST too that can be")
    parser.addoption(
        "--all-bindings", action="store_true", help="run every test in Prisma's shape too that can be"
    )
    parser.addoption(
        "--n8n", action="store_true", help="install a real n8n where there is none, and run what needs it"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    _both(metafunc, "transport", ("direct", "rest"), exempt="direct_only")
    _both(metafunc, "binding", ("reference", "prisma"), exempt="reference_only")


def _both(metafunc: pytest.Metafunc, fixture: str, kinds: tuple[str, str], *, exempt: str) -> None:
    """Run a test as the second kind too, where it is marked or wanted so and has no reason against it."""
    if fixture not in metafunc.fixturenames:
        return
    marks = {mark.name: mark for mark in metafunc.definition.iter_markers()}
    if exempt in marks:
        assert marks[exempt].args, f"{metafunc.definition.nodeid}: {exempt} needs its reason"
    elif f"both_{fixture}s" in marks or metafunc.config.getoption(f"--all-{fixture}s"):
        metafunc.parametrize(fixture, kinds, indirect=True)


@pytest.fixture
def transport(request: pytest.FixtureRequest) -> str:
    """How the product reaches its database: `direct` or `rest`."""
    return str(getattr(request, "param", "direct"))


@pytest.fixture
def binding(request: pytest.FixtureRequest) -> str:
    """Whose tables suppliers, claims and earnings are in: `reference` (ours) or `prisma`."""
    return str(getattr(request, "param", "reference"))


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


@pytest.fixture(scope="session")
def supabase_server(tmp_path_factory: pytest.TempPathFactory, memory: Path | None) -> Iterator[str]:  # noqa: ARG001
    """The conninfo of a server with Supabase's roles, as the `postgres` that is no superuser there."""
    embedded = EmbeddedServer(tmp_path_factory.mktemp("supabase") / ".post_audit")
    with embedded.acquire() as handle:
        hurry(handle.conninfo)
        supabase.prepare_server(handle.conninfo)
        yield handle.conninfo
    embedded.destroy()


@pytest.fixture(scope="session")
def supabase_databases(supabase_server: str, memory: Path | None) -> Iterator[Databases]:
    """What makes and drops databases on that server."""
    with Databases(make_conninfo(supabase_server, user="supabase_admin"), memory) as made:
        yield made


@pytest.fixture(scope="session")
def supabase_template(supabase_server: str, supabase_databases: Databases) -> str:
    """The name of a migrated database of a Supabase project."""
    supabase_databases.create(TEMPLATE, owner="postgres")
    conninfo = make_conninfo(supabase_server, dbname=TEMPLATE)
    supabase.prepare_database(conninfo)
    migrate(conninfo)
    return TEMPLATE


@pytest.fixture
def supabase_conninfo(
    supabase_server: str, supabase_databases: Databases, supabase_template: str, binding: str
) -> Iterator[str]:
    """A freshly migrated database of a Supabase project, as its owner."""
    template = supabase_template
    if binding == "prisma":
        template = prisma.reshaped_template(supabase_server, template, PRISMA_TEMPLATE)
    with supabase_databases.scratch(template, owner="postgres") as made:
        yield make_conninfo(made, user="postgres")


@pytest.fixture
def gateway(supabase_conninfo: str) -> Iterator[Gateway]:
    """That project's REST interface."""
    with Gateway(supabase_conninfo) as opened:
        yield opened


@pytest.fixture
def conninfo(request: pytest.FixtureRequest, transport: str, binding: str) -> Iterator[str]:
    """A freshly migrated database: live, every step proposing."""
    if transport == "rest":
        yield request.getfixturevalue("supabase_conninfo")
        return
    server, databases, template = (
        request.getfixturevalue(name) for name in ("server", "databases", "template")
    )
    if binding == "prisma":
        template = prisma.reshaped_template(server, template, PRISMA_TEMPLATE)
    with databases.scratch(template) as made:
        yield made


@pytest.fixture
def reached(request: pytest.FixtureRequest, transport: str, conninfo: str) -> dict[str, str]:
    """The settings that lead the product to the test's database."""
    if transport == "rest":
        gateway: Gateway = request.getfixturevalue("gateway")
        return gateway.settings()
    return {"DATABASE_URL": conninfo}


@pytest.fixture
def empty_conninfo(databases: Databases) -> Iterator[str]:
    """A database without the migration."""
    with databases.scratch() as made:
        yield made


@pytest.fixture
def database(reached: dict[str, str]) -> Iterator[Database]:
    """The port to the test's database."""
    opened: Database = (
        PsycopgDatabase(reached["DATABASE_URL"])
        if "DATABASE_URL" in reached
        else RestDatabase(reached["SUPABASE_URL"], reached["SUPABASE_SERVICE_ROLE_KEY"])
    )
    yield opened
    opened.close()


@pytest.fixture
def connection(conninfo: str) -> Iterator[psycopg.Connection]:
    """A plain connection to the test's database, for arranging and looking."""
    with psycopg.connect(conninfo, autocommit=True) as opened:
        yield opened


@pytest.fixture
def demonstration(request: pytest.FixtureRequest, transport: str, binding: str) -> Iterator[str]:
    """The conninfo of a database of one's own with the demonstration in it and every step armed."""
    prefix = "supabase_" if transport == "rest" else ""
    names = (f"{prefix}{name}" for name in ("server", "template", "databases"))
    server, template, databases = (request.getfixturevalue(name) for name in names)
    template = marketplace.demonstration_template(server, template)
    if binding == "prisma":
        template = prisma.reshaped_template(server, template, f"{template}_prisma")
    # only a superuser may end the sessions of the gateway, so the copy is dropped by one
    with databases.scratch(template, owner="postgres") as made:
        yield make_conninfo(made, user="postgres")


@pytest.fixture
def demonstration_reached(transport: str, demonstration: str) -> Iterator[dict[str, str]]:
    """The settings that lead the product there."""
    if transport == "rest":
        with Gateway(demonstration) as gateway:
            yield gateway.settings()
    else:
        yield {"DATABASE_URL": demonstration}


@pytest.fixture
def looking(demonstration: str) -> Iterator[psycopg.Connection]:
    """A plain connection to that database."""
    with psycopg.connect(demonstration, autocommit=True) as opened:
        yield opened
