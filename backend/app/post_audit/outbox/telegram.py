"""The sender of alerts to a Telegram chat, in the Bot API's own format.

    POST {api}/bot{token}/sendMessage       {"chat_id", "text", "parse_mode": "HTML", ...}
    POST {api}/bot{token}/editMessageText   the same and "message_id": what was said before is said again
    POST {api}/bot{token}/getMe, getChat, getChatMember   whether it would work; nobody in the chat sees that

    200 {"ok": true, "result": {"message_id": 17, ...}}
    429 {"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 3",
         "parameters": {"retry_after": 3}}

The token is part of the address, so no address is ever kept, logged or raised: it is added below all that could.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from app.post_audit.codec import decode, encode
from app.post_audit.errors import InvalidSetting
from app.post_audit.outbox.http import Answer, Poster, Unanswered, require_address
from app.post_audit.outbox.telegram_text import text_of
from app.post_audit.ports import JSON, Envelope, Pace, Probe, Receipt

__all__ = ["OFFICIAL_API", "TelegramSender"]

OFFICIAL_API: Final = "https://api.telegram.org"

# https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
_SPACING_SECONDS: Final = 1.0
_PER_MINUTE_IN_A_GROUP: Final = 20
_PER_MINUTE_TO_A_PERSON: Final = 60
_TOKEN: Final = re.compile(r"[0-9]{6,12}:[A-Za-z0-9_-]{30,}")
_CHAT: Final = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32}")
_UNCHANGED: Final = "message is not modified"
_LONGEST_DESCRIPTION: Final = 200
# a number of any length is valid JSON
_LONGEST_ASKED: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What the Bot API answered; `result` is None where it refused."""

    status: int
    result: Mapping[str, Any] | None = None
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    asked_seconds: float | None = None


