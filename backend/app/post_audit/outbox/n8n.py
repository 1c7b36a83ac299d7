"""The sender of settings to n8n: signed as Standard Webhooks say, acknowledged by the version that comes back.

    POST {webhook}
    webhook-id: msg_...            the same on every try, so that the receiver can drop repeats
    webhook-timestamp: 1763800000  of this try, so that the receiver can refuse what is old
    webhook-signature: v1,...      over id, timestamp and body
    {"type": "n8n_scale", "subject": "capacity:sms", "version": 7, "decision_id": 12, "data": {...absolute values...}}

The receiver answers with what is in force after it: {"version": 7, "applied": true}. A 200 alone proves nothing:
n8n answers it before a workflow has done its work.

A ping is signed the same way, sets nothing, and is answered {"pong": true}:
    {"type": "ping", "id": "ping_...", "subject": "ping", "version": 0, "data": {}}
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

from standardwebhooks.webhooks import Webhook

from app.post_audit.codec import decode, encode
from app.post_audit.errors import InvalidSetting
from app.post_audit.outbox.http import Answer, Poster, Unanswered, require_address
from app.post_audit.ports import JSON, Envelope, Pace, Probe, Receipt

__all__ = ["N8nAccess", "N8nSender"]

# Standard Webhooks ask for 24 bytes at least.
_SHORTEST_SECRET_BYTES: Final = 24
_LONGEST_REASON: Final = 200
_TAKEN: Final = frozenset({200, 201, 202, 204})
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_OUR_HEADERS: Final = frozenset(
    {"webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-length", "host"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class N8nAccess:
    """How n8n knows us.

    `signing_secret` is as Standard Webhooks write it (`whsec_` and base64); without one, messages are not signed.
    `header_name` and `header_value` are for n8n's header authentication, both or neither.
    """

    signing_secret: str | None = field(default=None, repr=False)
    header_name: str = "X-Post-Audit-Key"
    header_value: str | None = field(default=None, repr=False)


class N8nSender:
    """Sends one channel's settings to one webhook."""

    def __init__(
        self,
        *,
        channel: str,
        setting: str,
        url: str,
        access: N8nAccess | None = None,
        total_seconds: float = 10.0,
    ) -> None:
        """Prepare; raise `InvalidSetting` where the address, the secret or the header cannot be used."""
        self._setting = setting
        self._url = require_address(setting, url)
        access = access or N8nAccess()
        self._signer = None if access.signing_secret is None else _signer(access.signing_secret)
        self._header = _header(access)
        self._poster = Poster(total_seconds=total_seconds)
        digest = hashlib.sha256(self._url.encode()).hexdigest()[:16]
        self._pace = Pace(receiver=f"{channel}:{digest}")

    @property
    def pace(self) -> Pace:
        """One at a time: n8n keeps the static data of whichever of two executions ends last."""
        return self._pace

    def send(self, envelope: Envelope) -> Receipt:
        """Try once."""
        body = encode(
            {
                "type": envelope.channel,
                "id": envelope.message_id,
                "subject": envelope.subject,
                "version": envelope.version,
                "decision_id": envelope.decision_id,
                "decided_at": envelope.created_at,
                "data": envelope.payload,
            }
        )
        # The database's clock, on which all workers agree: a worker whose own is wrong is not refused as old.
        answer = self._post(envelope.message_id, envelope.tried_at, body)
        if isinstance(answer, Unanswered):
            return Receipt(state="pending", detail=answer.why, is_receiver_down=True)
        return _receipt(envelope, answer)

    def probe(self, now: datetime) -> Probe:
        """Ping: signed like every message, and about nothing that is in force."""
        message_id = f"ping_{uuid4().hex}"
        body = encode({"type": "ping", "id": message_id, "subject": "ping", "version": 0, "data": {}})
        answer = self._post(message_id, now, body)
        if isinstance(answer, Unanswered):
            return Probe(
                is_well=False, detail=answer.why, cure=f"Check {self._setting}, and that n8n is running."
            )
        return self._probe_of(answer)

    def _probe_of(self, answer: Answer) -> Probe:
        value = _object(answer)
        if answer.status in _TAKEN and value is not None and value.get("pong") is True:
            signed = "answered, and accepted our signature" if self._signer else "answered"
            return Probe(is_well=True, detail=f"It {signed}.")
        if answer.status in _TAKEN:
            return Probe(
                is_well=False,
                is_sure=False,
                detail=f"It answered {answer.status}, and not our ping.",
                cure="Import the workflow of the folder n8n again; one of your own answers a ping with pong.",
            )
        reason = str((value or {}).get("reason", ""))[:_LONGEST_REASON]
        cures = {
            401: "Give the node Secret and POST_AUDIT_N8N_SIGNING_SECRET the same value, and see both clocks.",
            403: "Give n8n's header authentication and POST_AUDIT_N8N_HEADER_VALUE the same value.",
            404: f"Publish the workflow, and copy its production address into {self._setting}.",
        }
        why = _refusal(answer).rstrip(".") + (f" ({reason})." if reason else ".")
        return Probe(is_well=False, detail=why, cure=cures.get(answer.status, f"Check {self._setting}."))

    def _post(self, message_id: str, at: datetime, body: str) -> Answer | Unanswered:
        headers = {
            **self._header,
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
        }
        if self._signer is not None:
            headers["webhook-signature"] = self._signer.sign(message_id, at, body)
        return self._poster.post(self._url, body.encode(), headers)


