"""Installations: one on the test's own migrated database, one on a demonstration of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.product import Product


@pytest.fixture
def product(tmp_path: Path, reached: dict[str, str]) -> Product:
    """Its steps propose. Commands are forked; `start` starts Python anew."""
    return Product(tmp_path, reached, preloaded=True)


@pytest.fixture
def demonstrated(tmp_path: Path, demonstration_reached: dict[str, str]) -> Product:
    """An installation on that database."""
    return Product(tmp_path, demonstration_reached, preloaded=True)
