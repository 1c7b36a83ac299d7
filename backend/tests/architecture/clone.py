"""A copy of the project's code to plant faults in, and the tools run in it as a person runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

__all__ = ["PROTOCOL", "ROOT", "Clone"]

ROOT: Final = Path(__file__).resolve().parents[3]
"""The folder of the project."""

PROTOCOL: Final = "backend/app/post_audit"
"""Where the code of the protocol is, below it."""

_RULES: Final = ("pyproject.toml", ".squawk.toml")


@dataclass(frozen=True, slots=True)
class Clone:
    """A copy of the code and of the rules it is held to."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> Self:
        """Copy into an empty folder."""
        shutil.copytree(
            ROOT / "backend/app", root / "backend/app", ignore=shutil.ignore_patterns("__pycache__")
        )
        for rules in _RULES:
            shutil.copy(ROOT / rules, root / rules)
        return cls(root)

    def plant(self, path: str, text: str) -> None:
        """Append `text` to a file of the protocol; it and its packages may be new."""
        target = self.root / PROTOCOL / path
        package = target.parent
        package.mkdir(parents=True, exist_ok=True)
        while package != self.root / "backend":
            (package / "__init__.py").touch()
            package = package.parent
        with target.open("a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")

    def plant_in_module(self, name: str, text: str) -> None:
        """Append `text` to a module of the protocol, whether that is a file or a package or not there yet."""
        is_package = (self.root / PROTOCOL / name).is_dir()
        self.plant(f"{name}/__init__.py" if is_package else f"{name}.py", text)

    def run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a tool of this Python's environment, with this copy's code as the one that is imported."""
        return subprocess.run(
            [Path(sys.executable).parent / tool, *arguments],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root / "backend"), "COLUMNS": "1000", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
