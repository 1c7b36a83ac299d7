"""An installation that uses the test's own migrated database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.product import Product


@pytest.fixture
def product(tmp_path: Path, conninfo: str) -> Product:
    return Product(tmp_path, {"DATABASE_URL": conninfo})
