"""Messages put into the outbox by hand, and time that passes there without anybody waiting for it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from app.post_audit.outbox import dispatch
from app.post_audit.outbox.n8n import N8nAccess, N8nSender
from app.post_audit.outbox.telegram import TelegramSender
from app.post_audit.ports import Database, Sender
from tests.support import decisions
from tests.support.product import until
from tests.support.receiver import SECRET, Receiver
from tests.support.telegram import CHAT, TOKEN, BotApi

__all__ = ["Outbox", "Passing", "n8n", "telegram"]


class Passing(threading.Event):
    """In place of waiting, moves every moment of the outbox into the past; `seconds` is how much passed so far."""

    def __init__(self, conninfo: str) -> None:
        super().__init__()
        self.seconds = 0.0
        self._conninfo = conninfo
        self._lock = threading.Lock()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        with self._lock, psycopg.connect(self._conninfo) as connection:
            until(lambda: self._is_quiet(connection), "nothing is on its way")
            self.seconds += timeout
            passed = {"t": timedelta(seconds=timeout)}
            connection.execute(
                "UPDATE post_audit.receivers SET free_at = free_at - %(t)s, ended = ARRAY("
                "SELECT e.at - %(t)s FROM unnest(ended) WITH ORDINALITY AS e (at, n) ORDER BY e.n) WHERE true",
                passed,
            )
            connection.execute(
                "UPDATE post_audit.outbox SET next_attempt_at = next_attempt_at - %(t)s,"
                " created_at = created_at - %(t)s, claimed_until = claimed_until - %(t)s,"
                " settled_at = settled_at - %(t)s WHERE true",
                passed,
            )
        return False

    @staticmethod
    def _is_quiet(connection: psycopg.Connection) -> bool:
        """Whether nothing is on its way; then nothing can leave before the transaction ends."""
        connection.rollback()
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('post_audit.claim_messages', 0))")
        row = connection.execute(
            "SELECT 1 FROM post_audit.receivers WHERE busy_by IS NOT NULL AND busy_by <> 'dead'"
        ).fetchone()
        return row is None


class Outbox:
    """The outbox of the test's database."""

    def __init__(self, database: Database, connection: psycopg.Connection) -> None:
        self.database = database
        self._connection = connection
        self.decision: int = decisions.decide(database, decisions.nothing(), tick="outbox")["id"]

    def put(
        self, channel: str, subject: str, payload: dict[str, Any], *, decision: int | None = None
    ) -> None:
        """As a decision that takes effect does it."""
        self._connection.execute(
            "SELECT post_audit.send(%s, %s)",
            (
                decision or self.decision,
                Jsonb({"channel": channel, "subject": subject, "payload": payload, "alert": True}),
            ),
        )

    def tell(self, text: str, subject: str = "spend") -> None:
        self.put("telegram", subject, {"text": text})

    def set(self, quota: int, subject: str = "capacity:sms") -> None:
        self.put("n8n_scale", subject, {"daily_quota": quota})

    def rows(self, columns: str = "subject, version, state") -> list[tuple[Any, ...]]:
        return self._connection.execute(
            f"SELECT {columns} FROM post_audit.outbox ORDER BY sequence"  # noqa: S608 - the test's own words
        ).fetchall()

    def states(self) -> list[str]:
        return [row[0] for row in self.rows("state")]

    def details(self) -> list[str]:
        return [row[0] for row in self.rows("detail")]

    def deliver(
        self, senders: dict[str, Sender], *, patience: float = 0.0, stop: threading.Event | None = None
    ) -> dict[str, int]:
        return dict(dispatch(self.database, senders, patience_seconds=patience, stop=stop).states)


def n8n(receiver: Receiver, *, secret: str | None = SECRET, total_seconds: float = 5.0) -> dict[str, Sender]:
    sender = N8nSender(
        channel="n8n_scale",
        setting="N8N_WEBHOOK_SCALE",
        url=receiver.url,
        access=N8nAccess(signing_secret=secret),
        total_seconds=total_seconds,
    )
    return {"n8n_scale": sender}


def telegram(api: BotApi, *, chat: str = CHAT, token: str = TOKEN) -> dict[str, Sender]:
    return {"telegram": TelegramSender(token=token, chat=chat, api=api.url)}
