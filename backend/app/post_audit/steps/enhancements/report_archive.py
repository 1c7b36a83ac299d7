"""Several reports at once: a folder of them, or a zip file.

A zip file is read where it is: nothing of it is written to disk. What it says of itself is not believed: names that
lead elsewhere, too many members, too much content and a ratio that only a bomb has are refused, and while a member is
unpacked its bytes are counted again.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.report_file import ReportFile, open_report, report_of

__all__ = ["is_archive", "open_reports", "reports_of"]

_MAGIC: Final = b"PK\x03\x04"
_MOST_MEMBERS: Final = 1_000
_MOST_IN_ALL: Final = 200_000_000
_RATIO: Final = 100
"""Unpacked bytes for each packed one; JSON of real tools has 10 to 40."""
_SMALL: Final = 1_000_000
"""Bytes below which the ratio says nothing: a small member of equal entries is packed a thousand to one."""
_CHUNK: Final = 262_144
_ENCRYPTED: Final = 1


def open_reports(path: Path, policy: EnhancementsPolicy) -> Iterator[ReportFile]:
    """Open a report, each report of a zip file, or each of a folder, one after another; `InputError` says why not.

    Each is open until the next is asked for. Hidden files of a folder are left out.
    """
    if path.is_dir():
        for inside in _files(path):
            with open_report(inside, policy) as report:
                yield report
        return
    if is_archive(path):
        with path.open("rb") as file:
            yield from reports_of(file, str(path), policy)
        return
    with open_report(path, policy) as report:
        yield report


def is_archive(path: Path) -> bool:
    """Whether a file is a zip file, by its first bytes; False where it cannot be read."""
    try:
        # a pipe or device would be waited for
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def reports_of(file: IO[bytes], name: str, policy: EnhancementsPolicy) -> Iterator[ReportFile]:
    """Take a seekable file as a report, or as a zip file of reports."""
    file.seek(0)
    if file.read(len(_MAGIC)) != _MAGIC:
        yield report_of(file, name, policy)
        return
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, name, policy)
            for member in members:
                yield report_of(_unpacked(archive, member, name, policy), f"{name}/{member.filename}", policy)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise InputError(f"{name} is no whole zip file: {error}.", cure="Pack the reports again.") from error


def _files(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise InputError(f"{folder} has no report in it.", cure="Name a folder with reports.")
    if len(found) > _MOST_MEMBERS:
        raise InputError(
            f"{folder} has {len(found)} files; at most {_MOST_MEMBERS} are read at once.",
            cure="Name a folder that holds reports only.",
        )
    return found


def _members(archive: zipfile.ZipFile, name: str, policy: EnhancementsPolicy) -> list[zipfile.ZipInfo]:
    """List the members to be read, having checked what all of them say of themselves."""
    every = archive.infolist()
    if len(every) > _MOST_MEMBERS:
        raise _refused(name, f"has {len(every)} members, more than {_MOST_MEMBERS}")
    for member in every:
        _check_name(member, name)
        if member.flag_bits & _ENCRYPTED:
            raise _refused(name, f"has a member with a password, {member.filename[:100]!r}")
        if member.file_size > policy.maximum_bytes:
            raise _refused(
                name, f"has a member of {member.file_size // 1_000_000} MB, {member.filename[:100]!r}"
            )
        if member.file_size > max(_SMALL, member.compress_size * _RATIO):
            raise _refused(name, f"packs {member.filename[:100]!r} more than {_RATIO} to one")
    if sum(member.file_size for member in every) > _MOST_IN_ALL:
        raise _refused(name, f"unpacks to more than {_MOST_IN_ALL // 1_000_000} MB")
    members = [
        member
        for member in every
        if not member.is_dir()
        and not any(p.startswith((".", "__MACOSX")) for p in PurePosixPath(member.filename).parts)
    ]
    if not members:
        raise InputError(f"{name} has no report in it.", cure="Pack the reports again.")
    return sorted(members, key=lambda member: member.filename)


def _check_name(member: zipfile.ZipInfo, name: str) -> None:
    path = PurePosixPath(member.filename)
    leads_away = (
        path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename[:2]
    )
    if leads_away:
        raise _refused(name, f"has a member whose name leads elsewhere, {member.filename[:100]!r}")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise _refused(name, f"has a link in it, {member.filename[:100]!r}")


def _unpacked(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, policy: EnhancementsPolicy
) -> IO[bytes]:
    """Unpack one member into memory, never more than it says."""
    unpacked = io.BytesIO()
    most = min(policy.maximum_bytes, member.file_size)
    with archive.open(member) as packed:
        while chunk := packed.read(_CHUNK):
            unpacked.write(chunk)
            if unpacked.tell() > most:
                raise _refused(name, f"unpacks {member.filename[:100]!r} to more than it says")
    return unpacked


def _refused(name: str, why: str) -> InputError:
    return InputError(f"{name} {why}.", cure="Unpack it yourself if you trust it, and import the reports.")
