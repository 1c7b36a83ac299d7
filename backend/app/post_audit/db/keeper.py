"""The process between the embedded PostgreSQL and its users: parent of the one, follower of the others.

    users ── shared lock on users.lock          keeper ── exclusive lock on keeper.lock while it lives
      │ the last one ends, however it ends        │ parent; its death sends SIGINT (Linux)
      └────────> keeper gets users.lock ──SIGINT──> postgres ── server.lock, inherited by every process of it

Locks of the kernel (flock) tell who lives, never a pid file: the kernel gives them back when a process ends,
also after kill -9. `server.lock` is free only when the postmaster and all its backends are gone, so a new
server never meets the shared memory of a former one.

This file is run as a program, by its path and with `python -I -S`, so that it needs neither the working
directory nor an installed package and starts in some 30 ms. It therefore imports the standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ANOTHER_KEEPER", "KEEPER_LOCK", "SERVER_LOCK", "USERS_LOCK", "open_lock", "take", "give_to_owner", "write_state"]

USERS_LOCK: Final = "users.lock"
KEEPER_LOCK: Final = "keeper.lock"
SERVER_LOCK: Final = "server.lock"

ANOTHER_KEEPER: Final = 3  # exit code: a keeper lives already; not an error
_PORTS_TRIED: Final = 5  # another program would have to take five freshly probed ports in a row
_PATIENCE: Final = 8.0  # s that a former server gets to end by itself; then SIGQUIT, which is as safe as a crash
_ORPHANS: Final = 1.0  # s that backends get whose postmaster is dead; idle ones end at once, busy ones do not
_SHUTDOWN: Final = 20.0  # s that a fast shutdown (one checkpoint) gets before SIGQUIT; recovery repeats the rest
_LOG_LIMIT: Final = 1_000_000  # bytes of server.log; one former log of the same size is kept beside it
_PR_SET_PDEATHSIG: Final = 1  # <sys/prctl.h>


def open_lock(path: Path) -> io.FileIO:
    """Open a lock file, creating it empty; the descriptor is not inherited. Closing gives the lock back."""
    lock = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    give_to_owner(lock.fileno(), path.parent)
    return lock


def give_to_owner(file: int, folder: Path) -> None:
    """Give a file that root made to the owner of its folder, so that the owner can work with it as well."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)


