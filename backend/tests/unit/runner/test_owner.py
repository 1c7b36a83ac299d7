from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.post_audit.runner import owner

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def named(pid: int, started: str) -> str:
    """The name of another process on this machine."""
    parts = owner.mine().split("|")
    return "|".join((parts[0], str(pid), started, parts[3], "nonce"))


def test_this_process_lives_and_each_run_has_another_name() -> None:
    assert not owner.is_dead(owner.mine())
    assert owner.mine() != owner.mine()
    assert owner.readable(owner.mine()).startswith(f"process {os.getpid()} on ")


def test_a_process_that_has_ended_is_dead_also_while_nobody_has_taken_note() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        living = named(process.pid, started)
        assert not owner.is_dead(living)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and a zombie
        assert owner.is_dead(living)
    assert owner.is_dead(living)


def test_a_number_that_another_process_has_now_does_not_stand_for_the_former_one() -> None:
    assert owner.is_dead(named(os.getpid(), "1"))


@pytest.mark.parametrize(
    "name",
    ["somebody", "host|1|2", "host|1|2|another machine|nonce", "host|1||machine|nonce"],
    ids=["foreign", "too short", "another machine", "without a start"],
)
def test_nobody_is_declared_dead_who_cannot_be_known(name: str) -> None:
    assert not owner.is_dead(name)
    assert owner.readable(name)
