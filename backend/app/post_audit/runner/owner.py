"""Who owns a run: a process that others on the same machine can prove to be dead.

A lease alone would make everybody wait for its end after a crash. An owner's name holds the machine's boot id, the
process namespace, the process id and its start time, so that whoever runs in the same namespace knows for certain
whether that very process still runs. Where the system does not tell (no /proc), nobody is declared dead.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Final

__all__ = ["is_dead", "leave", "mine", "readable"]

# host, process, start time, machine, nonce
_PARTS: Final = 5
# Names that this very process has had and does not answer to any more.
_left: Final[set[str]] = set()


def _machine() -> str:
    """Tell this boot of this machine and process namespace from any other; empty where that is not possible."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
    return f"{boot}/{namespace}"


def _started(pid: int) -> str | None:
    """The start time of a process in clock ticks since boot; empty for a zombie, None when it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # After the command's name, which may hold spaces and brackets: state is field 3, start time field 22; a
    # zombie runs no code any more.
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]


def mine() -> str:
    """Name this process as the owner of one run; another run of the same process has another name."""
    pid = os.getpid()
    return "|".join((socket.gethostname(), str(pid), _started(pid) or "", _machine(), secrets.token_hex(4)))


def leave(name: str) -> None:
    """Give up a name of this process: whatever it owned, nobody works on it."""
    _left.add(name)


def is_dead(owner: str) -> bool:
    """Whether the owner certainly works no more: a dead process of this machine, or a name that this one gave up."""
    if owner in _left:
        return True
    parts = owner.split("|")
    if len(parts) != _PARTS or not parts[2] or not parts[3] or parts[3] != _machine():
        return False
    pid = int(parts[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's process, whose entry in /proc may be hidden
    started = _started(pid)
    return started is not None and started != parts[2]


def readable(owner: str) -> str:
    """Name an owner for people: `process 42 on host`."""
    parts = owner.split("|")
    return f"process {parts[1]} on {parts[0]}" if len(parts) > 1 else owner
