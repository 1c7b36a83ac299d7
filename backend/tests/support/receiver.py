"""A receiver of webhooks as n8n is one, and all the ways in which such a receiver can misbehave.

It verifies with the reference library of Standard Webhooks, drops repeats, keeps the newest version of each subject
and echoes what is in force. `clock` is what it takes for now.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, Self

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.support.serving import Quiet, Serving

__all__ = ["SECRET", "Kind", "Receiver", "Request"]

SECRET: Final = "whsec_cGxlYXNlLWRvLW5vdC11c2UtdGhpcy1zZWNyZXQtMDE="
_HANG_SECONDS: Final = 60

Kind = Literal[
    "500",
    "429",
    "silence",
    "drip headers",
    "drip body",
    "drop after applying",
    "accept and forget",
    "redirect",
    "other version",
    "other subject",
    "declined",
    "huge body",
    "bomb",
    "not json",
    "cut",
    "404",
]


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    headers: dict[str, str]
    body: dict[str, Any]
    at: float
    status: int


@dataclass
class Receiver(Serving):
    """Serves on a port of its own while the block lasts; `faults` are used up one a request."""

    secret: str | None = SECRET
    faults: deque[Kind] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    in_force: dict[str, dict[str, Any]] = field(default_factory=dict)
    applied: list[tuple[str, int]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    elsewhere: int = 0
    busiest: int = 0
    pause: Callable[[], object] = lambda: None
    knows_pings: bool = True

    def __enter__(self) -> Self:
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._inside = 0
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        super().__exit__(kind, error, trace)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(_Handler):
            pass

        Handler.receiver = receiver
        return Handler

    @property
    def url(self) -> str:
        return f"{self.address}/webhook/scale"

    def take(self, headers: dict[str, str], text: str) -> tuple[int, dict[str, Any]]:
        """Do what the workflow does."""
        with self._lock:
            self._inside += 1
            self.busiest = max(self.busiest, self._inside)
        try:
            self.pause()
            return self._take(headers, text)
        finally:
            with self._lock:
                self._inside -= 1

    def _take(self, headers: dict[str, str], text: str) -> tuple[int, dict[str, Any]]:
        if self.secret is not None:
            try:
                Webhook(self.secret).verify(text, headers)
            except WebhookVerificationError as error:
                return 401, {"error": str(error)}
        body = json.loads(text)
        if body.get("type") == "ping" and self.knows_pings:
            return 200, {"pong": True}
        subject, version = body["subject"], body["version"]
        with self._lock:
            held = self.in_force.get(subject)
            if headers["webhook-id"] not in self.seen and (held is None or held["version"] < version):
                self.in_force[subject] = body
                self.applied.append((subject, version))
            self.seen.add(headers["webhook-id"])
            now = self.in_force[subject]["version"]
        return 200, {"subject": subject, "version": now, "applied": now == version}


class _Handler(Quiet):
    receiver: ClassVar[Receiver]

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        self.receiver.elsewhere += 1
        self._answer(200, b"{}")

    def do_POST(self) -> None:  # noqa: N802 - the library's name
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path == "/elsewhere":
            self.receiver.elsewhere += 1
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.receiver.faults.popleft() if self.receiver.faults else None
        status, body = (
            (0, {}) if fault is not None and fault not in _AFTER else self.receiver.take(headers, text)
        )
        self.receiver.requests.append(
            Request(headers, json.loads(text), datetime.now(tz=UTC).timestamp(), status)
        )
        with suppress(ConnectionError):
            if fault is None:
                self._answer(status, json.dumps(body).encode())
            else:
                self.close_connection = True
                self._misbehave(fault, json.loads(text), json.dumps(body).encode())

    def _misbehave(self, fault: Kind, told: dict[str, Any], body: bytes) -> None:  # noqa: C901, PLR0912 - a list
        ours = {"subject": told.get("subject"), "version": told.get("version", 0), "applied": True}
        match fault:
            case "500":
                self._answer(500, b'{"message":"Error in workflow"}')
            case "404":
                self._answer(404, b'{"code":404,"message":"The requested webhook is not registered."}')
            case "429":
                self._answer(429, b"{}", {"Retry-After": "3"})
            case "silence":
                self.receiver.ended.wait(_HANG_SECONDS)
            case "drip headers":
                self._drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Long: " + b"x" * 10_000)
            case "drip body":
                self._drip(b"x" * 10_000, begin=b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
            case "drop after applying":
                pass
            case "accept and forget":
                self._answer(200, b'{"message":"Workflow was started"}')
            case "redirect":
                self._answer(302, b"", {"Location": "/elsewhere"})
            case "other version":
                self._answer(200, json.dumps({**ours, "version": ours["version"] - 1}).encode())
            case "other subject":
                self._answer(200, json.dumps({**ours, "subject": "capacity:other"}).encode())
            case "declined":
                declined = {**ours, "applied": False, "reason": "over\x1b[2J the plan's maximum"}
                self._answer(200, json.dumps(declined).encode())
            case "huge body":
                self._answer(200, b'{"version":1,"applied":true,"filler":"' + b"x" * 5_000_000 + b'"}')
            case "bomb":
                self._answer(200, b"[" * 60_000)
            case "not json":
                self._answer(200, b"\xff\xfe<html>")
            case "cut":
                self._answer(200, body, {"Content-Length": str(len(body) + 100)})

    def _drip(self, content: bytes, begin: bytes = b"") -> None:
        self.wfile.write(begin)
        for place in range(len(content)):
            if self.receiver.ended.wait(0.02):
                return
            self.wfile.write(content[place : place + 1])
            self.wfile.flush()

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


_AFTER: Final = frozenset({"drop after applying", "cut"})
"""The message is taken, and only then something goes wrong."""
