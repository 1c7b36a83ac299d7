"""The embedded server does what its users need, whoever runs it and wherever the project lies."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from app.post_audit.db.binaries import Binaries, from_system
from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.errors import ConfigurationError, DatabaseUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.database.embedded.conftest import Place

pytestmark = pytest.mark.database


def test_the_first_start_makes_everything_and_the_second_finds_it(
    any_place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    first = any_place.hold()
    assert first.hello["seconds"] < 15
    first.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    port = first.hello["row"][1]
    first.end()
    assert eventually(5, any_place.nothing_left)
    second = any_place.hold()
    assert second.sql("SELECT answer FROM kept") == [42]
    assert second.hello["seconds"] < 3
    assert second.hello["row"][1] == port


def test_users_who_come_at_once_share_one_server(place: Place) -> None:
    holders = [place.hold() for _ in range(4)]
    assert len({tuple(holder.hello["row"]) for holder in holders}) == 1
    assert len(place.keepers()) == 1


def test_a_user_who_ends_leaves_the_server_to_the_others(used_place: Place) -> None:
    first, second = used_place.hold(), used_place.hold()
    assert first.hello["row"] == second.hello["row"]
    first.end()
    started = second.hello["row"][0]
    assert second.sql("SELECT pg_postmaster_start_time()::text") == [started]
    assert used_place.hold().hello["row"] == second.hello["row"]


def test_the_last_user_in_this_process_leaves_neither_server_nor_child(
    used_place: Place,
    eventually: Callable[[float, Callable[[], bool]], bool],
    children: Callable[[], set[int]],
) -> None:
    before = children()
    handle = EmbeddedServer(used_place.state).acquire()
    other = EmbeddedServer(used_place.state).acquire()
    other.close()
    with psycopg.connect(handle.conninfo) as connection:
        assert connection.info.dbname == "bell24h"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        handle.close()
        handle.close()
        # The child was born while the lock was held and must not hold it.
        assert eventually(5, used_place.nothing_left)
        child.kill()
    assert children() == before


def test_the_server_is_set_up_for_text_of_every_script_and_for_safety(used_place: Place) -> None:
    holder = used_place.hold()
    settings = holder.sql(
        "SELECT json_object_agg(name, setting) FROM pg_settings WHERE name IN ('fsync', 'data_checksums', "
        "'TimeZone', 'listen_addresses', 'unix_socket_directories', 'idle_in_transaction_session_timeout')"
    )[0]
    assert settings == {
        "fsync": "on",
        "data_checksums": "on",
        "TimeZone": "UTC",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "idle_in_transaction_session_timeout": "60000",
    }
    assert holder.sql("SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'bell24h'") == [
        "UTF8"
    ]
    assert holder.sql("SELECT upper('é'), 'ł' ~ '\\w'") == ["É", True]
    holder.sql("CREATE EXTENSION pg_trgm")
    assert holder.sql("SELECT similarity('दिल्ली', 'दिल्ली')") == [1]


def test_the_password_is_the_owners_alone_and_shows_nowhere(any_used_place: Place) -> None:
    holder = any_used_place.hold()
    path = any_used_place.state / "password"
    assert holder.hello["describe"] == f"bell24h on 127.0.0.1:{holder.hello['row'][1]} (embedded)"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(any_used_place.state.stat().st_mode) == 0o700
    password = path.read_text().strip()
    assert len(password) >= 40
    assert password not in holder.hello["repr"]
    data = Path(any_used_place.identity()["data_directory"])
    for kept in (any_used_place.state, data.parent):
        for log in [
            *kept.glob("*.log"),
            *kept.glob("*.json"),
            data / "postgresql.conf",
            data / "pg_hba.conf",
        ]:
            assert password not in log.read_text()
    for pid in (*any_used_place.server(), *any_used_place.keepers()):
        for what in ("cmdline", "environ"):
            assert password.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
    assert "scram-sha-256" in (data / "pg_hba.conf").read_text()
    assert "trust" not in [
        line.split()[-1] for line in (data / "pg_hba.conf").read_text().splitlines() if line
    ]


def test_a_wrong_password_is_refused(used_place: Place) -> None:
    port = used_place.hold().hello["row"][1]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=port, user="postgres", password="guess", dbname="bell24h")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that only root can enter")
def test_a_project_that_only_root_can_enter_works(used_place: Place) -> None:
    used_place.state.parent.chmod(0o700)
    assert used_place.hold().sql("SELECT 1") == [1]
    data = Path(used_place.identity()["data_directory"])
    assert data.is_relative_to("/var/lib/post-audit")
    assert data.stat().st_uid != 0
    assert data.parent.stat().st_uid == 0
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in used_place.server()}
    assert owners == {data.stat().st_uid}
    assert (data.parent / "belongs-to").read_text().strip() == str(used_place.state)


def test_an_ordinary_user_and_root_can_work_on_the_same_data(
    used_ordinary_place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    holder = used_ordinary_place.hold()
    holder.sql("CREATE TABLE of_both AS SELECT 1 AS value")
    holder.end()
    assert eventually(5, used_ordinary_place.nothing_left)
    with (
        EmbeddedServer(used_ordinary_place.state).acquire() as handle,
        psycopg.connect(handle.conninfo) as connection,
    ):
        assert connection.execute("SELECT value FROM of_both").fetchone() == (1,)
    assert eventually(5, used_ordinary_place.nothing_left)
    assert used_ordinary_place.hold().sql("SELECT value FROM of_both") == [1]


def test_a_moved_project_keeps_its_data_and_a_copy_gets_a_server_of_its_own(
    place: Place, tmp_path: Path, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    holder = place.hold()
    holder.sql("CREATE TABLE ours AS SELECT 1 AS value")
    copied = tmp_path / "copy" / ".post_audit"
    shutil.copytree(place.state, copied)
    with EmbeddedServer(copied).acquire() as handle:
        assert handle.describe() != holder.hello["describe"]
    EmbeddedServer(copied).destroy()
    assert holder.sql("SELECT value FROM ours") == [1]
    holder.end()
    assert eventually(5, place.nothing_left)
    place.state = place.state.rename(tmp_path / "moved")
    assert place.hold().sql("SELECT value FROM ours") == [1]


def test_a_port_that_another_program_took_is_left_to_it(
    used_place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    holder = used_place.hold()
    port = holder.hello["row"][1]
    holder.end()
    assert eventually(5, used_place.nothing_left)
    with socket.create_server(("127.0.0.1", port)):
        assert used_place.hold().hello["row"][1] != port


def test_data_of_another_major_version_are_refused_with_a_cure(
    used_place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    used_place.hold().end()
    assert eventually(5, used_place.nothing_left)
    version = Path(used_place.identity()["data_directory"]) / "PG_VERSION"
    was = version.read_text()
    version.write_text("9\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 9; here is only") as caught:
        EmbeddedServer(used_place.state).acquire()
    assert "Install PostgreSQL 9" in caught.value.cure
    version.write_text(was)


def test_a_postgresql_of_the_system_serves_where_the_wheel_is_missing(place: Place) -> None:
    found = list(from_system())
    if not found:
        pytest.skip("the system has no PostgreSQL")
    with (
        EmbeddedServer(place.state, binaries=found).acquire() as handle,
        psycopg.connect(handle.conninfo) as connection,
    ):
        assert connection.info.server_version // 10000 == found[0].major


def test_no_postgresql_at_all_is_said(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="No PostgreSQL that runs on") as caught:
        EmbeddedServer(place.state, binaries=[]).acquire()
    assert "DATABASE_URL" in caught.value.cure


def test_programs_that_cannot_make_a_database_say_why(place: Place, tmp_path: Path) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text(
            "#!/bin/sh\necho 'could not write: No space left on device' >&2\nexit 1\n"
        )
        (tmp_path / name).chmod(0o755)
    tmp_path.chmod(0o755)
    broken = Binaries(folder=tmp_path, version="18.6")
    with pytest.raises((ConfigurationError, DatabaseUnreachable)) as caught:
        EmbeddedServer(place.state, binaries=[broken]).acquire()
    assert caught.value.cure


def test_a_missing_password_and_a_damaged_note_are_said(
    used_place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    used_place.hold().end()
    assert eventually(5, used_place.nothing_left)
    note = (used_place.state / "server.json").read_text()
    (used_place.state / "server.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"server\.json cannot be read"):
        EmbeddedServer(used_place.state).acquire()
    (used_place.state / "server.json").write_text(note)
    password = (used_place.state / "password").read_text()
    (used_place.state / "password").unlink()
    with pytest.raises(ConfigurationError, match="password is missing"):
        EmbeddedServer(used_place.state).acquire()
    (used_place.state / "password").write_text(password)


def test_a_state_directory_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot use") as caught:
        EmbeddedServer(tmp_path / "file" / ".post_audit").acquire()
    assert caught.value.cure == "Remove the file that stands in the place of the folder."


def test_an_ordinary_user_without_a_writable_folder_is_told(ordinary_place: Place) -> None:
    ordinary_place.state.parent.chmod(0o555)
    hello = ordinary_place.hold().hello
    assert hello["error"] == "ConfigurationError"
    assert "writable" in hello["cure"]


@pytest.mark.slow
def test_data_in_use_are_not_erased(
    place: Place, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    holder = place.hold()
    assert holder.sql("SELECT 1") == [1]
    with pytest.raises(DatabaseUnreachable, match="in use"):
        EmbeddedServer(place.state).destroy()
    assert holder.sql("SELECT 1") == [1]
    holder.end()
    home = Path(place.identity()["data_directory"])
    EmbeddedServer(place.state).destroy()
    assert not home.exists()
    assert not (place.state / "password").exists()
    assert place.hold().sql("SELECT 1") == [1]
    assert eventually(1, lambda: len(place.keepers()) == 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers lie apart from their state directory")
def test_data_of_a_vanished_temporary_folder_go_once_they_have_rested(
    used_place: Place, tmp_path: Path, eventually: Callable[[float, Callable[[], bool]], bool]
) -> None:
    used_place.hold().end()
    assert eventually(5, used_place.nothing_left)
    data = Path(used_place.identity()["data_directory"])
    used_place.state.rename(tmp_path / "moved")

    def somebody_else_starts(name: str) -> None:
        other = EmbeddedServer(tmp_path / name / ".post_audit")
        other.acquire().close()
        other.destroy()

    somebody_else_starts("first")
    assert data.exists()
    os.utime(data, (0, 0))
    somebody_else_starts("second")
    assert not data.exists()
    (tmp_path / "moved").rename(used_place.state)
