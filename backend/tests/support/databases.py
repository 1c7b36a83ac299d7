"""Databases that live as long as a test, made as cheaply as PostgreSQL can."""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

__all__ = ["Databases", "hurry", "in_memory"]

_SETTINGS: Final = {
    # What a power cut would lose is a test's database.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # A worker that looks at a template makes its next copy wait; what the planner has to know, the code tells it.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
}

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the file system of that name, not a file in it
_PREFIX: Final = "post-audit-tests-"
# A dozen databases of 11 to 30 MB leave room in it; what containers often have, 64 MB, would not do.
_ENOUGH: Final = 500_000_000


def hurry(conninfo: str) -> None:
    """Let a server that is thrown away work without care for its disk."""
    with psycopg.connect(conninfo, autocommit=True) as admin:
        for name, value in _SETTINGS.items():
            admin.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
        admin.execute("SELECT pg_reload_conf()")


@contextmanager
def in_memory() -> Iterator[Path | None]:
    """Give a folder that is kept in memory; None where the system has none, or too small a one.

    A database is 330 files. Where they are made and removed on a disk, ext4 without a journal takes 0.4 s for
    each, because it does not use a removed file's place again for some minutes and looks at each of them; here 0.02 s.
    """
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _ENOUGH:
        yield None
        return
    for forgotten in _MEMORY.glob(f"{_PREFIX}*"):
        _remove_unless_alive(forgotten)
    made = Path(tempfile.mkdtemp(prefix=".", suffix=".post-audit-tests", dir=_MEMORY))
    made.chmod(0o711)  # the server may run as another user
    alive = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(alive, fcntl.LOCK_EX)
    # Named only now: a session that starts at this moment removes what is not locked.
    folder = made.rename(_MEMORY / f"{_PREFIX}{secrets.token_hex(8)}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(alive)


def _remove_unless_alive(folder: Path) -> None:
    """Remove what a killed session left: the kernel gave its lock back."""
    try:
        found = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # another user's, or just removed
        return
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(found)


class Databases:
    """Makes and drops the databases of one server over one connection, in `memory` where there is some."""

    def __init__(self, conninfo: str, memory: Path | None) -> None:
        self._conninfo = conninfo
        self._admin = psycopg.connect(conninfo, autocommit=True)
        self._numbers = itertools.count(1)
        self._tablespace = "pg_default"
        if memory is not None:
            try:
                self._make_tablespace(memory)
            except BaseException:
                self.close()
                raise

    def _make_tablespace(self, memory: Path) -> None:
        self._tablespace = "in_memory"
        row = self._admin.execute("SHOW data_directory").fetchone()
        assert row is not None
        server = Path(row[0]).stat()
        folder = Path(tempfile.mkdtemp(dir=memory))
        if os.geteuid() == 0:
            os.chown(folder, server.st_uid, server.st_gid)
        self._admin.execute(
            sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(sql.Identifier(self._tablespace), str(folder))
        )

    def create(self, name: str, *, template: str = "template1", owner: str | None = None) -> None:
        """Make a database as a copy of `template`, owned by `owner` or by whom we connect as."""
        # Files are copied by the kernel; the default writes each page to the log and through shared memory.
        statement = sql.SQL(
            "CREATE DATABASE {} TEMPLATE {} OWNER {} TABLESPACE {} STRATEGY file_copy"
        ).format(
            sql.Identifier(name),
            sql.Identifier(template),
            sql.Identifier(owner) if owner is not None else sql.DEFAULT,
            sql.Identifier(self._tablespace),
        )
        self._admin.execute(statement)

    @contextmanager
    def scratch(self, template: str = "template1", *, owner: str | None = None) -> Iterator[str]:
        """Make a copy for as long as the block lasts, and give its conninfo."""
        name = f"scratch_{next(self._numbers)}"
        self.create(name, template=template, owner=owner)
        try:
            yield make_conninfo(self._conninfo, dbname=name)
        finally:
            self._admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Give back the connection; the databases that are left go with their server."""
        self._admin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
