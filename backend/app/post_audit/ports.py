"""What the protocol asks of the world: one verb to the database, one to each receiver of messages.

Nothing here does anything; the shapes are fulfilled in `db` (psycopg, Supabase REST) and `outbox` (console,
n8n, Telegram).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["JSON", "Database", "Envelope", "Receipt", "Sender"]

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]


@runtime_checkable
class Database(Protocol):
    """A database that is reached only by the names of the migration's functions."""

    def call(self, function: str, **arguments: object) -> JSON:
        """Run one SQL function in one transaction and return the JSON it answers with.

        Arguments are passed by name; a mapping or sequence goes as jsonb, a datetime as ISO 8601. Functions
        named `post_audit_read_*` run read-only. Raises a `DatabaseError` of the class that belongs to the
        SQLSTATE, or a `ConfigurationError` when the database cannot be reached at all.
        """

    def describe(self) -> str:
        """Say where this database is, without its secrets: `bell24h on 127.0.0.1:5433 (embedded)`."""

    def close(self) -> None:
        """Give back every connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message of the outbox on its way out.

    `message_id` stays the same over all tries, so that a receiver can drop repeats; `version` grows with each
    new message about the same `subject`, so that a receiver can drop what is older than what it has.
    """

    message_id: str
    decision_id: int
    channel: str
    subject: str
    version: int
    payload: Mapping[str, JSON]
    attempt: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What came of one try: the outbox state it leads to, and a sentence for the person who looks."""

    state: str
    detail: str


class Sender(Protocol):
    """A receiver of messages: n8n, Telegram, the console."""

    def send(self, envelope: Envelope) -> Receipt:
        """Try once; never raise for what the receiver does, only for what is wrong with us."""
