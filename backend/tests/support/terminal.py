"""A reader with a terminal, who does what a document says and compares what it shows with what comes.

Commands of the product are forked from a process that has imported it; everything else goes to bash, whose variables
and folder stay from one command to the next. What cannot be done in a test, or stands for something else there, is
declared by the test, with its reason.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.console import Exchange, File, below, differing_line, pieces
from tests.support.product import BACKEND, Forked, Product, until

__all__ = ["Reader", "free_port"]

ROOT: Final = BACKEND.parent
_PROGRAM: Final = "post-audit"
# Commands that go on until they are stopped.
_LASTING: Final = frozenset({"serve", "schedule", "worker"})
_SHELL_ONLY: Final = frozenset("|&;<>$`*?")
_HANG_SECONDS: Final = 120


@dataclass
class Reader:
    """Does what documents say, in the folder of an installation that looks like a checkout after `make install`."""

    product: Product
    stands_for: Mapping[str, str] = field(default_factory=dict)
    """Text of the document, and what stands there in the test: addresses, keys, `make run`."""
    not_done: Mapping[str, str] = field(default_factory=dict)
    """Commands and files, by their beginning, that a test cannot do, and why; each has to occur."""
    types: Mapping[str, str] = field(default_factory=dict)
    """What is typed into a command, by its beginning."""
    meanwhile: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    """What the reader does elsewhere, in a browser, after a command or file; by its beginning."""

    exported: Mapping[str, str] = field(default_factory=dict)
    """Variables of the reader's shell; PATH is searched behind the product's own."""

    def __enter__(self) -> Self:
        path = os.pathsep.join(
            filter(None, (self._path(), self.exported.get("PATH"), os.environ.get("PATH")))
        )
        self._variables = {**self.product.environment(), **self.exported, "PATH": path}
        self._folder = self.product.folder
        self.printed = ""
        self.outputs: dict[str, str] = {}
        self._lasting: list[Forked] = []
        self._left_out: set[str] = set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for forked in self._lasting:
            _stop(forked)

    def exports(self, name: str, value: str) -> None:
        """Set a variable of the reader's shell."""
        self._variables[name] = value

    def follows(self, document: Path, *, headings: tuple[str, ...] = ()) -> list[str]:
        """Do all that a document says, or what stands below headings that begin so; where it is not true, by line."""
        name = document.relative_to(ROOT)
        text = document.read_text(encoding="utf-8")
        wrong: list[str] = []
        for piece in pieces(below(text, headings) if headings else text):
            told = self.writes(piece) if isinstance(piece, File) else self.does(piece)
            wrong += [f"{name}:{line}: {what}" for line, what in told]
            if not told:
                self._does_elsewhere(piece.name if isinstance(piece, File) else piece.command)
        return wrong + [f"{name}: {never} does not occur" for never in set(self.not_done) - self._left_out]

    def said(self) -> str:
        """What the last command that goes on has printed so far."""
        return _said(self._lasting[-1])

    def writes(self, file: File) -> list[tuple[int, str]]:
        """Write a file that the document shows; nothing can be wrong with that."""
        if not self._is_left_out(file.name):
            (self.product.folder / file.name).write_text(self._filled(file.text), encoding="utf-8")
        return []

    def does(self, exchange: Exchange) -> list[tuple[int, str]]:
        """Run a command; the line and what is not so there."""
        if self._is_left_out(exchange.command):
            return []
        command = self._filled(exchange.command)
        shown = [self._filled(line) for line in exchange.shown]
        lasting = self._forked(command)
        if lasting is not None and lasting.arguments[0] in _LASTING:
            return self._watched(lasting, exchange, shown)
        code, printed = self._run(command, lasting)
        self.printed += printed
        self.outputs[exchange.command] = printed
        # the doctor ends with 1 where it finds something, which depends on the machine; what it says is compared
        is_doctor = lasting is not None and lasting.arguments[0] == "doctor"
        is_refusal = any(line.startswith("Error ") for line in shown)
        if (code != 0) != is_refusal and not (is_doctor and code == 1):
            return [(exchange.line, f"{exchange.command} ended with {code}:\n{printed}")]
        if lasting is not None and lasting.arguments == ("status",) and self._lasting:
            # processes that were just started report themselves in a moment; a person looks again
            with contextlib.suppress(AssertionError):
                until(
                    lambda: differing_line(shown, self._run(command, self._forked(command))[1]) is None,
                    command,
                )
                return []
        return _compared(exchange, shown, printed)

    def _does_elsewhere(self, text: str) -> None:
        for begin, deed in self.meanwhile.items():
            if text.startswith(begin):
                deed()

    def _watched(self, lasting: Forked, exchange: Exchange, shown: list[str]) -> list[tuple[int, str]]:
        """Wait until a command that goes on has printed what is shown; then it goes on, or is stopped."""
        self._lasting.append(lasting)

        def is_as_shown() -> bool:
            return lasting.has_ended or differing_line([*shown, "..."], _said(lasting)) is None

        try:
            until(is_as_shown, exchange.command, seconds=30)
        except AssertionError:
            return _compared(exchange, [*shown, "..."], _said(lasting)) or [(exchange.line, "it hung")]
        # it says where before it answers there
        place = re.search(r"^Serving http://127\.0\.0\.1:(\d+)", _said(lasting), re.MULTILINE)
        if place is not None:
            until(lambda: _listens(int(place[1])), "it is served", seconds=30)
        if not exchange.is_stopped:
            return [(exchange.line, f"it ended: {_said(lasting)}")] if lasting.has_ended else []
        ended = _stop(lasting)
        if ended.returncode not in {0, 130}:
            return [(exchange.line, f"it ended with {ended.returncode}: {ended.stderr}")]
        return _compared(exchange, [*shown, "..."], ended.stdout + ended.stderr)

    def _run(self, command: str, forked: Forked | None) -> tuple[int, str]:
        if forked is not None:
            ended = forked.ended(_HANG_SECONDS)
            return ended.returncode, ended.stdout + ended.stderr
        return self._shell(command)

    def _forked(self, command: str) -> Forked | None:
        """Fork a command of the product; None for what needs a shell."""
        if _SHELL_ONLY.intersection(command.replace("'", "")) or self._typed(command) is not None:
            return None
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        settings = {}
        while words and words[0].partition("=")[1] and words[0].partition("=")[0].isidentifier():
            name, _, value = words.pop(0).partition("=")
            settings[name] = value
        if not words or words[0].removeprefix(".venv/bin/") != _PROGRAM:
            return None
        product = Product(self.product.folder, {**self.product.settings, **settings}, preloaded=True)
        return product.fork(*words[1:])

    def _shell(self, command: str) -> tuple[int, str]:
        left = self.product.folder / ".left"
        ended = subprocess.run(
            ["bash", "-c", f"{command}\ncode=$?\n{{ pwd; env -0; }} > {shlex.quote(str(left))}\nexit $code"],
            env=self._variables,
            cwd=self._folder,
            input=self._typed(command) or "",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=_HANG_SECONDS,
        )
        folder, _, variables = left.read_text(encoding="utf-8").partition("\n")
        self._folder = Path(folder)
        self._variables = dict(pair.split("=", 1) for pair in variables.split("\0") if "=" in pair)
        return ended.returncode, ended.stdout

    def _typed(self, command: str) -> str | None:
        return next((typed for begin, typed in self.types.items() if command.startswith(begin)), None)

    def _is_left_out(self, text: str) -> bool:
        found = [begin for begin in self.not_done if text.startswith(begin)]
        self._left_out.update(found)
        return bool(found)

    def _filled(self, text: str) -> str:
        for example, value in self.stands_for.items():
            text = text.replace(example, value)
        return text

    def _path(self) -> str:
        """Make the folder look like a checkout, with the product's command in `.venv/bin`."""
        programs = self.product.folder / ".venv" / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        python = shlex.quote(sys.executable)
        for name, run in ((_PROGRAM, f"{python} -m app.post_audit"), ("python", python)):
            (programs / name).write_text(f'#!/bin/sh\nexec {run} "$@"\n', encoding="utf-8")
            (programs / name).chmod(0o755)
        for name in ("supabase", "samples", "n8n"):
            link = self.product.folder / name
            if not link.is_symlink():
                link.symlink_to(ROOT / name)
        return str(programs)


def free_port() -> int:
    """Name a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _said(forked: Forked) -> str:
    return "".join(
        path.read_text(encoding="utf-8") for path in (forked.output, forked.errors) if path.exists()
    )


def _stop(forked: Forked) -> subprocess.CompletedProcess[str]:
    """End it as Ctrl-C does."""
    if forked.process.pid is not None and not forked.has_ended:
        os.kill(forked.process.pid, signal.SIGINT)
    return forked.ended(_HANG_SECONDS)


def _compared(exchange: Exchange, shown: list[str], printed: str) -> list[tuple[int, str]]:
    differing = differing_line(shown, printed)
    if differing is None:
        return []
    what = exchange.shown[differing] if differing < len(exchange.shown) else "(the end)"
    return [(exchange.shown_at + differing, f"{exchange.command} shows {what!r}; it printed:\n{printed}")]
