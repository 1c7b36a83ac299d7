"""The tutorial and the how-tos are done as they are written; what they show is what comes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.support.console import Exchange, differing_line, pieces
from tests.support.documents import DOCS, first_installation, installed
from tests.support.terminal import Reader

README: Final = DOCS.parent / "README.md"
pytestmark = pytest.mark.acceptance


@pytest.mark.reference_only(
    "its figures are those of our reference tables; Prisma's keep no amount of a claim"
)
def test_the_first_ten_minutes(tmp_path: Path, demonstration: str) -> None:
    product = first_installation(tmp_path, demonstration)
    # in place of the browser, which backend/tests/browser/test_tutorial.py has
    taken_in = {"my-audit.md": lambda: product.json("import", "my-audit.md")}
    with Reader(product, installed(product), meanwhile=taken_in) as reader:
        wrong = reader.follows(DOCS / "tutorial.md")
    # the first run is shown in the README too
    (first,) = (piece for piece in pieces(README.read_text(encoding="utf-8")) if isinstance(piece, Exchange))
    differing = differing_line(first.shown, reader.outputs[first.command])
    if differing is not None:
        wrong.append(f"README.md:{first.shown_at + differing} is not so")
    assert not wrong, "\n\n".join(wrong)
