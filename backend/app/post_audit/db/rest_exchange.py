"""One request over HTTP and its whole answer, within a deadline that nothing prolongs.

A limit for one read is met by an answer of one byte a second for as long as it lasts, and most of it comes before the
library returns: the headers. So requests run where they can be cancelled: in an event loop with a thread of its own,
since who calls may be inside a loop already.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

import httpx2

__all__ = ["Exchange"]

# A wrong address is to be known within 5 s.
_CONNECT_SECONDS: Final = 4.0
_T = TypeVar("_T")


class Exchange:
    """Posts to addresses below `base`; safe to use from several threads."""

    def __init__(self, base: str, headers: Mapping[str, str], *, connections: int) -> None:
        """Prepare a client; nothing is sent, and no thread runs, before the first request."""
        self._client = httpx2.AsyncClient(
            base_url=base,
            headers=headers,
            limits=httpx2.Limits(max_connections=connections),
            # the key goes where it was told to go
            follow_redirects=False,
        )
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None

    def post(self, path: str, content: bytes, *, seconds: float) -> tuple[httpx2.Response, bytes]:
        """Send one request and read its answer to the end within `seconds`, or raise `httpx2.HTTPError`."""
        return self._run(self._post(path, content, seconds))

    def close(self) -> None:
        """Give back every connection. May be called again."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            loop, thread = running
            asyncio.run_coroutine_threadsafe(self._client.aclose(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _run(self, deed: Coroutine[Any, Any, _T]) -> _T:
        with self._lock:
            if self._running is None:
                loop = asyncio.new_event_loop()
                # a daemon: who forgets to close is not kept from ending
                thread = threading.Thread(target=loop.run_forever, name="supabase", daemon=True)
                thread.start()
                self._running = loop, thread
            loop, _ = self._running
        future = asyncio.run_coroutine_threadsafe(deed, loop)
        try:
            return future.result()
        finally:
            # matters where who waits was interrupted; else it is done
            future.cancel()

    async def _post(self, path: str, content: bytes, seconds: float) -> tuple[httpx2.Response, bytes]:
        limit = httpx2.Timeout(seconds, connect=_CONNECT_SECONDS)
        answer = bytearray()
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream("POST", path, content=content, timeout=limit) as response,
            ):
                async for piece in response.aiter_bytes():
                    answer += piece
        except TimeoutError:
            message = "the answer trickles"
            raise httpx2.ReadTimeout(message) from None
        return response, bytes(answer)
