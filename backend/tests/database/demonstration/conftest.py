"""The marketplace, made once, and ways to look at a whole database."""

from __future__ import annotations

import psycopg
import pytest

from app.post_audit.demonstration.market import Market, generate
from tests.support.content import Content


@pytest.fixture(scope="session")
def market() -> Market:
    return generate()


@pytest.fixture
def content(connection: psycopg.Connection) -> Content:
    return Content(connection)
