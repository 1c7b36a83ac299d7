"""Answers that many ask for at once: computed once a second, whoever asks, and known again by their ETag.

Fifty dashboards that look every two seconds would otherwise compute the same evidence fifty times. A second is less
than the two within which a change has to show, and whatever changes something through this server empties the memory.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HotReads"]

_HOT: Final = frozenset({"/api/admin/ab-test/stats", "/api/admin/tasks/pending"})
_SECONDS: Final = 1.0
# Different questions that are remembered at once; a page of 100 tasks is 60 kB.
_REMEMBERED: Final = 64
_OK: Final = 200
_WORTH_COMPRESSING: Final = 1000
_COMPRESSION: Final = 6


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    compressed: bytes | None
    """The body as gzip, once for all who take it: 0.2 ms of a processor for each that does not have to."""
    etag: str
    until: float


class HotReads:
    """ASGI middleware behind the gate: who asks has been let in, and the answers are the same for everybody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._answers: dict[tuple[str, bytes], asyncio.Task[_Answer]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from memory, or compute once for all who ask meanwhile."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in _HOT:
            if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
                try:
                    await self._app(scope, receive, send)
                finally:
                    self._answers.clear()
                return
            await self._app(scope, receive, send)
            return
        # Whoever goes away while it is computed does not take the answer of the others along.
        answer = await asyncio.shield(self._task(scope))
        asked = Headers(scope=scope)
        is_known = answer.status == _OK and _names(asked.get("if-none-match", ""), answer.etag)
        body = answer.body
        start: Message = {
            "type": "http.response.start",
            "status": 304 if is_known else answer.status,
            "headers": list(answer.headers),
        }
        headers = MutableHeaders(scope=start)
        if answer.status == _OK:
            headers["ETag"] = answer.etag
            headers["Cache-Control"] = "private, no-cache"
        if is_known:
            body = b""
            del headers["content-length"]
            del headers["content-type"]
        elif answer.compressed is not None and "gzip" in asked.get("accept-encoding", ""):
            body = answer.compressed
            headers["Content-Encoding"] = "gzip"
            headers["Content-Length"] = str(len(body))
            headers.add_vary_header("Accept-Encoding")
        await send(start)
        await send({"type": "http.response.body", "body": body})

    def _task(self, scope: Scope) -> asyncio.Task[_Answer]:
        key = (scope["path"], scope["query_string"])
        found = self._answers.get(key)
        if found is not None and not (found.done() and _is_over(found)):
            return found
        if len(self._answers) >= _REMEMBERED:
            self._answers.clear()
        task = asyncio.create_task(self._computed(scope))
        self._answers[key] = task
        return task

    async def _computed(self, scope: Scope) -> _Answer:
        """Let the route answer, and keep what it says."""
        sent: list[Message] = []

        async def no_body() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def keep(message: Message) -> None:
            sent.append(message)

        await self._app(dict(scope), no_body, keep)
        body = b"".join(message.get("body", b"") for message in sent)
        status = int(sent[0]["status"])
        etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        until = time.monotonic() + (_SECONDS if status == _OK else 0)
        compressed = gzip.compress(body, _COMPRESSION) if len(body) >= _WORTH_COMPRESSING else None
        return _Answer(status, list(sent[0]["headers"]), body, compressed, etag, until)


def _is_over(task: asyncio.Task[_Answer]) -> bool:
    if task.cancelled() or task.exception() is not None:
        return True
    return time.monotonic() >= task.result().until


def _names(header: str, etag: str) -> bool:
    """Whether If-None-Match names this answer; weakly, since compression changes the bytes and not what they say."""
    bare = etag.removeprefix("W/")
    return any(part.strip().removeprefix("W/") in {bare, "*"} for part in header.split(","))
