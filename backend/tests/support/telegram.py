"""Telegram's Bot API as far as a bot that tells a chat needs it: formats, errors, markup and limits.

After https://core.telegram.org/bots/api and the limits of its FAQ: a message a second to a chat, twenty a minute to
a group; who sends more gets 429 with `retry_after` and is counted in `exceeded`. `clock` tells its time in seconds.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from tests.support.serving import Quiet, Serving

__all__ = ["CHAT", "GROUP", "TOKEN", "BotApi", "Shown"]

TOKEN: Final = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
CHAT: Final = "4711"
GROUP: Final = "-1004711"
_LONGEST: Final = 4096
_TAGS: Final = frozenset({"b", "strong", "i", "em", "u", "s", "code", "pre", "a", "tg-spoiler", "blockquote"})


@dataclass
class Shown:
    """One message in the chat as people see it."""

    message_id: int
    text: str
    at: float
    edits: int = 0


class _Markup(HTMLParser):
    """Telegram's HTML: known tags, each closed; entities amp, lt, gt, quot."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text = ""
        self.open: list[str] = []
        self.wrong = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in _TAGS:
            self.wrong = f'Unsupported start tag "{tag}"'
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong = f'Unmatched end tag "{tag}"'

    def handle_data(self, data: str) -> None:
        if "<" in data:
            self.wrong = "Unclosed start tag"
        self.text += data

    def handle_entityref(self, name: str) -> None:
        self.text += {"amp": "&", "lt": "<", "gt": ">", "quot": '"'}.get(name, f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.text += chr(int(name[1:], 16) if name.startswith("x") else int(name))


class _Refused(Exception):
    def __init__(self, status: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.status = status
        self.parameters = parameters


@dataclass
class BotApi(Serving):
    """Serves on a port of its own while the block lasts.

    `asks` are `retry_after` of the next answers, `faults` their statuses (0: the connection breaks after the
    message was taken). Limits are in seconds and messages a minute; None for none.
    """

    clock: Callable[[], float] = time.monotonic
    token: str = TOKEN
    spacing: float | None = 1.0
    per_minute: int | None = 20
    asks: deque[int] = field(default_factory=deque)
    faults: deque[int] = field(default_factory=deque)
    chats: dict[str, list[Shown]] = field(default_factory=lambda: {CHAT: [], GROUP: []})
    moved_to: int | None = None
    kind: str | None = None
    """The type of the chat, where it is not to be read from its number."""
    member: dict[str, Any] = field(default_factory=lambda: {"status": "member"})
    """What the bot is in the chat."""
    exceeded: int = 0
    calls: list[tuple[str, float]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._counted: dict[str, list[float]] = {}
        self._number = 100
        return super().__enter__()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(_Handler):
            pass

        Handler.api = api
        return Handler

    @property
    def url(self) -> str:
        return self.address

    @property
    def shown(self) -> list[str]:
        """The texts in all chats, oldest first."""
        return [message.text for chat in self.chats.values() for message in chat]

    def answer(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Do one call as the Bot API does."""
        self.paths.append(path)
        try:
            with self._lock:
                result = self._do(path, body, headers)
        except _Refused as refused:
            parameters = {"parameters": refused.parameters} if refused.parameters else {}
            return refused.status, {
                "ok": False,
                "error_code": refused.status,
                "description": str(refused),
                **parameters,
            }
        return 200, {"ok": True, "result": result}

    def _do(self, path: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        found = re.fullmatch(r"/bot([^/]+)/(\w+)", urlsplit(path).path)
        if found is None:
            raise _Refused(404, "Not Found")
        if found[1] != self.token:
            raise _Refused(401, "Unauthorized")
        if "json" not in headers.get("content-type", ""):
            raise _Refused(400, "Bad Request: message text is empty")
        told = json.loads(body)
        chat = str(told.get("chat_id", ""))
        self.calls.append((found[2], self.clock()))
        if found[2] == "getMe":
            return {"id": int(self.token.partition(":")[0]), "is_bot": True, "username": "post_audit_bot"}
        self._find(chat)
        if found[2] in {"getChat", "getChatMember"}:
            return self._about(found[2], chat, told)
        self._refuse_at_times(path)
        self._count(chat)
        text = self._read(told)
        match found[2]:
            case "sendMessage":
                self._number += 1
                message = Shown(self._number, text, self.clock())
                self.chats[chat].append(message)
            case "editMessageText":
                message = self._edit(chat, told.get("message_id"), text)
            case _:
                raise _Refused(404, "Not Found: method not found")
        return {
            "message_id": message.message_id,
            "chat": {"id": int(chat), "type": "supergroup" if chat.startswith("-") else "private"},
            "date": int(message.at),
            "text": text,
        }

    def _find(self, chat: str) -> None:
        if self.moved_to is not None and chat != str(self.moved_to):
            raise _Refused(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=self.moved_to,
            )
        if chat not in self.chats:
            raise _Refused(400, "Bad Request: chat not found")

    def _about(self, method: str, chat: str, told: dict[str, Any]) -> dict[str, Any]:
        if method == "getChat":
            return {
                "id": int(chat),
                "type": self.kind or ("supergroup" if chat.startswith("-") else "private"),
            }
        return {"user": {"id": told.get("user_id")}, **self.member}

    def _refuse_at_times(self, path: str) -> None:
        if self.asks:
            seconds = self.asks.popleft()
            raise _Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        if self.faults and self.faults[0] != 0:
            # as a proxy in between does it: with the address, and the token in it
            raise _Refused(self.faults.popleft(), f"Internal Server Error at {path}")

    def _count(self, chat: str) -> None:
        now = self.clock()
        counted = self._counted.setdefault(chat, [])
        last_minute = [at for at in counted if at > now - 60]
        limit = self.per_minute if chat.startswith("-") else None
        if self.spacing is not None and counted and now - counted[-1] < self.spacing:
            self.exceeded += 1
            raise _Refused(429, "Too Many Requests: retry after 1", retry_after=1)
        if limit is not None and len(last_minute) >= limit:
            self.exceeded += 1
            wait = int(60 - (now - last_minute[0])) + 1
            raise _Refused(429, f"Too Many Requests: retry after {wait}", retry_after=wait)
        counted.append(now)

    def _edit(self, chat: str, message_id: object, text: str) -> Shown:
        for message in self.chats[chat]:
            if message.message_id == message_id:
                if message.text == text:
                    raise _Refused(
                        400,
                        "Bad Request: message is not modified: specified new message content and reply markup are"
                        " exactly the same as a current content and reply markup of the message",
                    )
                message.text, message.edits = text, message.edits + 1
                return message
        raise _Refused(400, "Bad Request: message to edit not found")

    @staticmethod
    def _read(told: dict[str, Any]) -> str:
        text = str(told.get("text", ""))
        if told.get("parse_mode") == "HTML":
            markup = _Markup()
            markup.feed(text)
            markup.close()
            if markup.wrong or markup.open:
                raise _Refused(
                    400, f"Bad Request: can't parse entities: {markup.wrong or 'tags are left open'}"
                )
            text = markup.text
        if not text.strip():
            raise _Refused(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > _LONGEST:
            raise _Refused(400, "Bad Request: message is too long")
        return text


class _Handler(Quiet):
    api: ClassVar[BotApi]

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self.api.answer(self.path, body, headers)
        if self.api.faults and self.api.faults[0] == 0:
            self.api.faults.popleft()
            self.close_connection = True
            return
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if status == 429:
            self.send_header("Retry-After", str(answer["parameters"]["retry_after"]))
        self.end_headers()
        self.wfile.write(text)
