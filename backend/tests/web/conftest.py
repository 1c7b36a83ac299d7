"""The API over a test's own database, in the process of the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.post_audit.ports import Database
from app.post_audit.web.server import create_app
from tests.support.web import HERE, THIS_MACHINE, signed_token


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    """A program on the same machine with an approver's token: what a route does, whoever may ask it."""
    with TestClient(
        create_app(database), base_url=HERE, client=THIS_MACHINE, raise_server_exceptions=False
    ) as opened:
        opened.headers["Authorization"] = f"Bearer {signed_token(database, 'tester', 'approver')}"
        yield opened
