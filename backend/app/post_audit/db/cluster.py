"""What the embedded server has on disk: its identity, its password and its data folder.

    <project>/.post_audit/         0700   for root beside it: /var/lib/post-audit/
      password                     0600     postgres-<wheel>/         programs, shared, owned by root
      server.json                           <server_id>/              owned by root
      users.lock start.lock lock       data/                   0700, owned by postgres or nobody
      server.log[.1] log               server.lock
      data/ server.lock                       belongs-to              the path of the state directory

Every function that writes expects its caller to hold start.lock.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from app.post_audit.db.binaries import OWN_DATABASE, Account, Binaries, run, shared_folder
from app.post_audit.db.forgotten import remove_forgotten
from app.post_audit.db.state import give_to_owner, open_lock, take_within, write_state
from app.post_audit.errors import ConfigurationError, DatabaseUnreachable

__all__ = ["Identity", "data_version", "erase", "initialise", "read_password", "settle"]

# A libc locale is needed beside the builtin one: pg_trgm asks libc what a letter is, and under plain C no
# letter outside ASCII is one.
_LIBC_LOCALES: Final = ("C.UTF-8", "en_US.UTF-8", "C")
_INITDB_SECONDS: Final = 120.0  # measured 0.6 s; a slow disk syncs 1000 files
_PASSWORD_BYTES: Final = 32
_BUILTIN_LOCALES_SINCE: Final = 17  # major version


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What `server.json` holds. `port` is the one last used; `server_id` tells servers apart."""

    server_id: str
    cluster_name: str
    state_directory: str
    data_directory: str
    port: int | None = None
    major_version: int | None = None

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Read `server.json`; None where there is none yet. Raises ConfigurationError if it was damaged."""
        try:
            return cls(**json.loads((directory / "server.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            message = f"{directory / 'server.json'} cannot be read: {type(error).__name__}."
            cure = "Restore the file, or remove its folder to begin anew (the embedded data are lost)."
            raise ConfigurationError(message, cure=cure) from error

    @property
    def data(self) -> Path:
        """The data folder of PostgreSQL."""
        return Path(self.data_directory)


def settle(directory: Path) -> Identity:
    """Read or make the identity of the server of this state directory, and write it down if it is new.

    A folder that was moved keeps its server. A copy (the folder it was made for still has the same server)
    gets an identity of its own: two servers must never work on one data folder. Copied data stay with it.
    """
    known = Identity.read(directory)
    if known is not None and known.state_directory == str(directory):
        return known
    if known is None or _is_copy(known):
        server_id = secrets.token_hex(8)
        settled = Identity(
            server_id=server_id,
            cluster_name=f"post-audit-{server_id}",
            state_directory=str(directory),
            data_directory=str(_place(directory, server_id)),
        )
    else:
        inside = known.data == Path(known.state_directory) / "data"
        place = directory / "data" if inside else known.data
        settled = replace(known, state_directory=str(directory), data_directory=str(place))
    write_state(directory / "server.json", asdict(settled))
    return settled


def _is_copy(known: Identity) -> bool:
    try:
        original = Identity.read(Path(known.state_directory))
    except (ConfigurationError, PermissionError):
        return True  # something is there that cannot be read: a server of its own is the safe answer
    return original is not None and original.server_id == known.server_id


def _place(directory: Path, server_id: str) -> Path:
    data = directory / "data"
    if os.geteuid() != 0 or data.exists():
        return data
    remove_forgotten(shared_folder())
    home = shared_folder() / server_id
    home.mkdir()
    home.chmod(0o755)  # whatever the umask: root's, but its server has to pass
    (home / "belongs-to").write_text(f"{directory}\n", encoding="utf-8")
    return home / "data"


def data_version(data: Path) -> int | None:
    """Read the major version of existing data; None where there are none."""
    try:
        return int((data / "PG_VERSION").read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not data.exists():
            return None
        message = f"{data} is not a data folder of PostgreSQL: PG_VERSION is missing."
    except ValueError:
        message = f"{data / 'PG_VERSION'} holds no version."
    raise ConfigurationError(
        message, cure="Restore the folder, or remove it to begin anew (its data are lost)."
    )


def read_password(directory: Path, data: Path) -> str:
    """Read the server's password; make one (256 bits) where neither it nor data exist yet."""
    path = directory / "password"
    try:
        password = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        password = ""
    if password:
        path.chmod(0o600)
        return password
    if data.exists():
        message = f"The embedded database's password is missing: {path}."
        raise ConfigurationError(
            message, cure=f"Restore the file, or remove {data} to begin anew (its data are lost)."
        )
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    unfinished = directory / "password.new"
    unfinished.unlink(missing_ok=True)
    _write_secret(unfinished, password, None)
    unfinished.rename(path)
    return password