class TelegramSender:
    """Tells one chat.

    A group (its number is negative, or it has an @name) takes 20 messages a minute, a person one a second; edits
    count like messages.
    """

    def __init__(
        self,
        *,
        token: str,
        chat: str,
        api: str = OFFICIAL_API,
        total_seconds: float = 10.0,
    ) -> None:
        """Prepare; raise `InvalidSetting` where token, chat or address cannot be used."""
        token, chat = token.strip(), chat.strip()
        if not _TOKEN.fullmatch(token):
            raise InvalidSetting(
                "TELEGRAM_BOT_TOKEN is not a bot's token.",
                cure="Copy it from @BotFather: digits, a colon, letters.",
            )
        if not _CHAT.fullmatch(chat):
            raise InvalidSetting(
                "TELEGRAM_CHAT_ID is not a chat's number or @name.",
                cure="Write it like -1001234567890 or @channel.",
            )
        self._api = require_address("POST_AUDIT_TELEGRAM_API", api).rstrip("/")
        self._token = token
        self._chat: int | str = chat if chat.startswith("@") else int(chat)
        self._poster = Poster(total_seconds=total_seconds, hidden_prefix=f"/bot{token}")
        is_group = isinstance(self._chat, str) or self._chat < 0
        digest = hashlib.sha256(f"{self._api} {token.partition(':')[0]} {chat}".encode()).hexdigest()[:16]
        self._pace = Pace(
            receiver=f"telegram:{digest}",
            spacing_seconds=_SPACING_SECONDS,
            per_minute=_PER_MINUTE_IN_A_GROUP if is_group else _PER_MINUTE_TO_A_PERSON,
        )

    @property
    def pace(self) -> Pace:
        """The limits of this chat."""
        return self._pace

    def send(self, envelope: Envelope) -> Receipt:
        """Try once: say it, or count it on the message that said the same before."""
        former = envelope.former or {}
        times = 1 + len(envelope.others)
        message_id, counted = former.get("message_id"), former.get("times")
        if type(message_id) is int and type(counted) is int:
            times += counted
            since = str(former.get("since", envelope.tried_at.isoformat()))
            said = self._say(
                "editMessageText",
                message_id=message_id,
                text=text_of(envelope, times=times, since=datetime.fromisoformat(since)),
            )
            if (
                isinstance(said, _Said)
                and said.status == HTTPStatus.BAD_REQUEST
                and _UNCHANGED not in said.description
            ):
                # It was deleted, or is too old. Said anew in a turn of its own, since this one is used up.
                return Receipt(
                    state="pending",
                    detail=f"Message {message_id}, which says the same, cannot be edited; it is said anew.",
                    asked_seconds=0.0,
                    reference={"anew": True},
                )
            reference: dict[str, JSON] = {"message_id": message_id, "times": times, "since": since}
            return self._receipt(said, reference, f"Counted on message {message_id}, which says the same.")
        said = self._say("sendMessage", text=text_of(envelope, times=times))
        reference = {"times": times, "since": envelope.tried_at.isoformat()}
        return self._receipt(said, reference, "")

    def probe(self, now: datetime) -> Probe:  # noqa: ARG002 - nothing is signed
        """Ask for the bot, the chat, and whether the bot may write there."""
        bot = self._call("getMe")
        if isinstance(bot, Unanswered):
            return Probe(
                is_well=False, detail=bot.why, cure="Check the way out, and POST_AUDIT_TELEGRAM_API."
            )
        if bot.result is None:
            return Probe(
                is_well=False, detail=_why(bot), cure="Copy TELEGRAM_BOT_TOKEN from @BotFather again."
            )
        chat = self._call("getChat", chat_id=self._chat)
        if isinstance(chat, Unanswered):
            return Probe(is_well=False, detail=chat.why, cure="Try again.")
        if chat.result is None:
            return Probe(
                is_well=False,
                detail=_why(chat),
                cure="Add the bot to the chat or write it a word, and check TELEGRAM_CHAT_ID.",
            )
        name = f"@{bot.result.get('username', 'the bot')}"
        if (obstacle := self._obstacle(bot.result, chat.result)) is not None:
            return Probe(
                is_well=False,
                detail=f"{name} {obstacle}.",
                cure="Add it to the chat and let it write there (in a channel: as administrator).",
            )
        return Probe(is_well=True, detail=f"{name} may write to the chat.")

    def _obstacle(self, bot: Mapping[str, Any], chat: Mapping[str, Any]) -> str | None:
        """Why the bot cannot write to a group or channel; None where it can, and for a person's chat."""
        if chat.get("type") not in {"group", "supergroup", "channel"}:
            return None
        answer = self._call("getChatMember", chat_id=self._chat, user_id=bot.get("id"))
        member = {} if isinstance(answer, Unanswered) else answer.result or {}
        is_channel, status = chat.get("type") == "channel", member.get("status")
        # in a channel only administrators write, and each right of theirs is given by itself
        may_write = member.get("can_post_messages") is True or status == "creator" if is_channel else True
        if status in {None, "left", "kicked"}:
            return "is not in the chat"
        if not may_write or (status == "restricted" and member.get("can_send_messages") is False):
            return f"is in the {'channel' if is_channel else 'chat'} and may not write there"
        return None

    def _say(self, method: str, **arguments: JSON) -> _Said | Unanswered:
        return self._call(
            method,
            chat_id=self._chat,
            **arguments,
            parse_mode="HTML",
            link_preview_options={"is_disabled": True},
        )

    def _call(self, method: str, **body: JSON) -> _Said | Unanswered:
        answer = self._poster.post(f"{self._api}/{method}", encode(body).encode(), {})
        return answer if isinstance(answer, Unanswered) else self._read(answer)

    def _read(self, answer: Answer) -> _Said:
        try:
            value: Any = None if answer.is_cut else decode(answer.body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            return _Said(status=answer.status, asked_seconds=answer.asked_seconds)
        result, parameters = value.get("result"), value.get("parameters")
        if value.get("ok") is True and isinstance(result, dict):
            return _Said(status=answer.status, result=result)
        parameters = parameters if isinstance(parameters, dict) else {}
        asked = parameters.get("retry_after", answer.asked_seconds)
        # Whoever answers in Telegram's place may repeat the address that it was asked at.
        description = str(value.get("description", "")).replace(self._token, "[redacted]")
        return _Said(
            status=answer.status,
            description=description[:_LONGEST_DESCRIPTION],
            parameters=parameters,
            asked_seconds=float(min(asked, _LONGEST_ASKED))
            if isinstance(asked, int | float) and asked >= 0
            else None,
        )

    @staticmethod
    def _receipt(said: _Said | Unanswered, reference: Mapping[str, JSON], told: str) -> Receipt:
        if isinstance(said, Unanswered):
            return Receipt(state="pending", detail=said.why, is_receiver_down=True)
        if said.result is not None:
            message_id = said.result.get("message_id")
            if type(message_id) is not int:
                return Receipt(state="delivered", detail="Telegram took it and gave it no number.")
            return Receipt(
                state="delivered",
                detail=told or f"Message {message_id}.",
                reference={**reference, "message_id": message_id},
            )
        if said.status == HTTPStatus.BAD_REQUEST and _UNCHANGED in said.description:
            return Receipt(state="delivered", detail=told, reference=reference)
        return Receipt(
            state="pending",
            detail=_why(said),
            asked_seconds=said.asked_seconds,
            is_receiver_down=said.status != HTTPStatus.BAD_REQUEST,
        )


def _why(said: _Said) -> str:
    """What Telegram's refusal means for the person who has to mend it."""
    moved = said.parameters.get("migrate_to_chat_id")
    if type(moved) is int:
        return f"The group has become a supergroup: set TELEGRAM_CHAT_ID to {moved}."
    match said.status:
        case 401 | 404:
            return "Telegram does not know the bot: check TELEGRAM_BOT_TOKEN."
        case 403:
            return f"The bot may not write to the chat: {said.description}"
        case 429:
            return "Telegram asks to wait."
        case _ if said.description:
            return f"Telegram answered {said.status}: {said.description}"
    return f"Telegram answered {said.status} in another form than its own."
