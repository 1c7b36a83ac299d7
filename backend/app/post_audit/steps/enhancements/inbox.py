"""The folder `audit-inbox/`: a report that is put there is taken up once.

    audit-inbox/report.json             taken up, stored, and moved to
    audit-inbox/archive/2025-11-09_report.json
    audit-inbox/client/report.json      the same, with target `client`
    audit-inbox/broken.json             stays, with broken.json.error.txt beside it; tried again when it changes

Several processes may collect at once. Each claims a file by a lock on it, and not by moving it away: the lock of a
process that dies is gone with it, a moved file would be stranded. Who gets the lock after the other has archived the
file notices that the name no longer leads to it. A file that is stored but not archived when its process dies is
found again, known by its content, and archived then.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.post_audit.errors import InputError
from app.post_audit.ports import Database
from app.post_audit.steps.enhancements.importing import StoredAudit, store_audit
from app.post_audit.steps.enhancements.parsing import ParsedAudit, parse_report
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.report_archive import open_reports

__all__ = ["ARCHIVE", "Collected", "collect"]

ARCHIVE: Final = "archive"
_ERROR: Final = ".error.txt"
_UNFINISHED: Final = (".part", ".partial", ".tmp", ".crdownload", ".swp", "~")
"""Names that programs give to what they are still writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What became of one file: stored as an audit and archived, or left with an error that says what to do.

    A zip file holds several audits: `stored` is its first, `others` the rest.
    """

    name: str
    stored: StoredAudit | None = None
    others: tuple[StoredAudit, ...] = ()
    archived_as: Path | None = None
    error: str = ""


def collect(inbox: Path, database: Database, policy: EnhancementsPolicy | None = None) -> list[Collected]:
    """Take up every report that lies in the inbox. Files that others are taking up are left to them.

    A file that cannot be read is told of once, until it changes. Errors of the database are raised: the files stay.
    """
    limits = policy or EnhancementsPolicy()
    found: list[Collected] = []
    for path, target in _reports(inbox):
        with _claimed(path) as is_ours:
            if is_ours:
                found.append(_take_up(inbox, path, target, database, limits))
    return found


def _reports(inbox: Path) -> list[tuple[Path, str]]:
    """List what lies in the inbox, with the target that a folder gives; not what failed and has not changed since."""
    folders = [(inbox, "")]
    folders += [(entry, entry.name) for entry in _entries(inbox) if entry.is_dir() and entry.name != ARCHIVE]
    return [
        (path, target)
        for folder, target in folders
        for path in _entries(folder)
        if path.is_file() and not path.name.endswith((_ERROR, *_UNFINISHED)) and not _has_failed(path)
    ]


def _entries(folder: Path) -> list[Path]:
    """List a folder by name, without hidden entries; empty when it is not there."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _has_failed(path: Path) -> bool:
    try:
        return _error_file(path).stat().st_mtime_ns >= path.stat().st_mtime_ns
    except FileNotFoundError:
        return False


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Hold the lock of a file; False when another process has it or has archived the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    except OSError:
        # not readable: nobody can hold it, and the reader will say what is wrong
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.path.samestat(os.fstat(descriptor), path.stat())
        except (BlockingIOError, FileNotFoundError):
            is_ours = False
        yield is_ours
    finally:
        os.close(descriptor)


def _take_up(
    inbox: Path, path: Path, target: str, database: Database, policy: EnhancementsPolicy
) -> Collected:
    content_hash = ""
    audits: list[ParsedAudit] = []
    try:
        for report in open_reports(path, policy):
            content_hash = report.sha256
            audits.append(parse_report(report, policy))
    except InputError as error:
        _error_file(path).write_text(f"{error}\n", encoding="utf-8")
        if content_hash:
            database.call(
                "post_audit_apply_refused_audit", content_hash=content_hash, name=path.name, error=str(error)
            )
        return Collected(name=path.name, error=str(error))
    stored, *others = (store_audit(database, audit, target=target or None, policy=policy) for audit in audits)
    archived_as = _archive(inbox, path, target, stored)
    _error_file(path).unlink(missing_ok=True)
    return Collected(name=path.name, stored=stored, others=tuple(others), archived_as=archived_as)


def _archive(inbox: Path, path: Path, target: str, stored: StoredAudit) -> Path:
    """Move a file to the archive under the day it was received; a name that is taken gets a number."""
    folder = inbox / ARCHIVE / target if target else inbox / ARCHIVE
    folder.mkdir(parents=True, exist_ok=True)
    day = stored.received_at[:10]
    number = 1
    while True:
        name = f"{day}_{path.name}" if number == 1 else f"{day}_{path.stem}-{number}{path.suffix}"
        try:
            # A link, unlike a move, never takes the place of what is there.
            os.link(path, folder / name)
        except FileExistsError:
            number += 1
            continue
        path.unlink()
        return folder / name


def _error_file(path: Path) -> Path:
    return path.with_name(path.name + _ERROR)
