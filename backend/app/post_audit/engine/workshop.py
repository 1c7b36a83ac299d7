"""What a worker and a schedule work with; the application is one."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Protocol

from app.post_audit.outbox import Delivery
from app.post_audit.ports import Database
from app.post_audit.runner import Runner

if TYPE_CHECKING:
    from app.post_audit.steps.enhancements.inbox import Collected

__all__ = ["Workshop"]


class Workshop(Protocol):
    """The database, the runner over it, and the ways in and out."""

    @property
    def database(self) -> Database:
        """The marketplace."""

    @property
    def runner(self) -> Runner:
        """What runs the steps."""

    def engine_conninfo(self) -> str:
        """Where the engine's tables are, which are made when they are missing. Raises a `ConfigurationError`."""

    def take_in(self) -> list[Collected]:
        """Store the audits that lie in the inbox."""

    def deliver(self, *, patience_seconds: float = 0.0, stop: Event | None = None) -> Delivery:
        """Send what is due in the outbox, and what becomes due within `patience_seconds` (see `outbox.dispatch`)."""

    def tidy(self) -> int:
        """Delete a part of what ended long ago, where that is due today, and say how much that was."""

    def renewed(self) -> Workshop:
        """The same over an embedded server that answers again; itself over a database of somebody's own."""
