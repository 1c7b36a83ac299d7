"""Whatever is killed, nothing is left behind, nothing committed is lost, and the next user is served."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.database.embedded.conftest import Place

pytestmark = [pytest.mark.database, pytest.mark.faults]


def test_a_killed_user_leaves_no_server_and_no_keeper(
    any_used_place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    holder = any_used_place.hold()
    assert holder.hello["row"]
    assert any_used_place.server()
    assert len(any_used_place.keepers()) == 1
    holder.kill()
    assert eventually(5, any_used_place.nothing_left)


def test_after_a_killed_postmaster_the_next_user_finds_what_was_committed(
    used_place: Place, eventually: Callable[[float, Callable[[], bool]], bool], kill: Callable[[int], None]
) -> None:
    holder = used_place.hold()
    holder.sql("CREATE TABLE after_postmaster AS SELECT generate_series(1, 1000) AS number")
    kill(used_place.postmaster())
    assert eventually(5, lambda: not used_place.keepers())
    # The first user is still there; the second starts the server anew, at the same address.
    next_one = used_place.hold()
    assert next_one.sql("SELECT count(*) FROM after_postmaster") == [1000]
    assert next_one.hello["row"][1] == holder.hello["row"][1]
    assert next_one.hello["row"][0] != holder.hello["row"][0]


def test_a_backend_that_works_on_after_its_postmaster_was_killed_is_ended(
    used_place: Place, eventually: Callable[[float, Callable[[], bool]], bool], kill: Callable[[int], None]
) -> None:
    busy = used_place.hold()
    assert busy.hello["row"]
    busy.send("SELECT count(*) FROM generate_series(1, 1000000000000) AS n WHERE n % 7 = 9")
    watcher = used_place.hold()
    active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    assert eventually(5, lambda: watcher.sql(active) == [1])
    kill(used_place.postmaster())
    orphans = used_place.server()
    next_one = used_place.hold()
    assert next_one.sql("SELECT 1") == [1]
    assert not set(orphans) & set(used_place.server())


def test_a_killed_keeper_takes_the_server_with_it_and_the_next_user_is_served(
    any_used_place: Place,
    eventually: Callable[[float, Callable[[], bool]], bool],
    kill: Callable[[int], None],
) -> None:
    holder = any_used_place.hold()
    holder.sql("CREATE TABLE after_keeper AS SELECT 1 AS value")
    [keeper] = any_used_place.keepers()
    kill(keeper)
    if sys.platform == "linux":
        assert eventually(5, any_used_place.nothing_left)
    assert any_used_place.hold().sql("SELECT value FROM after_keeper") == [1]


def test_after_a_killed_keeper_the_next_user_need_not_wait_for_the_former_server(
    used_place: Place, kill: Callable[[int], None]
) -> None:
    holder = used_place.hold()
    holder.sql("CREATE TABLE at_once_after_keeper AS SELECT 1 AS value")
    [keeper] = used_place.keepers()
    kill(keeper)
    assert used_place.hold().sql("SELECT value FROM at_once_after_keeper") == [1]


def test_all_killed_at_once_is_recovered(
    used_place: Place, kill: Callable[[int], None], eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    holder = used_place.hold()
    holder.sql("CREATE TABLE after_all AS SELECT 1 AS value")
    for pid in (*used_place.keepers(), used_place.postmaster()):
        kill(pid)
    holder.kill()
    assert (Path(used_place.identity()["data_directory"]) / "postmaster.pid").exists()
    next_one = used_place.hold()
    assert next_one.sql("SELECT value FROM after_all") == [1]
    next_one.end()
    assert eventually(5, used_place.nothing_left)


def test_a_stale_pid_file_whose_number_another_program_has_does_not_stop_the_start(
    used_place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    used_place.hold().end()
    assert eventually(5, used_place.nothing_left)
    data = Path(used_place.identity()["data_directory"])
    owner = data.stat()
    with subprocess.Popen(["/bin/sleep", "60"], user=owner.st_uid, group=owner.st_gid) as stranger:
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n1700000000\n5432\n\n127.0.0.1\n")
        assert used_place.hold().sql("SELECT 1") == [1]
        stranger.kill()


def kill_users_at_random(
    place: Place, rounds: int, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    moments = random.Random(24)
    for _ in range(rounds):
        holder = place.hold()
        # From the import of the program over initdb to the first answer; a warm start takes 0.5 s of it.
        eventually(moments.uniform(0.1, 1.3), lambda: False)
        holder.kill()
        if (place.state / "server.json").exists():
            assert eventually(5, place.nothing_left)
    survivor = place.hold()
    assert survivor.sql("SELECT 1") == [1]
    survivor.end()
    assert eventually(5, place.nothing_left)
    assert not list(place.home().glob("data.new-*"))
    assert not list(place.home().glob("password.*"))


def test_a_user_killed_at_some_moments_of_the_start_leaves_nothing_and_spoils_nothing(
    place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    kill_users_at_random(place, 3, eventually)


@pytest.mark.slow
def test_a_user_killed_at_any_moment_of_the_start_leaves_nothing_and_spoils_nothing(
    any_place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    kill_users_at_random(any_place, 12, eventually)


def test_the_initdb_of_a_killed_user_is_waited_for_and_what_it_made_is_removed(
    place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    killed = place.hold()
    assert eventually(10, lambda: (place.state / "server.json").exists() and bool(place.initdb()))
    initdb = min(place.initdb())  # a child that is just being made bears its name for a moment
    os.kill(initdb, signal.SIGSTOP)
    try:
        killed.kill()
        [unfinished] = place.home().glob("data.new-*")
        next_one = place.hold()
        assert eventually(10, lambda: next_one.has_open("initdb.lock"))
        # Half a second without a sign; who does not wait removes the folder within a hundredth.
        assert not eventually(0.5, lambda: list(place.home().glob("data.new-*")) != [unfinished])
    finally:
        os.kill(initdb, signal.SIGCONT)
    assert next_one.sql("SELECT 1") == [1]
    assert place.initdb() == []
    assert not list(place.home().glob("data.new-*"))
    assert not list(place.home().glob("password.*"))
