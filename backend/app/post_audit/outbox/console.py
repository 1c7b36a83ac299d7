"""A sender that shows messages in the log and delivers them to nobody."""

from __future__ import annotations

from datetime import datetime

from app.post_audit.codec import encode
from app.post_audit.logs import get_logger
from app.post_audit.ports import Envelope, Pace, Probe, Receipt

__all__ = ["ConsoleSender"]

_log = get_logger(__name__)


class ConsoleSender:
    """Writes each message to the log; its receipt says `shown`, which is not `delivered`."""

    @property
    def pace(self) -> Pace | None:
        """A log takes everything at once."""
        return None

    def send(self, envelope: Envelope) -> Receipt:
        """Show one message."""
        _log.info(
            "message.shown",
            message_id=envelope.message_id,
            decision_id=envelope.decision_id,
            channel=envelope.channel,
            subject=envelope.subject,
            version=envelope.version,
            payload=encode(envelope.payload),
        )
        return Receipt(state="shown", detail="Shown in the log; nothing is delivered yet.")

    def probe(self, now: datetime) -> Probe:  # noqa: ARG002 - nothing is signed
        """Say that there is nobody to ask."""
        return Probe(is_well=True, detail="Messages are shown in the log and sent to nobody.")
