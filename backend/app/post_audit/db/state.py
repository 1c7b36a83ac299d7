"""The files and locks by which the embedded server, its keeper and its users find one another.

Locks of the kernel (flock) tell who lives, never a pid file: the kernel gives them back when a process ends,
also after kill -9. Closing a lock gives it back. The lock files are empty and are never removed, since a
process that waits may hold one open.

Only the standard library is imported here and in `keeper`, so that a keeper stays small.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import time
from pathlib import Path
from typing import IO, Final

__all__ = [
    "KEEPER_LOCK",
    "SERVER_LOCK",
    "START_LOCK",
    "USERS_LOCK",
    "BoundedLog",
    "give_to_owner",
    "open_lock",
    "take",
    "take_within",
    "write_state",
]

USERS_LOCK: Final = "users.lock"
START_LOCK: Final = "start.lock"
KEEPER_LOCK: Final = "keeper.lock"
SERVER_LOCK: Final = "server.lock"

_LOG_LIMIT: Final = 1_000_000  # bytes of a log; one former log of the same size is kept beside it


def open_lock(path: Path) -> io.FileIO:
    """Open a lock file, creating it empty; the descriptor is not inherited."""
    lock = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    try:
        give_to_owner(lock.fileno(), path.parent)
    except BaseException:
        lock.close()
        raise
    return lock


def take(lock: io.FileIO, *, exclusive: bool) -> bool:
    """Take the lock if it is free; say whether it was."""
    try:
        fcntl.flock(lock, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take_within(lock: io.FileIO, *, exclusive: bool, seconds: float) -> bool:
    """Take the lock once it is free; False when it was not within so many seconds.

    Asked again after 5 ms, and then less often, at least every 0.1 s: flock itself waits without an end, and only an
    alarm, which a thread cannot set, would break it off.
    """
    begin, pause = time.monotonic(), 0.005
    while not take(lock, exclusive=exclusive):
        if time.monotonic() - begin > seconds:
            return False
        time.sleep(pause)
        pause = min(pause * 1.3, 0.1)
    return True


def give_to_owner(file: int, folder: Path) -> None:
    """Give a file that root made to the owner of its folder, so that the owner can work with it as well."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)


def write_state(path: Path, state: dict[str, object]) -> None:
    """Replace a JSON file as a whole: a reader sees the former or the new one."""
    unfinished = path.with_suffix(".new")
    with unfinished.open("w", encoding="utf-8") as file:
        give_to_owner(file.fileno(), path.parent)
        json.dump(state, file, indent=2)
    unfinished.replace(path)


class BoundedLog:
    """A log file of at most 1 MB, and the one before it. A full disk loses lines and stops nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()

    def _open(self) -> IO[bytes]:
        file = self._path.open("ab")
        give_to_owner(file.fileno(), self._path.parent)
        return file

    def write(self, line: bytes) -> None:
        """Append one line, at once."""
        with contextlib.suppress(OSError):
            if self._file.tell() > _LOG_LIMIT:
                self._file.close()
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                self._file = self._open()
            self._file.write(line)
            self._file.flush()
