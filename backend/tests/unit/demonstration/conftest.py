"""One marketplace for all tests of this folder: making it takes half a second."""

from __future__ import annotations

import pytest

from app.post_audit.demonstration.market import Market, generate


@pytest.fixture(scope="session")
def market() -> Market:
    return generate()
