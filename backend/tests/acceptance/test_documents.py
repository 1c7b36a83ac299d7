"""The tutorial and the how-tos are done as they are written; what they show is what comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.documents import DOCS, first_installation, installed
from tests.support.terminal import Reader

pytestmark = pytest.mark.acceptance


def test_the_first_ten_minutes(tmp_path: Path, demonstration: str) -> None:
    product = first_installation(tmp_path, demonstration)
    # in place of the browser, which backend/tests/browser/test_tutorial.py has
    taken_in = {"my-audit.md": lambda: product.json("import", "my-audit.md")}
    with Reader(product, installed(product), meanwhile=taken_in) as reader:
        wrong = reader.follows(DOCS / "tutorial.md")
    assert not wrong, "\n\n".join(wrong)
