"""What the doctor says of a server that runs, and what n8n and Telegram answered when they were asked last."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

from app.post_audit.doctor import Examination, Finding, ask_receivers, examine_running

if TYPE_CHECKING:
    from app.post_audit.ports import Database
    from app.post_audit.settings import Settings

__all__ = ["Checkup"]


class Checkup:
    """One for each server; safe to use from several threads."""

    def __init__(self, database: Database, settings: Settings | None) -> None:
        self._database = database
        self._settings = settings
        self._lock = Lock()
        self._asked: tuple[Finding, ...] = ()
        self._asked_at: datetime | None = None

    @property
    def asked_at(self) -> datetime | None:
        """When n8n and Telegram were asked last; None for never."""
        return self._asked_at

    def look(self) -> Examination:
        """Look at settings, database and machine; of n8n and Telegram tell what they answered last."""
        return examine_running(self._database, self._settings, asked=self._asked)

    def ask(self) -> Examination:
        """Ask n8n and Telegram whether they would take messages, then look; takes seconds where they do not answer."""
        if self._settings is not None:
            # who asks while somebody asks gets the same answer
            with self._lock:
                now = datetime.now(UTC)
                self._asked, self._asked_at = tuple(ask_receivers(self._settings, now)), now
        return self.look()
