"""The outbox on its way out: claims what is due, hands it to the sender of its channel, settles what came of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.post_audit.logs import get_logger
from app.post_audit.outbox.console import ConsoleSender
from app.post_audit.ports import Database, Envelope, Sender

__all__ = ["ConsoleSender", "dispatch"]

_log = get_logger(__name__)


def dispatch(database: Database, senders: Mapping[str, Sender], *, batch: int = 50) -> int:
    """Try every message that is due once, and return how many were tried.

    Safe to call from several processes: a message is claimed by one of them at a time. A process that dies
    between sending and settling leaves a claim that expires, and the message is sent again with the same id.
    """
    owner = secrets.token_hex(8)
    tried = 0
    while True:
        claimed: Any = database.call("post_audit_apply_claim_messages", owner=owner, batch=batch)
        for item in claimed:
            envelope = Envelope(**{**item, "created_at": datetime.fromisoformat(item["created_at"])})
            receipt = senders[envelope.channel].send(envelope)
            database.call(
                "post_audit_apply_settle_message",
                message_id=envelope.message_id,
                owner=owner,
                state=receipt.state,
                detail=receipt.detail,
            )
            _log.info(
                "message.settled",
                message_id=envelope.message_id,
                decision_id=envelope.decision_id,
                channel=envelope.channel,
                subject=envelope.subject,
                version=envelope.version,
                state=receipt.state,
            )
            tried += 1
        if len(claimed) < batch:
            return tried