def _header(access: N8nAccess) -> dict[str, str]:
    name, value = access.header_name.strip(), (access.header_value or "").strip()
    if not value:
        return {}
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
        raise InvalidSetting(
            "POST_AUDIT_N8N_HEADER_NAME is not the name of a header that is free.",
            cure="Write it like X-Post-Audit-Key, as in n8n's credential.",
        )
    if not value.isascii() or not value.isprintable():
        raise InvalidSetting(
            "POST_AUDIT_N8N_HEADER_VALUE has signs that no header has.",
            cure="Copy it again, without line breaks.",
        )
    return {name: value}


def _signer(secret: str) -> Webhook:
    try:
        text = secret.strip().removeprefix("whsec_").rstrip("=")
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < _SHORTEST_SECRET_BYTES:
        raise InvalidSetting(
            "POST_AUDIT_N8N_SIGNING_SECRET is no secret of Standard Webhooks: whsec_ and at least 24 bytes in base64.",
            cure="Make one: echo whsec_$(openssl rand -base64 32)",
        )
    return Webhook(key)


def _receipt(envelope: Envelope, answer: Answer) -> Receipt:
    """Read an answer."""
    if answer.status in _TAKEN:
        return _acknowledged(envelope, answer)
    return Receipt(
        state="pending",
        detail=_refusal(answer),
        asked_seconds=answer.asked_seconds,
        is_receiver_down=answer.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )


def _refusal(answer: Answer) -> str:
    """What a status means that is none of success."""
    match answer.status:
        case 401 | 403:
            return "It refuses who we are: the signing secret or the header is not the one it knows."
        case 404 | 410:
            return "Nothing listens there: publish the workflow, and check the address."
        case 429:
            return "It is asked too often."
        case status if answer.is_redirect:
            return f"It answered {status} and pointed to another address, which is not followed."
        case status:
            return f"It answered {status}."


def _acknowledged(envelope: Envelope, answer: Answer) -> Receipt:
    """Read what a receiver says it has in force now; its 2xx alone is only `sent`."""
    echo = _echo(answer)
    if echo is None:
        return Receipt(
            state="sent", detail=f"It answered {answer.status} and did not say which version it applied."
        )
    version, subject = echo["version"], echo.get("subject", envelope.subject)
    if subject != envelope.subject:
        return Receipt(state="sent", detail="It answered about another subject.")
    if version > envelope.version:
        return Receipt(state="superseded", detail=f"It has version {version} already.")
    if echo.get("applied") is False and version == envelope.version:
        reason = str(echo.get("reason", "no reason given"))[:_LONGEST_REASON]
        return Receipt(state="refused", detail=f"It declined version {version}: {reason}")
    if echo.get("applied") is True and version == envelope.version:
        return Receipt(state="applied", detail=f"It has applied version {version}.")
    return Receipt(
        state="sent", detail=f"It says that version {version} is in force, and was sent {envelope.version}."
    )


def _echo(answer: Answer) -> dict[str, Any] | None:
    """The answer as an object with a version; None for anything else."""
    value = _object(answer)
    return value if value is not None and type(value.get("version")) is int else None


def _object(answer: Answer) -> dict[str, Any] | None:
    """The answer as an object; None for anything else. n8n wraps it into a list when told to."""
    if answer.is_cut:
        return None
    try:
        value: JSON = decode(answer.body)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else None
