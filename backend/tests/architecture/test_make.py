"""The commands of the Makefile, as `make help` lists them and as the documents promise them."""

from __future__ import annotations

import re
import subprocess
from typing import Final

import pytest

from tests.architecture.clone import ROOT

PROMISED: Final = [
    "bench",
    "clean",
    "docs",
    "faults",
    "format",
    "help",
    "install",
    "lint",
    "lock",
    "migration",
    "run",
    "serve",
    "test",
    "test-all",
    "test-fast",
    "test-n8n",
]


def _make(*arguments: str) -> str:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("arguments", [[], ["help"]], ids=["make", "make help"])
def test_help_lists_every_command_with_what_it_does(arguments: list[str]) -> None:
    listed = re.findall(r"^  make (\S+) +\S", _make(*arguments), flags=re.MULTILINE)
    assert sorted(listed) == PROMISED


@pytest.mark.parametrize("command", PROMISED)
def test_no_file_can_stand_in_for_a_command(command: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert command in " ".join(phony).split()
