"""An installation that uses the test's own migrated database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.product import Product


@pytest.fixture
def product(tmp_path: Path, reached: dict[str, str]) -> Product:
    return Product(tmp_path, reached)
