"""Servers of root's whose temporary folder has vanished (a killed test run): their data go by themselves."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.post_audit.db.state import SERVER_LOCK, open_lock, take

__all__ = ["remove_forgotten"]

_RESTED_SECONDS: Final = 3600.0
_GOING: Final = "going-"


def remove_forgotten(shared: Path) -> None:
    """Remove the data below `shared` that belong to vanished temporary folders; those of any other folder stay.

    Not of a server that ran within the last hour: its folder may just have been moved, and its next start would tell.
    Any number may do so at once. A lock alone would not keep them apart, for it goes with its folder and whoever
    comes next makes another one; a folder is renamed by one of them only, and what is left of a renamed one, by
    somebody who was killed meanwhile, goes the next time.
    """
    for note in shared.glob("*/belongs-to"):
        home = note.parent
        # another one may remove it at any moment
        with suppress(FileNotFoundError):
            if not home.name.startswith(_GOING) and _is_forgotten(note):
                with open_lock(home / SERVER_LOCK) as lock:
                    if take(lock, exclusive=True):
                        home.rename(shared / f"{_GOING}{secrets.token_hex(8)}")
    for going in shared.glob(f"{_GOING}*"):
        shutil.rmtree(going, ignore_errors=True)


def _is_forgotten(note: Path) -> bool:
    directory = Path(note.read_text(encoding="utf-8").strip())
    return (
        directory.is_relative_to(tempfile.gettempdir())
        and not directory.exists()
        and _has_rested(note.parent / "data")
    )


def _has_rested(data: Path) -> bool:
    """Whether no server began or ended on these data for an hour: both change the folder's postmaster.pid."""
    try:
        return time.time() - data.stat().st_mtime > _RESTED_SECONDS
    except FileNotFoundError:
        return True
