"""Places for embedded servers, and users of them in processes of their own that a test may kill."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.post_audit.db.embedded import EmbeddedServer

HOLDER = Path(__file__).with_name("holder.py")
IMPORTABLE = os.pathsep.join([str(Path(__file__).parents[3]), str(Path(psycopg.__file__).parents[1])])


class Holder:
    """One running `holder.py`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._hello: dict[str, Any] | None = None

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the holder ended without an answer"
        read: dict[str, Any] = json.loads(line)
        return read

    @property
    def hello(self) -> dict[str, Any]:
        if self._hello is None:
            self._hello = self._line()
        return self._hello

    def send(self, statement: str) -> None:
        assert self.hello
        assert self.process.stdin is not None
        self.process.stdin.write(statement + "\n")
        self.process.stdin.flush()

    def sql(self, statement: str) -> list[Any]:
        self.send(statement)
        return list(self._line()["row"] or [])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=20)


class Place:
    """One state directory, whose users run as `user` (None: as this process)."""

    def __init__(self, folder: Path, user: str | None, python: str) -> None:
        self.state = folder / ".post_audit"
        self._user = user
        self._python = python
        self._holders: list[Holder] = []

    def hold(self) -> Holder:
        group = pwd.getpwnam(self._user).pw_gid if self._user else None
        process = subprocess.Popen(
            [self._python, str(HOLDER), str(self.state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": os.defpath, "PYTHONPATH": IMPORTABLE, "PYTHONDONTWRITEBYTECODE": "1"},
            user=self._user,
            group=group,
            extra_groups=[] if self._user else None,
        )
        holder = Holder(process)
        self._holders.append(holder)
        return holder

    def identity(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.state / "server.json").read_text(encoding="utf-8"))
        return content

    def server(self) -> list[int]:
        """The processes of postgres, by the name of this server that each carries in its title."""
        return self._having(self.identity()["cluster_name"])

    def postmaster(self) -> int:
        [pid] = self._having(f"-D {self.identity()['data_directory']} ")
        return pid

    def keepers(self) -> list[int]:
        return self._having(f"app.post_audit.db.keeper {self.state} ")

    def nothing_left(self) -> bool:
        return not self.server() and not self.keepers()

    @staticmethod
    def _having(text: str) -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in command:
                found.append(int(folder.name))
        return found

    def tear_down(self) -> None:
        for holder in self._holders:
            if holder.process.poll() is None:
                holder.kill()
            for stream in (holder.process.stdin, holder.process.stdout):
                if stream is not None:
                    stream.close()
        EmbeddedServer(self.state).destroy()


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Look again and again until the condition holds; False when it does not within the time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def python_for(user: str) -> str | None:
    """Find an interpreter of this version that `user` may run, with the packages of this one."""
    usual = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, usual):
        try:
            tried = subprocess.run(
                [python, "-c", "import psycopg"],
                env={"PYTHONPATH": IMPORTABLE},
                capture_output=True,
                check=False,
                cwd="/",
                user=user,
                group=pwd.getpwnam(user).pw_gid,
                extra_groups=[],
            )
        except OSError:
            continue
        if tried.returncode == 0:
            return python
    return None


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place of the user who runs the tests."""
    made = Place(tmp_path, None, sys.executable)
    yield made
    made.tear_down()


@pytest.fixture
def ordinary_place() -> Iterator[Place]:
    """A place of an ordinary user; for tests that root runs."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    python = python_for("nobody")
    if python is None:
        pytest.skip("no interpreter that the user nobody may run")
    folder = Path(tempfile.mkdtemp())
    shutil.chown(folder, "nobody", pwd.getpwnam("nobody").pw_gid)
    made = Place(folder, "nobody", python)
    yield made
    made.tear_down()
    shutil.rmtree(folder)


@pytest.fixture(params=["place", "ordinary_place"])
def any_place(request: pytest.FixtureRequest) -> Place:
    """Each in turn."""
    made: Place = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def eventually() -> Callable[[float, Callable[[], bool]], bool]:
    return within


@pytest.fixture
def kill() -> Callable[[int], None]:
    return lambda pid: os.kill(pid, signal.SIGKILL)
