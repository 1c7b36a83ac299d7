"""The wheel holds what an installation needs and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.architecture.clone import ROOT

MIGRATION = ROOT / "supabase/migrations/20251109_post_audit_protocol.sql"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a packager builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_code_and_the_migration_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.read("app/post_audit/db/migration.sql") == MIGRATION.read_bytes()
    code = {
        str(path.relative_to(ROOT / "backend"))
        for path in (ROOT / "backend/app").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    others = {name for name in names - code if ".dist-info/" not in name}
    assert code <= names
    assert others == {"app/post_audit/db/migration.sql"}


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        assert "post-audit = app.post_audit.cli:main" in archive.read(entry_points).decode()
