"""Places for embedded servers, and users of them in processes of their own that a test may kill."""

from __future__ import annotations

import contextlib
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

    def has_open(self, name: str) -> bool:
        """Whether it has a file of this name open."""
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                if link.readlink().name == name:
                    return True
        return False

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

    def home(self) -> Path:
        """Where the data folder is made."""
        return Path(self.identity()["data_directory"]).parent

    def initdb(self) -> list[int]:
        """The initdb that is making the data folder, and those of its children that have its name."""
        return self._having(f"initdb --pgdata={self.home()}/data.new-")

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

    def let_go(self) -> None:
        """End every user that a test left."""
        for holder in self._holders:
            if holder.process.poll() is None:
                holder.kill()
            for stream in (holder.process.stdin, holder.process.stdout):
                if stream is not None:
                    stream.close()
        self._holders.clear()

    def tear_down(self) -> None:
        self.let_go()
        EmbeddedServer(self.state).destroy()

    def lasting(self) -> tuple[str, ...]:
        """What no test of a place that others use after it may change."""
        identity = self.identity()
        files = (self.state / "password", Path(identity["data_directory"]) / "PG_VERSION")
        return (identity["server_id"], *(file.read_text() if file.exists() else "" for file in files))


class UsedPlaces:
    """Places whose data folder is there already; making one is 1 s of two, and not the point of most tests."""

    def __init__(self, make: Callable[[], Place]) -> None:
        self._make = make
        self._free: list[tuple[Place, tuple[str, ...]]] = []

    @contextlib.contextmanager
    def lend(self) -> Iterator[Place]:
        """Give one without server and users; one that was changed or does not come to rest is not given again."""
        if not self._free:
            made = self._make()
            made.hold().end()
            assert within(10, made.nothing_left)
            self._free.append((made, made.lasting()))
        place, lasting = self._free.pop()
        yield place
        place.let_go()
        if within(10, place.nothing_left) and place.lasting() == lasting:
            self._free.append((place, lasting))
        else:
            place.tear_down()

    def close(self) -> None:
        for place, _ in self._free:
            place.tear_down()


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
    """A new place of the user who runs the tests."""
    made = Place(tmp_path, None, sys.executable)
    yield made
    made.tear_down()


@pytest.fixture(scope="session")
def used_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsedPlaces]:
    made = UsedPlaces(lambda: Place(tmp_path_factory.mktemp("used"), None, sys.executable))
    yield made
    made.close()


@pytest.fixture
def used_place(used_places: UsedPlaces) -> Iterator[Place]:
    """A place of the user who runs the tests, where a server was before."""
    with used_places.lend() as lent:
        yield lent


@pytest.fixture(scope="session")
def make_ordinary_place(memory: Path | None) -> Iterator[Callable[[], Place]]:
    """Makes places of an ordinary user; for tests that root runs."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    python = python_for("nobody")
    if python is None:
        pytest.skip("no interpreter that the user nobody may run")
    folders = []

    def make() -> Place:
        folder = Path(tempfile.mkdtemp(dir=memory))
        folders.append(folder)
        shutil.chown(folder, "nobody", pwd.getpwnam("nobody").pw_gid)
        return Place(folder, "nobody", python)

    yield make
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture
def ordinary_place(make_ordinary_place: Callable[[], Place]) -> Iterator[Place]:
    """A new place of an ordinary user."""
    made = make_ordinary_place()
    yield made
    made.tear_down()


@pytest.fixture(scope="session")
def used_ordinary_places(make_ordinary_place: Callable[[], Place]) -> Iterator[UsedPlaces]:
    made = UsedPlaces(make_ordinary_place)
    yield made
    made.close()


@pytest.fixture
def used_ordinary_place(used_ordinary_places: UsedPlaces) -> Iterator[Place]:
    """A place of an ordinary user, where a server was before."""
    with used_ordinary_places.lend() as lent:
        yield lent


# Root's server runs as another user, from a folder of the system; whoever is not root has all in one folder.
@pytest.fixture(params=["place", "ordinary_place"])
def any_place(request: pytest.FixtureRequest) -> Place:
    """Each new place in turn."""
    made: Place = request.getfixturevalue(request.param)
    return made


@pytest.fixture(params=["used_place", "used_ordinary_place"])
def any_used_place(request: pytest.FixtureRequest) -> Place:
    """Each used place in turn."""
    made: Place = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def children() -> Callable[[], set[int]]:
    """The children of this process."""

    def alive() -> set[int]:
        lists = Path("/proc/self/task").glob("*/children")
        return {int(pid) for one in lists for pid in one.read_text().split()}

    return alive


@pytest.fixture
def eventually() -> Callable[[float, Callable[[], bool]], bool]:
    return within


@pytest.fixture
def kill() -> Callable[[int], None]:
    return lambda pid: os.kill(pid, signal.SIGKILL)
