"""One request to a receiver that may do anything: be slow, drip, redirect, answer without end.

Whatever it does, the try ends within `Poster.total_seconds`, reads no more than `Poster.body_bytes`, goes to the
address that it was told to go to and nowhere else, and raises nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx2

from app.post_audit.errors import InvalidSetting

__all__ = ["Answer", "Poster", "Unanswered", "require_address"]

_REDIRECTS: Final = range(300, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a receiver answered; `body` is cut at the limit, and `asked_seconds` is its `Retry-After`."""

    status: int
    body: bytes
    is_cut: bool = False
    asked_seconds: float | None = None

    @property
    def is_redirect(self) -> bool:
        """Whether it points to another address, which is not followed."""
        return self.status in _REDIRECTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """No whole answer came; `why` is a sentence without anything that was sent."""

    why: str


class _HiddenPath(httpx2.AsyncBaseTransport):
    """Puts a secret in front of the path at the last moment, below everything that logs or raises with an address."""

    def __init__(self, transport: httpx2.AsyncBaseTransport, prefix: str) -> None:
        self._transport = transport
        self._prefix = prefix.encode("ascii")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url.copy_with(raw_path=self._prefix + request.url.raw_path)
        hidden = httpx2.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        return await self._transport.handle_async_request(hidden)

    async def aclose(self) -> None:
        await self._transport.aclose()


def require_address(setting: str, url: str) -> str:
    """Return the address of a receiver as it is to be used, or raise `InvalidSetting` without repeating it."""
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        address = httpx2.URL(url.strip())
    except (ValueError, httpx2.InvalidURL):
        usable, address = False, httpx2.URL()
    if not usable or not address.host:
        raise InvalidSetting(
            f"{setting} is not the address of a web server.", cure="Write it as https://HOST/PATH."
        ) from None
    return str(address.copy_with(fragment=None))


class Poster:
    """Sends one JSON document at a time, each over a connection of its own.

    The deadline has to hold while headers drip in, which a timeout of one read does not see; so each request has a
    loop of its own to be cancelled in, and a thread for it, since the caller may be inside a loop already.
    """

    def __init__(
        self,
        *,
        total_seconds: float = 10.0,
        connect_seconds: float = 4.0,
        body_bytes: int = 65_536,
        hidden_prefix: str = "",
    ) -> None:
        """`hidden_prefix` is put in front of each path; no error, log or traceback shows it."""
        self.total_seconds = total_seconds
        self.body_bytes = body_bytes
        self._connect_seconds = connect_seconds
        self._hidden_prefix = hidden_prefix
        self._certificates: ssl.SSLContext | None = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer | Unanswered:
        """Send once; never follow, never raise for what the receiver does."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox") as thread:
            if self._certificates is None and url.startswith("https:"):
                # reading them takes 20 ms, once
                self._certificates = ssl.create_default_context()
            return thread.submit(asyncio.run, self._post(url, body, headers)).result()

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer | Unanswered:
        transport: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(
            verify=self._certificates or False, trust_env=False
        )
        if self._hidden_prefix:
            transport = _HiddenPath(transport, self._hidden_prefix)
        try:
            async with (
                asyncio.timeout(self.total_seconds),
                # neither proxies nor passwords from the surroundings: what goes where stands in the settings alone
                httpx2.AsyncClient(
                    transport=transport,
                    timeout=httpx2.Timeout(self.total_seconds, connect=self._connect_seconds),
                    follow_redirects=False,
                    trust_env=False,
                ) as client,
                client.stream("POST", url, content=body, headers={**_PLAIN, **headers}) as response,
            ):
                return await self._read(response)
        except (TimeoutError, httpx2.ReadTimeout, httpx2.WriteTimeout):
            return Unanswered(why=f"It did not answer within {self.total_seconds:g} s.")
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            return Unanswered(why="Nobody answers there.")
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError):
            # The library's own words are left out: they may hold the address.
            return Unanswered(why="The connection broke before the answer was whole.")

    async def _read(self, response: httpx2.Response) -> Answer:
        body = bytearray()
        # as it comes: a small body that unpacks to a large one stays small
        async for part in response.aiter_raw():
            body += part
            if len(body) > self.body_bytes:
                break
        asked = response.headers.get("retry-after", "")
        return Answer(
            status=response.status_code,
            body=bytes(body[: self.body_bytes]),
            is_cut=len(body) > self.body_bytes,
            # Seconds; the other form, a date, would need two clocks that agree.
            asked_seconds=float(asked) if asked.isascii() and asked.isdecimal() else None,
        )


_PLAIN: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "post-audit",
}