def take(lock: io.FileIO, *, exclusive: bool) -> bool:
    """Take the lock if it is free; say whether it was."""
    try:
        fcntl.flock(lock, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_state(path: Path, state: dict[str, object]) -> None:
    """Replace `server.json` as a whole: a reader sees the former or the new one."""
    unfinished = path.with_suffix(".new")
    with unfinished.open("w", encoding="utf-8") as file:
        give_to_owner(file.fileno(), path.parent)
        json.dump(state, file, indent=2)
    unfinished.replace(path)


def _commands() -> Iterator[tuple[int, int, str]]:
    """Yield (pid, uid, command line) of every process. /proc/*/cmdline is readable also without CAP_SYS_PTRACE."""
    if not Path("/proc/self/cmdline").exists():
        listing = subprocess.run(["/bin/ps", "-axww", "-o", "pid=,uid=,command="], capture_output=True, check=False)
        for line in listing.stdout.decode(errors="replace").splitlines():
            pid, uid, command = line.split(None, 2)
            yield int(pid), int(uid), command
        return
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                text = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield int(folder.name), folder.stat().st_uid, text


class BoundedLog:
    """A log file of at most 1 MB, and the one before it. A full disk loses lines, it never stops the server."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()

    def _open(self) -> IO[bytes]:
        file = self._path.open("ab")
        give_to_owner(file.fileno(), self._path.parent)
        return file

    def write(self, line: bytes) -> None:
        """Append one line."""
        with contextlib.suppress(OSError):
            if self._file.tell() > _LOG_LIMIT:
                self._file.close()
                self._path.replace(self._path.with_suffix(".log.1"))
                self._file = self._open()
            self._file.write(line)
            self._file.flush()


class Keeper:
    """Runs one postgres until its last user has ended, or until it ends by itself."""

    def __init__(self, state_directory: Path, state: dict[str, object], binary: Path, ids: tuple[int, int]) -> None:
        self._directory = state_directory
        self._state = state
        self._binary = binary
        self._uid, self._gid = ids
        self._data = Path(str(state["data_directory"]))
        self._mark = str(state["cluster_name"])  # in the title of every process of this server
        self._guard = threading.RLock()  # re-entrant: a signal handler may interrupt its holder
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._ended = threading.Event()
        self._users = open_lock(state_directory / USERS_LOCK)

    def run(self) -> int:
        """Wait until nothing of a former server is left, start postgres, stay until it ends."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop("the keeper was asked to end"))
        threading.Thread(target=self._follow_users, name="users", daemon=True).start()
        log = BoundedLog(self._directory / "server.log")
        with open_lock(self._data.parent / SERVER_LOCK) as server_lock:
            if not self._outlive_former_server(server_lock):
                return 1
            self._remove_stale_pid_file()
            port = self._state["port"] if isinstance(self._state["port"], int) else 0
            for _ in range(_PORTS_TRIED):
                port = _free_port(port)
                write_state(self._directory / "server.json", {**self._state, "port": port})
                port_was_taken = self._serve(port, server_lock, log)
                if self._stopping or not port_was_taken:
                    break
                port = 0
        self._ended.set()
        return 0 if self._stopping else 1

    def stop(self, why: str) -> None:
        """Ask postgres for a fast shutdown: open transactions are rolled back, then one checkpoint."""
        with self._guard:
            self._stopping = True
            if self._child is not None and self._child.poll() is None:
                _say(f"stopping: {why}")
                self._child.send_signal(signal.SIGINT)

    def _follow_users(self) -> None:
        fcntl.flock(self._users, fcntl.LOCK_EX)  # held from here to the end of the process: new users wait for it
        self.stop("the last user has ended")
        if not self._ended.wait(_SHUTDOWN) and self._child is not None:
            _say(f"no end within {_SHUTDOWN:.0f} s, stopping at once")
            self._child.send_signal(signal.SIGQUIT)

    def _serve(self, port: int, server_lock: io.FileIO, log: BoundedLog) -> bool:
        """Run postgres to its end; say whether it ended because another program had the port."""
        command = [str(self._binary), "-D", str(self._data), *_settings(port, self._mark)]
        drop = {"user": self._uid, "group": self._gid, "extra_groups": []} if os.geteuid() == 0 else {}
        keeper = os.getpid()
        libc = ctypes.CDLL(None) if sys.platform == "linux" else None

        def end_with_keeper() -> None:
            # After the change of user, which would clear it. The keeper may have ended before the call took effect.
            if libc is not None:
                libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT.value, 0, 0, 0)
                if os.getppid() != keeper:
                    os._exit(1)

        with self._guard:
            if self._stopping:
                return False
            self._child = subprocess.Popen(  # type: ignore[call-overload]
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                pass_fds=[server_lock.fileno()],
                preexec_fn=end_with_keeper,  # noqa: PLW1509 - the one other thread sits in a system call
                **drop,
            )
        if self._stopping:  # a signal came in while the child was made
            self.stop("asked to end during the start")
        child = self._child
        taken = threading.Event()

        def copy_log() -> None:
            for line in child.stderr:
                log.write(line)
                if b"could not bind" in line:
                    taken.set()

        copier = threading.Thread(target=copy_log, name="log", daemon=True)
        copier.start()
        code = child.wait()
        copier.join(1.0)  # s; orphaned backends may hold the pipe open for longer
        _say(f"postgres ended with code {code}")
        return code != 0 and taken.is_set()

    def _outlive_former_server(self, server_lock: io.FileIO) -> bool:
        """Take server.lock, pushing a former server that has lost its keeper; False when told to end."""
        begin, pause = time.monotonic(), 0.01
        postmaster = f"-D {self._data} "
        while not take(server_lock, exclusive=True):
            if self._stopping:
                return False
            waited = time.monotonic() - begin
            if pause == 0.01:  # without a keeper it must go; on Linux it is going already
                self._signal_former(signal.SIGINT, postmaster)
            elif waited > _PATIENCE or (waited > _ORPHANS and not any(self._former(postmaster))):
                self._signal_former(signal.SIGQUIT, self._mark)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        return True

    def _former(self, mark: str) -> Iterator[int]:
        owner = self._data.stat().st_uid
        for pid, uid, command in _commands():
            if uid == owner and "postgres" in command and mark in command:
                yield pid

    def _signal_former(self, which: signal.Signals, mark: str) -> None:
        for pid in self._former(mark):
            _say(f"sending {which.name} to {pid} of a former server")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, which)

    def _remove_stale_pid_file(self) -> None:
        """Remove postmaster.pid where its number belongs to a strange process by now.

        We hold server.lock, so no process that a keeper started is left; postgres would still refuse to start
        while any process of the same user has that number, which is common after a restart of a container.
        """
        file = self._data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            number = int(file.read_text(encoding="utf-8").splitlines()[0])
            if not any(pid == number and "postgres" in command for pid, _, command in _commands()):
                file.unlink()


def _settings(port: int, cluster_name: str) -> list[str]:
    """Give what differs from PostgreSQL's defaults, as arguments: the data folder holds no setting of ours."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "cluster_name": cluster_name,
        "max_connections": "60",
        "shared_buffers": "64MB",
        "max_wal_size": "256MB",
        "idle_in_transaction_session_timeout": "60s",
        "TimeZone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
        "log_destination": "stderr",
        "logging_collector": "off",  # the keeper writes the log, within a bound
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _free_port(wanted: int) -> int:
    """Give `wanted` if nobody listens there, so that addresses stay good over restarts; else any free port."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as postgres does
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
            return int(probe.getsockname()[1])
    message = "no free port on 127.0.0.1"
    raise OSError(message)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC keeper {os.getpid()}: {text}\n")
        sys.stderr.flush()


def main() -> int:
    """Take keeper.lock, become a child of nobody, keep. The lock is held before the launcher goes on."""
    parser = argparse.ArgumentParser(description="Keeper of the embedded PostgreSQL; started by its launcher.")
    parser.add_argument("state_directory", type=Path)
    parser.add_argument("binary", type=Path)
    parser.add_argument("uid", type=int)
    parser.add_argument("gid", type=int)
    given = parser.parse_args()
    os.umask(0o077)
    lock = open_lock(given.state_directory / KEEPER_LOCK)
    if not take(lock, exclusive=True):
        return ANOTHER_KEEPER
    state = json.loads((given.state_directory / "server.json").read_text(encoding="utf-8"))
    keeper = Keeper(given.state_directory, state, given.binary, (given.uid, given.gid))
    if os.fork() != 0:
        os._exit(0)  # the launcher has no child left to reap; the copy of `lock` keeps it taken
    code = 1
    try:
        code = keeper.run()
    except OSError as error:
        _say(f"{type(error).__name__}: {error}")
    finally:
        lock.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
