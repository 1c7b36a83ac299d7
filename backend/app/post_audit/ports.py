"""What the protocol asks of the world: one verb to the database, one to each receiver of messages.

Nothing here does anything; the shapes are fulfilled in `db` (psycopg, Supabase REST) and `outbox` (console,
n8n, Telegram).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["JSON", "Database", "Envelope", "Pace", "Probe", "Receipt", "Sender"]

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

    `tried_at` is the moment of this try by the database's clock, the only one that all workers share, and
    `waited_seconds` how long the message has waited by then. `others` are the decisions whose messages say the
    same and go with this one; `former` is what the receiver's answer to the same words left behind last time.
    """

    message_id: str
    decision_id: int
    channel: str
    subject: str
    version: int
    payload: Mapping[str, JSON]
    attempt: int
    created_at: datetime
    tried_at: datetime
    waited_seconds: float = 0.0
    others: Sequence[int] = ()
    can_undo: bool = False
    can_approve: bool = False
    former: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What came of one try: the outbox state it leads to, and a sentence for the person who looks.

    In the states `pending` and `sent` the message is tried again: not before `asked_seconds`, where the receiver
    asked for that. `is_receiver_down` says that other messages would fare no better. `reference` is what the
    receiver calls the message, to be given back as `Envelope.former`.
    """

    state: str
    detail: str
    asked_seconds: float | None = None
    is_receiver_down: bool = False
    reference: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a receiver answered when it was asked whether it would take messages; nothing was told to it.

    `detail` is a sentence for a person, `cure` what to do about it. Where `is_sure` is false it may be well, and
    whether it is could not be found out without telling it something.
    """

    is_well: bool
    detail: str
    cure: str = ""
    is_sure: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a receiver may be used: one message at a time by all workers together, and not more often than this.

    `receiver` names it, without its secrets; `spacing_seconds` lie between two tries, and `per_minute` is how
    many there may be in any sixty seconds, None for no limit.
    """

    receiver: str
    spacing_seconds: float = 0.0
    per_minute: int | None = None


class Sender(Protocol):
    """A receiver of messages: n8n, Telegram, the console."""

    @property
    def pace(self) -> Pace | None:
        """How often it may be used; None for as often as one likes."""

    def send(self, envelope: Envelope) -> Receipt:
        """Try once; never raise for what the receiver does, only for what is wrong with us."""

    def probe(self, now: datetime) -> Probe:
        """Ask whether it would take messages, and change nothing there; `now` is what a signature says the time is."""
