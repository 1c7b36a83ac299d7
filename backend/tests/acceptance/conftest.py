"""Installations: one on the test's own migrated database, one on a demonstration of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support import marketplace, prisma
from tests.support.gateway import Gateway
from tests.support.product import Product


@pytest.fixture
def product(tmp_path: Path, reached: dict[str, str]) -> Product:
    """Its steps propose. Commands are forked; `start` starts Python anew."""
    return Product(tmp_path, reached, preloaded=True)


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
def demonstrated(tmp_path: Path, demonstration_reached: dict[str, str]) -> Product:
    """An installation on that database."""
    return Product(tmp_path, demonstration_reached, preloaded=True)


@pytest.fixture
def looking(demonstration: str) -> Iterator[psycopg.Connection]:
    """A plain connection to that database."""
    with psycopg.connect(demonstration, autocommit=True) as opened:
        yield opened
