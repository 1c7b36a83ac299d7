"""What every answer tells the browser: what may be loaded, framed, guessed and kept, and what may not."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["FOR_DATA", "SecurityHeaders"]

_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_CLOSED: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_PAGE: Final = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
FOR_DATA: Final = {**_ALWAYS, "Content-Security-Policy": _CLOSED, "Cache-Control": "no-store"}
"""The headers of an answer that is no page."""

# How the four inline scripts of a NiceGUI page begin. Only these get the page's nonce: a script that got into the page
# as text of somebody's begins otherwise, or stands inside one of these, where `<` is escaped.
_INLINE: Final = re.compile(
    rb"""<script(?= type="importmap">\s*\{"imports")"""
    rb"""|<script(?=>\s*addStyle = )"""
    rb"""|<script(?= type="module">\s*import \* as Vue from "vue";)"""
    rb"""|<script(?= type="module">\s*// Load DOMPurify )"""
)
_YEAR_SECONDS: Final = 31_536_000


class SecurityHeaders:
    """ASGI middleware that adds them. A route that has set one of them itself keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on and add to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        page = _Page(scope, send)
        await self._app(scope, receive, page.send)


class _Page:
    """One answer on its way out. The body of a page is held back until it is whole, to mark its scripts."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()
        self._nonce = secrets.token_urlsafe(16)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            is_page = headers.get("content-type", "").startswith("text/html")
            policy = _PAGE.format(nonce=self._nonce) if is_page else _CLOSED
            for name, value in _ALWAYS.items():
                headers.setdefault(name, value)
            if not headers.get("content-type", "").startswith(("text/javascript", "text/css")):
                headers.setdefault("Content-Security-Policy", policy)
                headers.setdefault("Cache-Control", "no-store")
            if self._is_secure:
                headers.setdefault("Strict-Transport-Security", f"max-age={_YEAR_SECONDS}")
            if is_page and f"'nonce-{self._nonce}'" in headers["content-security-policy"]:
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body", False):
                return
            marked = _INLINE.sub(rb'<script nonce="' + self._nonce.encode() + rb'"', bytes(self._body))
            start, self._start = self._start, None
            if "content-length" in (headers := MutableHeaders(scope=start)):
                headers["Content-Length"] = str(len(marked))
            await self._send(start)
            await self._send({"type": "http.response.body", "body": marked})
            return
        await self._send(message)

    @property
    def _is_secure(self) -> bool:
        asked = self._scope.get("state", {}).get("asked")
        return asked is not None and asked.scheme == "https"
