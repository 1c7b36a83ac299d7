"""The product as its user runs it: in a process of its own, with settings from the environment alone."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.post_audit.cli import main

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

__all__ = ["BACKEND", "Forked", "Product", "until"]

BACKEND = Path(__file__).resolve().parents[2]
# Settings of whoever runs the tests must not reach the product.
_OURS = ("DATABASE_URL", "SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "N8N_", "TELEGRAM_", "POST_AUDIT_")
# Longer than anything here takes on a busy machine; only a hang meets it.
_HANG_SECONDS: Final = 120


def until(condition: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Look again and again until something is so; the time is only there to end a hang."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.005)


# What the product itself imports only once a command needs it.
_LATE: Final = (
    "app.post_audit.web.server",
    "app.post_audit.protocol",
    "app.post_audit.demonstration",
    "app.post_audit.doctor",
    "app.post_audit.engine",
    "app.post_audit.db.embedded",
    "app.post_audit.db.migrate",
    "app.post_audit.db.rest_database",
    "app.post_audit.outbox.n8n",
    "app.post_audit.outbox.telegram",
    "app.post_audit.steps.conversions",
    "app.post_audit.steps.enhancements.inbox",
)


@functools.cache
def _context() -> multiprocessing.context.ForkServerContext:
    """Give a process that has imported the product, once; every command is a fork of it.

    Importing takes 1.2 s of a processor, which is most of what a command takes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *_LATE])
    former = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(BACKEND)
    try:
        forkserver.ensure_running()
    finally:
        if former is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = former
    return context


def _command(
    arguments: list[str], environment: dict[str, str], folder: str, output: str, errors: str
) -> None:
    """Run one command line in this process, which is a fork that exists for nothing else."""
    for number, path in ((1, output), (2, errors)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.exit(main(arguments))


@dataclass(frozen=True)
class Forked:
    """A command that is being run in a fork of the process that has imported the product."""

    arguments: tuple[str, ...]
    process: ForkServerProcess
    output: Path
    errors: Path

    @property
    def has_ended(self) -> bool:
        return self.process.exitcode is not None

    def kill(self) -> None:
        """Kill it as `kill -9` does, and wait until it is gone."""
        self.process.kill()
        self.process.join(_HANG_SECONDS)

    def ended(self, timeout: float = _HANG_SECONDS) -> subprocess.CompletedProcess[str]:
        """Wait for its end; what it said."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.arguments, timeout, self._read(self.output))
        return subprocess.CompletedProcess(
            self.arguments, self.process.exitcode, self._read(self.output), self._read(self.errors)
        )

    @staticmethod
    def _read(path: Path) -> str:
        # a process that was killed early has not made them
        return path.read_text(encoding="utf-8") if path.exists() else ""


@dataclass(frozen=True)
class Product:
    """One installation: a folder for its state and its log."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    preloaded: bool = False
    """Whether `run` and `json` fork a process that has imported the product, in place of starting Python anew."""

    @property
    def log(self) -> Path:
        return self.folder / "post_audit_protocol.log"

    @property
    def data_directory(self) -> Path:
        return self.folder / ".post_audit"

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return {
            **inherited,
            "PYTHONPATH": str(BACKEND),
            # as wide as without a terminal, also where the tests have one
            "COLUMNS": "110",
            "POST_AUDIT_DATA_DIRECTORY": str(self.data_directory),
            "POST_AUDIT_LOG_FILE": str(self.log),
            "POST_AUDIT_INBOX": str(self.folder / "audit-inbox"),
            **self.settings,
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "app.post_audit", *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Python anew, as a user's shell does."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def fork(self, *arguments: str) -> Forked:
        """Start a command without the time that importing takes."""
        said = Path(tempfile.mkdtemp(prefix="said-", dir=self.folder))
        process = _context().Process(
            target=_command,
            daemon=True,  # ends with the tests, whatever happens to them
            args=(
                list(arguments),
                self.environment(),
                str(self.folder),
                str(said / "output"),
                str(said / "errors"),
            ),
        )
        process.start()
        return Forked(arguments, process, said / "output", said / "errors")

    def run(self, *arguments: str, timeout: float = _HANG_SECONDS) -> subprocess.CompletedProcess[str]:
        if self.preloaded:
            return self.fork(*arguments).ended(timeout)
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
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
