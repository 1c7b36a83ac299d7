"""Reports written by hand, and facts made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.post_audit.steps.enhancements.parsing import ParsedAudit, parse_files

Read = Callable[..., ParsedAudit]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a report: text, bytes, or what is written as JSON."""

    def read_it(content: Any, name: str = "report.json") -> ParsedAudit:  # noqa: ANN401 - anything JSON can hold
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return parse_files([path])[0]

    return read_it


@pytest.fixture
def audit(read: Read) -> ParsedAudit:
    """Four findings, two of them the same, and an entry that cannot be read."""
    titles = ["One", "Two", "Two", "Three"]
    return read(
        {"findings": [*({"title": title, "severity": "high"} for title in titles), {"severity": "low"}]}
    )
