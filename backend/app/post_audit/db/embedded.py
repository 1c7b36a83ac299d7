"""The database that comes with the product: a PostgreSQL of its own, running while somebody uses it.

    with EmbeddedServer(project / ".post_audit").acquire() as handle:
        psycopg.connect(handle.conninfo)

Any number of processes share the one server of a state directory. It listens on 127.0.0.1 alone, asks for a
password that only the owner of the state directory can read, and is stopped by its keeper (see `keeper.py`)
when the last user has ended, however that user ended. Whether it runs is found out by connecting.

A server that dies while it is in use is not started behind its users' backs: whoever finds the connection
broken calls `acquire` again. The port stays the same where it can, so other users' addresses stay good.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if sys.platform == "win32":
    from app.post_audit.errors import ConfigurationError

    raise ConfigurationError(
        "The embedded database does not run on Windows.", cure="Set DATABASE_URL, or use WSL."
    )

import psycopg
from psycopg.conninfo import make_conninfo

from app.post_audit.db import binaries as programs
from app.post_audit.db import cluster, keeper, state
from app.post_audit.errors import ConfigurationError, DatabaseUnreachable

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator

    from app.post_audit.db.binaries import Binaries
    from app.post_audit.db.cluster import Identity

__all__ = ["DATABASE_NAME", "EmbeddedServer", "ServerHandle"]

DATABASE_NAME: Final = "bell24h"
_START_SECONDS: Final = 30.0  # for one start; measured 0.3 s, a crash recovery replays at most 256 MB of log
_TURN_SECONDS: Final = 60.0  # for our turn to start, or for a server that is just stopping
_LEAVE_SECONDS: Final = 10.0  # for a server to stop before its data are erased
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # the keeper needs no secret of ours
_REQUIRE_AUTH_SINCE: Final = 160000  # libpq that can refuse to send a password in clear text


class ServerHandle:
    """One user's hold on the running server, until `close` or the end of the process."""

    def __init__(self, lock: io.FileIO, conninfo: str, description: str) -> None:
        self._lock = lock
        self._description = description
        self.conninfo: Final = conninfo  # for psycopg; holds the password

    def describe(self) -> str:
        """Say where the database is, without its secrets: `bell24h on 127.0.0.1:5433 (embedded)`."""
        return self._description

    def close(self) -> None:
        """Let go of the server; the last user's going stops it. May be called twice."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ServerHandle({self._description!r})"


class EmbeddedServer:
    """The server of one state directory. `binaries` are what to choose from, by default what is found."""

    def __init__(self, state_directory: Path, *, binaries: Iterable[Binaries] | None = None) -> None:
        self._directory = state_directory.absolute()
        self._binaries = binaries

    @property
    def exists(self) -> bool:
        """Whether it has been made: `acquire` would start it and not make it."""
        return cluster.Identity.read(self._directory) is not None

    def acquire(self) -> ServerHandle:
        """Start the server unless it runs, and hold it. Takes about 1 s the first time, then 0.3 s.

        Raises ConfigurationError or DatabaseUnreachable, with what to do about it.
        """
        with self._named_errors():
            self._make_directory()
            users = self._wait_for(state.USERS_LOCK, exclusive=False, seconds=_TURN_SECONDS)
            try:
                with self._wait_for(state.START_LOCK, exclusive=True, seconds=_TURN_SECONDS):
                    identity = self._ensure_running()
                    conninfo = self._conninfo(identity, DATABASE_NAME)
            except BaseException:
                users.close()
                raise
        return ServerHandle(users, conninfo, f"{DATABASE_NAME} on 127.0.0.1:{identity.port} (embedded)")

    def destroy(self) -> None:
        """Stop the server and remove its data, its password and its logs. Refused while somebody uses it."""
        if not self._directory.exists():
            return
        with (
            self._named_errors(),
            self._wait_for(state.START_LOCK, exclusive=True, seconds=_TURN_SECONDS),
            # Free when the last user has ended and the keeper has stopped the server.
            self._wait_for(state.KEEPER_LOCK, exclusive=True, seconds=_LEAVE_SECONDS),
        ):
            identity = cluster.Identity.read(self._directory)
            home = identity.data.parent if identity is not None else self._directory
            if home.exists():
                self._wait_for(state.SERVER_LOCK, exclusive=True, seconds=_LEAVE_SECONDS, at=home).close()
            cluster.erase(self._directory)

    def _make_directory(self) -> None:
        if not self._directory.exists():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._directory / ".gitignore").write_text("*\n", encoding="utf-8")

    def _ensure_running(self) -> Identity:
        """Wait for the server to answer, with a new keeper where none lives. The caller holds start.lock."""
        identity = cluster.settle(self._directory)
        started, last_error, begin, pause = False, "", time.monotonic(), 0.005
        log = self._directory / "server.log"
        log_begin = log.stat().st_size if log.exists() else 0
        while time.monotonic() - begin < _START_SECONDS:
            if self._keeper_lives():
                identity = cluster.Identity.read(self._directory) or identity
                try:
                    return self._greet(identity)
                except psycopg.OperationalError as error:
                    last_error = str(error)
            elif started:
                raise self._ended_early(log, log_begin)
            else:
                identity = self._prepare(identity)
                started = True
                begin = time.monotonic()  # making the data folder is not part of the start
            # postgres tells nobody when it takes connections: trying is the question
            time.sleep(pause)
            pause = min(pause * 1.3, 0.2)
        message = f"The embedded database did not answer within {_START_SECONDS:.0f} s: {last_error}"
        raise DatabaseUnreachable(message, cure=f"See {log}.")

    def _prepare(self, identity: Identity) -> Identity:
        version = cluster.data_version(identity.data)
        found = programs.installed() if self._binaries is None else self._binaries
        chosen = programs.choose(found, version)
        account = programs.account_for(identity.data)
        if account is not None:
            chosen = programs.reachable(chosen)
        password = cluster.read_password(self._directory, identity.data)
        if version is None:
            cluster.initialise(identity, chosen, account, password)
        identity = replace(identity, major_version=chosen.major)
        state.write_state(self._directory / "server.json", asdict(identity))
        self._start_keeper(chosen, account)
        return identity

    def _start_keeper(self, chosen: Binaries, account: programs.Account | None) -> None:
        uid, gid = (account.uid, account.gid) if account else (os.geteuid(), os.getegid())
        program = [sys.executable, "-P", "-m", keeper.__name__, str(self._directory)]
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment["PYTHONPATH"] = str(Path(keeper.__file__).resolve().parents[3])
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        log = os.open(self._directory / "keeper.log", flags, 0o600)
        try:
            state.give_to_owner(log, self._directory)
            # Ends at once, leaving the keeper behind as nobody's child and holding keeper.lock.
            ended = subprocess.run(  # noqa: S603 - this interpreter, and a program that was found
                [*program, str(chosen.folder / "postgres"), str(uid), str(gid)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment,
                start_new_session=True,
                check=False,
                timeout=_START_SECONDS,
            )
        finally:
            os.close(log)
        if ended.returncode not in (0, keeper.ANOTHER_KEEPER):
            raise self._ended_early(self._directory / "keeper.log", 0)

    def _keeper_lives(self) -> bool:
        with state.open_lock(self._directory / state.KEEPER_LOCK) as lock:
            return not state.take(lock, exclusive=False)

    def _greet(self, identity: Identity) -> Identity:
        """Connect, make sure that it is this server, make the database; else psycopg.OperationalError."""
        if identity.port is None:
            raise psycopg.OperationalError("its port is not known yet")
        with psycopg.connect(
            self._conninfo(identity, "postgres"), connect_timeout=3, autocommit=True
        ) as connection:
            query = (
                "SELECT current_setting('cluster_name'), EXISTS (SELECT FROM pg_database WHERE datname = %s)"
            )
            row = connection.execute(query, [DATABASE_NAME]).fetchone()
            if row is None or row[0] != identity.cluster_name:
                raise psycopg.OperationalError("another server answers at its port")
            if not row[1]:
                connection.execute(f'CREATE DATABASE "{DATABASE_NAME}"')
        return identity

    def _conninfo(self, identity: Identity, database: str) -> str:
        """Build the address; what is named here wins over PG* variables of the environment."""
        options = {"require_auth": "scram-sha-256"} if psycopg.pq.version() >= _REQUIRE_AUTH_SINCE else {}
        return make_conninfo(
            "",
            host="127.0.0.1",
            hostaddr="127.0.0.1",
            port=identity.port,
            user="postgres",
            password=cluster.read_password(self._directory, identity.data),
            dbname=database,
            sslmode="disable",  # loopback; saves two round trips
            gssencmode="disable",
            **options,
        )

    def _wait_for(self, name: str, *, exclusive: bool, seconds: float, at: Path | None = None) -> io.FileIO:
        lock = state.open_lock((at or self._directory) / name)
        if not state.take_within(lock, exclusive=exclusive, seconds=seconds):
            lock.close()
            message = f"The embedded database is in use: {lock.name} was not free for {seconds:.0f} s."
            raise DatabaseUnreachable(message, cure="End the processes that use it, then try again.")
        return lock

    def _ended_early(self, log: Path, begin: int) -> DatabaseUnreachable:
        text = ""
        for path, offset in {log: begin, self._directory / "keeper.log": 0}.items():
            if path.exists():
                text += path.read_bytes()[offset:].decode(errors="replace")
        cure = "Make room on the disk." if "No space left on device" in text else f"See {log}."
        last = " | ".join(line for line in text.splitlines()[-5:] if line)
        return DatabaseUnreachable(f"The embedded database ended during its start: {last}", cure=cure)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # a file may be known by its number alone
            where = error.filename if isinstance(error.filename, str) else self._directory
            cure = {
                errno.ENOSPC: "Make room on the disk.",
                errno.EDQUOT: "Make room in your quota of the disk.",
                errno.ENOTDIR: "Remove the file that stands in the place of the folder.",
            }.get(
                error.errno or 0,
                f"Make {self._directory} writable for this user. Or: {programs.OWN_DATABASE}",
            )
            raise ConfigurationError(
                f"The embedded database cannot use {where}: {error.strerror}.", cure=cure
            ) from error
        except subprocess.TimeoutExpired as error:
            program = Path(error.cmd[0]).name
            message = (
                f"{program} did not end within {error.timeout:.0f} s while the embedded database was made."
            )
            raise DatabaseUnreachable(
                message, cure="Look for a full or failing disk, then try again."
            ) from error
