"""The process between the embedded PostgreSQL and its users: parent of the one, follower of the others.

    users: shared lock on users.lock        keeper: exclusive lock on keeper.lock while it lives
      │ the last one ends, however it ends    │ parent; its death sends SIGINT (Linux)
      └───> keeper gets users.lock ──SIGINT──> postgres: server.lock, inherited by every process of it

`server.lock` is free only when the postmaster and all its backends are gone, so a new server never meets the
shared memory of a former one. Run by the launcher as `python -P -m app.post_audit.db.keeper`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.post_audit.db.state import (
    KEEPER_LOCK,
    SERVER_LOCK,
    USERS_LOCK,
    BoundedLog,
    open_lock,
    take,
    write_state,
)

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

__all__ = ["ANOTHER_KEEPER", "Keeper", "main"]

ANOTHER_KEEPER: Final = 3  # exit code: a keeper lives already; not an error
_PORTS_TRIED: Final = 5  # another program would have to take five freshly probed ports in a row
_PATIENCE: Final = 8.0  # s that a former server gets to end by itself; then SIGQUIT, as safe as a crash
_ORPHANS: Final = 1.0  # s that backends get whose postmaster is dead; idle ones end at once, busy ones do not
_SHUTDOWN: Final = 20.0  # s that a fast shutdown (one checkpoint) gets before SIGQUIT; recovery does the rest
_PR_SET_PDEATHSIG: Final = 1  # <sys/prctl.h>


class Keeper:
    """Runs one postgres until its last user has ended, or until it ends by itself."""

    def __init__(
        self, directory: Path, identity: dict[str, object], binary: Path, ids: tuple[int, int]
    ) -> None:
        """Take the state directory, what server.json says, the program, and (user, group) to run it as."""
        self._directory = directory
        self._identity = identity
        self._binary = binary
        self._uid, self._gid = ids
        self._data = Path(str(identity["data_directory"]))
        self._mark = str(identity["cluster_name"])  # in the title of every process of this server
        self._guard = threading.RLock()  # re-entrant: a signal handler may interrupt its holder
        self._child: subprocess.Popen[bytes] | None = None
        self._stop_asked = threading.Event()
        self._ended = threading.Event()
        self._users = open_lock(directory / USERS_LOCK)

    def run(self) -> int:
        """Wait until nothing of a former server is left, start postgres, stay until it ends."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop("the keeper was asked to end"))
        threading.Thread(target=self._follow_users, name="users", daemon=True).start()
        log = BoundedLog(self._directory / "server.log")
        with open_lock(self._data.parent / SERVER_LOCK) as server_lock:
            if not self._outlive_former_server(server_lock):
                return 0
            self._remove_stale_pid_file()
            known = self._identity["port"]
            port = known if isinstance(known, int) else 0
            for _ in range(_PORTS_TRIED):
                port = _free_port(port)
                write_state(self._directory / "server.json", {**self._identity, "port": port})
                if not self._serve(port, server_lock, log):
                    break
                port = 0
        self._ended.set()
        return 0 if self._stop_asked.is_set() else 1

    def stop(self, why: str) -> None:
        """Ask postgres for a fast shutdown: open transactions are rolled back, then one checkpoint."""
        with self._guard:
            self._stop_asked.set()
            if self._child is not None and self._child.poll() is None:
                _say(f"stopping: {why}")
                self._child.send_signal(signal.SIGINT)

    def _follow_users(self) -> None:
        fcntl.flock(self._users, fcntl.LOCK_EX)  # held to the end of this process: new users wait for it
        self.stop("the last user has ended")
        if not self._ended.wait(_SHUTDOWN) and self._child is not None:
            _say(f"no end within {_SHUTDOWN:.0f} s, stopping at once")
            self._child.send_signal(signal.SIGQUIT)

    def _serve(self, port: int, server_lock: io.FileIO, log: BoundedLog) -> bool:
        """Run postgres to its end; say whether it ended because another program had the port."""
        keeper, root = os.getpid(), os.geteuid() == 0
        prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux alone has it

        def end_with_keeper() -> None:
            # Runs after the change of user, which would clear it. The keeper may have ended just before.
            if prctl is not None:
                prctl(_PR_SET_PDEATHSIG, signal.SIGINT.value, 0, 0, 0)
                if os.getppid() != keeper:
                    os._exit(1)

        with self._guard:
            if self._stop_asked.is_set():
                return False
            child = subprocess.Popen(  # noqa: S603 - the program that the launcher chose
                [str(self._binary), "-D", str(self._data), *_settings(port, self._mark)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                pass_fds=[server_lock.fileno()],
                user=self._uid if root else None,
                group=self._gid if root else None,
                extra_groups=[] if root else None,
                preexec_fn=end_with_keeper,  # noqa: PLW1509 - the one other thread sits in a system call
            )
            self._child = child
        if self._stop_asked.is_set():
            self.stop("asked to end during the start")
        port_was_taken = threading.Event()

        def copy_log() -> None:
            for line in child.stderr or ():
                log.write(line)
                if b"could not bind" in line:
                    port_was_taken.set()

        copier = threading.Thread(target=copy_log, name="log", daemon=True)
        copier.start()
        code = child.wait()
        copier.join(1.0)  # s; orphaned backends may hold the pipe open for longer
        _say(f"postgres ended with code {code}")
        return code != 0 and port_was_taken.is_set()

    def _outlive_former_server(self, server_lock: io.FileIO) -> bool:
        """Take server.lock, pushing a former server that lost its keeper; False when told to end."""
        begin, pause = time.monotonic(), 0.01
        postmaster = f"-D {self._data} "
        while not take(server_lock, exclusive=True):
            if self._stop_asked.is_set():
                return False
            waited = time.monotonic() - begin
            if waited > _PATIENCE or (waited > _ORPHANS and not any(self._former(postmaster))):
                self._signal_former(signal.SIGQUIT, self._mark)
            elif waited > _ORPHANS and sys.platform != "linux":  # on Linux its keeper's end told it so
                self._signal_former(signal.SIGINT, postmaster)
            # the processes of a former server are not our children: only their lock says that they have ended
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
        while any process of the same user has that number, which is common after a restart of a container. The
        file names its data folder too: one that names another came along when a folder in use was copied.
        """
        file = self._data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            number, folder = file.read_text(encoding="utf-8").splitlines()[:2]
            is_ours = Path(folder) == self._data and any(
                pid == int(number) and "postgres" in command for pid, _, command in _commands()
            )
            if not is_ours:
                file.unlink()


def _commands() -> Iterator[tuple[int, int, str]]:
    """Yield (pid, uid, command line) of every process."""
    if not Path("/proc/self/cmdline").exists():
        listing = subprocess.run(
            ["/bin/ps", "-axww", "-o", "pid=,uid=,command="], capture_output=True, check=True
        )
        for line in listing.stdout.decode(errors="replace").splitlines():
            pid, uid, command = line.split(None, 2)
            yield int(pid), int(uid), command
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            text = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            yield int(folder.name), folder.stat().st_uid, text


def _settings(port: int, cluster_name: str) -> list[str]:
    """Give what differs from PostgreSQL's defaults, as arguments: the data folder holds none of it."""
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
    """Give `wanted` if nobody listens there, so that addresses outlive a restart; else any free port."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as postgres does
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def _say(text: str) -> None:
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{now} UTC keeper {os.getpid()}: {text}\n")
        sys.stderr.flush()


def main() -> int:
    """Take keeper.lock, become a child of nobody, keep. The lock is held before the launcher goes on.

    Arguments: the state directory, the program postgres, and the user's and group's number to run it as.
    """
    directory, binary, ids = Path(sys.argv[1]), Path(sys.argv[2]), (int(sys.argv[3]), int(sys.argv[4]))
    os.umask(0o077)
    lock = open_lock(directory / KEEPER_LOCK)
    if not take(lock, exclusive=True):
        return ANOTHER_KEEPER
    identity = json.loads((directory / "server.json").read_text(encoding="utf-8"))
    if os.fork() != 0:
        os._exit(0)  # the launcher has no child left to reap; the copy of `lock` keeps it taken
    try:
        return Keeper(directory, identity, binary, ids).run()
    except OSError as error:
        _say(f"{type(error).__name__}: {error}")
        return 1
    finally:
        lock.close()


if __name__ == "__main__":
    sys.exit(main())
