"""A unit test that reaches for the network fails, and one that only needs an event loop does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.architecture.clone import ROOT

PLANTED = """
import asyncio
import socket


def test_reaching_out() -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=1)


def test_waiting() -> None:
    asyncio.run(asyncio.wait_for(asyncio.sleep(0), timeout=1))
"""


def test_the_network_is_off_in_unit_tests(tmp_path: Path) -> None:
    shutil.copy(ROOT / "backend/tests/unit/conftest.py", tmp_path / "conftest.py")
    (tmp_path / "test_planted.py").write_text(PLANTED)
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--rootdir={tmp_path}",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed" in ran.stdout, ran.stdout
    assert "SocketBlockedError" in ran.stdout
