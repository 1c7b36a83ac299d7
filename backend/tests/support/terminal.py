"""A reader at a terminal: types what a document says, and sees whether it says what the document shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from app.post_audit.db.binaries import installed
from tests.support.documents import Block, Command, commands, compare, read
from tests.support.product import BACKEND, Product, until

__all__ = ["ROOT", "Terminal", "free_port", "project_in"]

ROOT: Final = BACKEND.parent
_BEYOND_WORDS: Final = re.compile(r"[|<>$;&*`\\]")
"""What needs a shell; all else is forked from a process that has imported the product, which is six times as fast."""
_ASSIGNED: Final = re.compile(r"[A-Z_]+=")
_STAY: Final = {"serve", "schedule", "worker"}
"""Commands of ours that go on until they are stopped."""
_HANG_SECONDS: Final = 120


def free_port() -> int:
    """A port that nobody listens on: another program may have 8000."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def project_in(folder: Path, port: int) -> None:
    """Put into a folder what a reader has after `make install`; the code is this checkout's.

    `post-audit serve` gets a port of its own.
    """
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    python = shlex.quote(sys.executable)
    for name, line in (
        ("python", f'exec {python} "$@"'),
        (
            "post-audit",
            f'if [ "$1" = serve ]; then shift; set -- serve --port {port} "$@"; fi\n'
            f'exec {python} -m app.post_audit "$@"',
        ),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    for name in ("samples", "supabase", "n8n", "requirements"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("Makefile", "pyproject.toml", ".env.example"):
        shutil.copy2(ROOT / name, folder / name)
    # as after an installation: made in this folder, and younger than what was installed
    (folder / ".venv/.created").write_text(f"{folder.resolve()}\n", encoding="utf-8")
    for stamp in (".runtime", ".development"):
        (folder / ".venv" / stamp).touch()


@dataclass
class Terminal:
    """A folder with the project, in which the commands of documents are typed."""

    product: Product
    port: int
    placeholders: Mapping[str, str] = field(default_factory=dict)
    """What stands in documents for a value of the reader's own, and that value."""
    not_run: Mapping[str, str] = field(default_factory=dict)
    """Commands that no test can run, and why."""
    _exported: list[str] = field(default_factory=list)
    _staying: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _typed: set[str] = field(default_factory=set)

    @classmethod
    @contextmanager
    def opened(
        cls,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        placeholders: Mapping[str, str] | None = None,
        not_run: Mapping[str, str] | None = None,
    ) -> Iterator[Terminal]:
        """Give a terminal in a new project; what was left running in it is stopped at the end."""
        port = free_port()
        project_in(folder, port)
        product = Product(folder, {"HOME": str(folder), **(settings or {})}, preloaded=True)
        made = cls(product, port, dict(placeholders or {}), dict(not_run or {}))
        try:
            yield made
        finally:
            made.stop()

    def follow(self, document: str) -> list[str]:
        """Do what a document says, from its first line to its last; what was wrong, each with its place."""
        wrong: list[str] = []
        for block in read(ROOT / document, ROOT):
            if block.language == "dotenv":
                self.sets(block)
            elif block.language == "console":
                for command in commands(block):
                    wrong += self.types(command)
        wrong += [f"{document} has no `{line}`, which is declared" for line in self._unused()]
        return wrong

    def sets(self, block: Block) -> None:
        """Write settings as a document shows them into `.env`."""
        with (self.product.folder / ".env").open("a", encoding="utf-8") as file:
            file.writelines(f"{self.filled(line)}\n" for line in block.lines)

    def types(self, command: Command) -> list[str]:
        """Type one command; what is wrong with what the document says of it."""
        if command.text in self.not_run:
            self._typed.add(command.text)
            return []
        line = self.filled(command.text)
        if _stays(line):
            return self._start(command, line)
        if line.startswith(("export ", "cd ")):
            self._exported.append(line)
            return []
        ended = self.run(line)
        said = ended.stdout + ended.stderr
        may_fail = any(shown.startswith("Error") for shown in command.shown)
        if ended.returncode != 0 and not may_fail:
            return [f"{command.place}: `{line}` ended with {ended.returncode} and said:\n{said}"]
        told = compare(command, said)
        return [] if told is None else [told]

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run one command line, in a shell where it needs one."""
        words = [] if self._exported or _BEYOND_WORDS.search(line) else shlex.split(line)
        settings = dict(word.split("=", 1) for word in words if _ASSIGNED.match(word))
        rest = words[len(settings) :]
        if rest and Path(rest[0]).name == "post-audit":
            given = {**self.product.settings, **settings}
            return replace(self.product, settings=given).run(*rest[1:])
        return subprocess.run(
            ["bash", "-c", "\n".join([*self._exported, line])],
            env=self._environment(),
            cwd=self.product.folder,
            text=True,
            capture_output=True,
            check=False,
            timeout=_HANG_SECONDS,
        )

    def filled(self, line: str) -> str:
        """A line with the reader's own values in place of the placeholders."""
        for shown, value in (*self.placeholders.items(), ("127.0.0.1:8000", f"127.0.0.1:{self.port}")):
            line = line.replace(shown, value)
        return line

    def stop(self) -> None:
        """Stop what was left running, as Ctrl-C does."""
        for process in self._staying:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            process.wait(_HANG_SECONDS)
        self._staying.clear()

    def said(self) -> str:
        """What all that was left running has said so far."""
        found = sorted(self.product.folder.glob("staying-*.txt"))
        return "".join(path.read_text(encoding="utf-8") for path in found)

    def _start(self, command: Command, line: str) -> list[str]:
        output = self.product.folder / f"staying-{len(self._staying)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {line}"],
                env=self._environment(),
                cwd=self.product.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._staying.append(process)
        told: str | None = "nothing yet"

        def shown() -> bool:
            nonlocal told
            told = compare(command, output.read_text(encoding="utf-8"))
            return told is None or process.poll() is not None

        until(shown, f"{command.place}: `{line}` says what the document shows")
        return [] if told is None else [told]

    def _environment(self) -> dict[str, str]:
        made = self.product.environment()
        folders = (str(self.product.folder / ".venv/bin"), str(next(installed()).folder), made["PATH"])
        return made | {"PATH": os.pathsep.join(folders), "MAKEFLAGS": ""}

    def _unused(self) -> list[str]:
        return [line for line in self.not_run if line not in self._typed]


def _stays(line: str) -> bool:
    words = line.split()
    while words and _ASSIGNED.match(words[0]):
        words.pop(0)
    return len(words) > 1 and Path(words[0]).name in {"post-audit", "make"} and words[1] in _STAY
