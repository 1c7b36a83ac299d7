"""This machine: room on its disks, the log, the folder of audits that wait."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.post_audit.doctor.finding import Area, Finding, Level
from app.post_audit.formats import count
from app.post_audit.settings import Settings

__all__ = ["check_folders", "check_machine", "check_room"]

_MEGABYTE: Final = 1_000_000
# the embedded database keeps up to 256 MB of write-ahead log, and stops where it cannot write
_LEAST_FREE: Final = 500 * _MEGABYTE


def check_machine(settings: Settings, *, is_embedded: bool) -> Iterator[Finding]:
    """Judge the folders that the settings name; nothing is made."""
    folders = {"the log": settings.log_file.parent}
    if is_embedded:
        folders["the embedded database"] = settings.data_directory
    for what, folder in folders.items():
        there = _existing(folder)
        yield from check_room(what, there, shutil.disk_usage(there).free)
    yield from check_folders(settings)


def check_room(what: str, folder: Path, free: int) -> Iterator[Finding]:
    """Judge the room that is free for something, in bytes."""
    is_enough = free >= _LEAST_FREE
    yield Finding(
        area=Area.MACHINE,
        name="machine.disk",
        level=Level.WELL if is_enough else Level.PROBLEM,
        text=f"{count(free // _MEGABYTE)} MB are free for {what}"
        + ("." if is_enough else f", and {count(_LEAST_FREE // _MEGABYTE)} MB are the least."),
        cure="" if is_enough else f"Make room on the disk of {folder}.",
        numbers={"free_bytes": free},
    )


def check_folders(settings: Settings) -> Iterator[Finding]:
    """Judge whether the log can be written and the inbox can be read."""
    log, inbox = settings.log_file, settings.inbox
    target = log if log.exists() else _existing(log.parent)
    if log.is_dir() or not os.access(target, os.W_OK) or not _existing(log.parent).is_dir():
        yield _misconfigured(
            "log",
            f"The log {log} cannot be written.",
            "Correct POST_AUDIT_LOG_FILE, or the rights of its folder.",
        )
    else:
        told = (
            f"The log {log} has {count(log.stat().st_size // 1000)} kB."
            if log.exists()
            else f"The log will be {log}."
        )
        yield Finding(area=Area.MACHINE, name="machine.log", level=Level.WELL, text=told)
    if inbox.exists() and not (inbox.is_dir() and os.access(inbox, os.R_OK | os.W_OK | os.X_OK)):
        yield _misconfigured(
            "inbox",
            f"Audits cannot be taken from {inbox}: it is no folder that may be read and written.",
            "Correct POST_AUDIT_INBOX, or its rights.",
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def _misconfigured(name: str, text: str, cure: str) -> Finding:
    return Finding(area=Area.MACHINE, name=f"machine.{name}", level=Level.MISCONFIGURED, text=text, cure=cure)
