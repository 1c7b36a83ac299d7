"""Tells open pages that something in the database has changed: one cheap question for all of a process.

A question and not LISTEN: it is the same over Supabase's REST interface, where nobody can listen, and it costs one
call of a few index look-ups every 0.7 s while a page is open, and none while no page is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from nicegui import background_tasks
from starlette.concurrency import run_in_threadpool

from app.post_audit.errors import PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.ports import JSON, Database

__all__ = ["Watcher"]

# A change has to be on the page within 2 s: 0.7 s until it is seen, the rest for loading and drawing.
_EVERY_SECONDS: Final = 0.7
# Ages and times of day on a page move even when nothing changes.
_MINUTE: Final = 60.0

_log = get_logger(__name__)


class Watcher:
    """Watches one database for all pages of this process. To be used from the event loop alone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscribers: set[Callable[[], None]] = set()
        self._task: asyncio.Task[None] | None = None
        self.version: JSON = None
        """What the database answered last; differs from the one before where something changed."""
        self.answered_at: datetime | None = None
        """When it answered last."""
        self.error: str = ""
        """Why it does not answer now; empty while it does."""

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after each change, once a minute, and when the database goes away or comes back.

        Returns what ends the subscription; it may be called twice.
        """
        self._subscribers.add(changed)
        if self._task is None or self._task.done():
            self._task = background_tasks.create(self._watch(), name="watch the database")
        return lambda: self._subscribers.discard(changed)

    async def _watch(self) -> None:
        told_at = asyncio.get_running_loop().time()
        while self._subscribers:
            before = (self.version, bool(self.error))
            await self._look()
            now = asyncio.get_running_loop().time()
            if (self.version, bool(self.error)) != before or now - told_at >= _MINUTE:
                told_at = now
                for changed in tuple(self._subscribers):
                    changed()
            await asyncio.sleep(_EVERY_SECONDS)

    async def _look(self) -> None:
        try:
            self.version = await run_in_threadpool(self._database.call, "post_audit_read_version")
        except PostAuditError as error:
            if not self.error:
                _log.warning("pages.database_away", code=type(error).__name__, error=error.message)
            self.error = error.message
        else:
            self.error = ""
            self.answered_at = datetime.now(UTC)
