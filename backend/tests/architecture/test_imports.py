"""Commands import only what they need: most of what a short command takes is importing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.post_audit.compose import STEP_NAMES, steps
from tests.architecture.clone import ROOT

LOADED = """
import sys
{code}
print([name for name in {unwanted!r} if name in sys.modules])
"""
HEAVY = ("numpy", "psycopg", "structlog", "httpx2", "absurd_sdk", "fastapi", "nicegui")


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        pytest.param("import app.post_audit.cli", HEAVY, id="help"),
        pytest.param(
            "import app.post_audit.compose, app.post_audit.db.psycopg_database, app.post_audit.engine",
            ("numpy", "httpx2", "fastapi", "nicegui", "ijson"),
            id="status",
        ),
    ],
)
def test_a_short_command_imports_nothing_heavy(code: str, unwanted: tuple[str, ...]) -> None:
    said = subprocess.run(
        [sys.executable, "-c", LOADED.format(code=code, unwanted=unwanted)],
        env={"PYTHONPATH": str(ROOT / "backend"), "PATH": ""},
        text=True,
        capture_output=True,
        check=True,
    )
    assert said.stdout == "[]\n"


def test_the_names_of_the_steps_stand_in_their_order() -> None:
    assert tuple(step.name for step in steps()) == STEP_NAMES
