"""The product as its user runs it: in a process of its own, with settings from the environment alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BACKEND = Path(__file__).resolve().parents[2]
# Settings of whoever runs the tests must not reach the product.
_OURS = ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "N8N_", "TELEGRAM_", "POST_AUDIT_")


@dataclass(frozen=True)
class Product:
    """One installation: a folder for its state and its log."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.folder / "post_audit_protocol.log"

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return {
            **inherited,
            "PYTHONPATH": str(BACKEND),
            "POST_AUDIT_DATA_DIRECTORY": str(self.folder / ".post_audit"),
            "POST_AUDIT_LOG_FILE": str(self.log),
            "POST_AUDIT_INBOX": str(self.folder / "audit-inbox"),
            **self.settings,
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "app.post_audit", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            cwd=self.folder,
            text=True,
            capture_output=True,
            check=False,
            timeout=timeout,
        )

    def json(self, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - a document
        """What a command prints with `--json`; nothing else may stand on standard output."""
        ended = self.run(*arguments, "--json")
        assert ended.returncode == code, (ended.returncode, ended.stdout, ended.stderr)
        return json.loads(ended.stdout)

    def events(self) -> list[dict[str, Any]]:
        """The log, a mapping for each line."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