def _write_secret(path: Path, secret: str, account: Account | None) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if account is None:
            give_to_owner(file, path.parent)
        else:
            os.fchown(file, account.uid, account.gid)
        os.write(file, f"{secret}\n".encode("ascii"))
        os.fsync(file)
    finally:
        os.close(file)


def initialise(identity: Identity, binaries: Binaries, account: Account | None, password: str) -> None:
    """Make the data folder beside its place and rename it there, so that a half-made one is never used."""
    home = identity.data.parent
    with open_lock(home / "initdb.lock") as lock:
        _outlive_former_initdb(lock)
        for leftover in home.glob("data.new-*"):
            shutil.rmtree(leftover)
        _make(identity, binaries, account, password, lock.fileno())


def _outlive_former_initdb(lock: io.FileIO) -> None:
    """Wait for the initdb of a killed user, which still writes into its folder and holds the lock it inherited."""
    if not take_within(lock, exclusive=True, seconds=_INITDB_SECONDS):
        raise DatabaseUnreachable(
            "A former initdb has not ended.", cure="Look for a full or failing disk, then try again."
        )


def _make(identity: Identity, binaries: Binaries, account: Account | None, password: str, held: int) -> None:
    """Run initdb; it and its children inherit the lock `held`."""
    home = identity.data.parent
    unfinished = home / f"data.new-{secrets.token_hex(4)}"
    password_file = home / "password.initdb"
    password_file.unlink(missing_ok=True)
    _write_secret(password_file, password, account)
    failure = ""
    try:
        for locale in _LIBC_LOCALES:
            unfinished.mkdir(mode=0o700)
            if account is not None:
                os.chown(unfinished, account.uid, account.gid)
            answer = run(
                _initdb(binaries, unfinished, password_file, locale),
                account,
                seconds=_INITDB_SECONDS,
                inherited=(held,),
            )
            failure = answer.stderr.strip() if answer.returncode != 0 else ""
            if answer.returncode == 0:
                break
            shutil.rmtree(unfinished)
            if "locale" not in failure:
                break
    finally:
        password_file.unlink()
    if not unfinished.exists():
        last = " | ".join(failure.splitlines()[-3:])
        cure = "Make room on the disk." if "No space left" in failure else OWN_DATABASE
        raise ConfigurationError(f"The embedded database could not be made: {last}", cure=cure)
    unfinished.rename(identity.data)
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # else a power failure could give the folder its unfinished name back
    finally:
        os.close(folder)


def _initdb(binaries: Binaries, data: Path, password_file: Path, locale: str) -> list[str]:
    builtin = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if binaries.major >= _BUILTIN_LOCALES_SINCE
        else []
    )
    return [
        str(binaries.folder / "initdb"),
        f"--pgdata={data}",
        "--username=postgres",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        f"--locale={locale}",
        "--lc-messages=C",
        *builtin,
        "--data-checksums",
        "--no-instructions",
    ]


def erase(directory: Path) -> None:
    """Remove the data, the password and the logs; the lock files stay."""
    known = Identity.read(directory)
    if known is not None:
        own_home = known.data.parent.name == known.server_id  # made by _place for this server alone
        target = known.data.parent if own_home else directory / "data"
        if target.exists():
            shutil.rmtree(target)
    for name in ("server.json", "password", "server.log", "server.log.1", "log"):
        (directory / name).unlink(missing_ok=True)
