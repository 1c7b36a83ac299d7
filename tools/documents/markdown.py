"""What the documents are written with: their head, tables and cells of tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["HEAD", "anchor", "cell", "listed", "table"]

HEAD: Final = (
    "<!-- Made by tools/reference.py from {source}. Change that, then run: make docs -->\n\n# {title}\n\n"
)


def cell(text: str) -> str:
    """Make text fit for a cell of a table: one line, and no sign that ends the cell or opens a tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Write a table: its head, and as many cells in each row."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading without marks."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def listed(words: Sequence[str]) -> str:
    """Write words one after the other: `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
