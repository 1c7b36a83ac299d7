"""Every branch of what decides is met by an example in its own test file.

Examples alone, without the properties: an invented case that meets a branch today may not meet it tomorrow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.architecture.clone import PROTOCOL, ROOT

COVERAGE: Final = [sys.executable, "-m", "coverage"]
BARE: Final = "--rcfile=/dev/null"
"""No exclusions."""

PLUGINS: Final = ("_hypothesis_pytestplugin", "pytest_socket", "pytest_timeout")
"""What unit tests need; to load all that are installed takes longer than the tests."""


def missed(report: dict[str, Any]) -> dict[str, list[str]]:
    """What a report of coverage says is not met, by the step that decides: lines, and branches from line to line."""
    return {
        Path(name).parent.name: [
            *(f"line {line}" for line in file["missing_lines"]),
            *(f"branch {start} to {end}" for start, end in file["missing_branches"]),
        ]
        for name, file in report["files"].items()
    }


def test_every_branch_is_met_by_an_example(tmp_path: Path) -> None:
    # Steps do not import one another, so one process (5 s of a core) tells what six would tell in 18 s.
    tests = sorted((ROOT / "backend/tests/unit/steps").glob("*/test_decide.py"))
    steps = sorted(path.parent.name for path in (ROOT / PROTOCOL / "steps").glob("*/decide.py"))
    data, report = f"--data-file={tmp_path / 'coverage'}", tmp_path / "coverage.json"
    measured = [*COVERAGE, "run", BARE, data, "--branch", f"--include=*/{PROTOCOL}/steps/*/decide.py"]
    plugins = [f"-p{name}" for name in (*PLUGINS, "no:cacheprovider")]
    tested = subprocess.run(
        [*measured, "-m", "pytest", "-q", *plugins, "-m", "not hypothesis", *map(str, tests)],
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    subprocess.run([*COVERAGE, "json", BARE, data, "-q", "-o", str(report)], cwd=ROOT, check=True)
    assert missed(json.loads(report.read_text(encoding="utf-8"))) == {step: [] for step in steps}


def test_what_no_example_meets_is_named() -> None:
    planted = {"missing_lines": [4], "missing_branches": [[2, 4], [9, -7]]}
    assert missed({"files": {"app/steps/planted/decide.py": planted}}) == {
        "planted": ["line 4", "branch 2 to 4", "branch 9 to -7"]
    }
