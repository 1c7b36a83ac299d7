"""Installations: one on the test's own migrated database, one on a demonstration of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support import marketplace
from tests.support.product import Product


@pytest.fixture
def product(tmp_path: Path, conninfo: str) -> Product:
    """Its steps propose. Commands are forked; `start` starts Python anew."""
    return Product(tmp_path, {"DATABASE_URL": conninfo}, preloaded=True)


@pytest.fixture
def demonstration(server: str, template: str) -> Iterator[str]:
    """The conninfo of a database of one's own with the demonstration in it and every step armed."""
    with marketplace.copy_of(server, marketplace.demonstration_template(server, template)) as conninfo:
        yield conninfo


@pytest.fixture
def demonstrated(tmp_path: Path, demonstration: str) -> Product:
    """An installation on that database."""
    return Product(tmp_path, {"DATABASE_URL": demonstration}, preloaded=True)


@pytest.fixture
def looking(demonstration: str) -> Iterator[psycopg.Connection]:
    """A plain connection to that database."""
    with psycopg.connect(demonstration, autocommit=True) as opened:
        yield opened
