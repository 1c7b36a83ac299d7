"""Copies of the code, and the list of the project's files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.clone import ROOT, Clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A copy for one test."""
    return Clone.make(tmp_path)


@pytest.fixture(scope="session")
def project_files() -> list[Path]:
    """Every file that is committed or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else _without_git()
    return sorted(path for name in names if name and (path := ROOT / name).is_file())


def _without_git() -> Iterator[str]:
    """The same for a folder that is no repository, such as an unpacked release."""
    not_ours = {
        ".git",
        ".venv",
        ".post_audit",
        "logs",
        "dist",
        "__pycache__",
        ".env",
        ".coverage",
        ".hypothesis",
    }
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if not_ours.isdisjoint(parts) and not parts[0].endswith("_cache"):
            yield str(path.relative_to(ROOT))
