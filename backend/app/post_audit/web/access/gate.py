"""The gate: every request and every socket passes it, or is turned away before any route sees it.

In this order: the host that is named, who asks, whose page asks, and what the role allows. What is not named here as
public is closed, so a route that is added later is closed until somebody says otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from app.post_audit.errors import PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.secrecy import redact
from app.post_audit.web.access.asked import Asked, host_alone
from app.post_audit.web.access.door import Door, cookie_name
from app.post_audit.web.access.login_page import trouble_page
from app.post_audit.web.access.people import LOCAL, Person, Role
from app.post_audit.web.access.refusals import CrossSite, NotSignedIn, WrongHost
from app.post_audit.web.access.visit import Visit, allowed
from app.post_audit.web.errors import answer_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Gate"]

_log = get_logger(__name__)

# What anybody may ask: whether we live, to sign in, the numbers that the marketplace shows anyway, and to report a bug.
_PUBLIC: Final = frozenset({"/health", "/ready", "/login", "/logout", "/favicon.ico"})
_FORMS: Final = frozenset({"/login", "/logout"})
_PUBLIC_BELOW: Final = ("/api/bugs", "/api/live")
_API: Final = ("/api", "/openapi.json", "/docs")
_SOCKET: Final = "/_nicegui_ws"
_POLICY_VIOLATION: Final = 1008


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


class Gate:
    """ASGI middleware that lets in whom the door knows."""

    def __init__(self, app: ASGIApp, *, door: Door) -> None:
        self._app = app
        self._door = door
        self._policy = door.policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request or handshake, and pass it on with `state.visit`, or answer in its place."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        asked = Asked.of(scope, self._policy)
        state = scope.setdefault("state", {})
        state["asked"] = asked
        try:
            visit = await self._judged(asked, is_socket=scope["type"] == "websocket")
        except PostAuditError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            else:
                await _refusal(asked, error)(scope, receive, send)
            return
        if visit is not None:
            state["visit"] = visit
        if scope["type"] == "websocket" and visit is not None:
            receive = self._watched(receive, visit)
        await self._app(scope, receive, send)

    async def _judged(self, asked: Asked, *, is_socket: bool) -> Visit | None:
        """Give the visit, None for what is public; raises what it is refused with."""
        if not self._policy.answers_to(host_alone(asked.host)):
            raise WrongHost(
                "This server does not answer to that host name.",
                cure="Name it in POST_AUDIT_HOSTS, or use the address that the server printed.",
            )
        if asked.path in _PUBLIC or _is_below(asked.path, _PUBLIC_BELOW):
            # Nobody has to be known here, so a database that is away does not stand in the way.
            if asked.changes and asked.path in _FORMS:
                _require_own_page(asked)
            return None
        person, renew = await self._identified(asked)
        if person is None:
            raise NotSignedIn
        is_of_socket = _is_below(asked.path, (_SOCKET,))
        # A browser adds the cookie whoever asks, so its pages have to be ours. A token is added by its program.
        if person.way in {"session", "link"} and (is_socket or is_of_socket or asked.changes):
            _require_own_page(asked)
        allowed(person, Role.OPERATOR if asked.changes and not is_of_socket else Role.VIEWER)

        def record(by: Person, action: str, subject: str) -> None:
            self._door.record(by, action, subject, asked.peer)

        return Visit(person, renew=renew, record=record)

    async def _identified(self, asked: Asked) -> tuple[Person | None, Callable[[], Person | None]]:
        """Who asks, and how to look again."""
        token, cookie = asked.bearer, asked.cookie(cookie_name(asked.scheme))
        if token is not None:
            look: Callable[..., Person | None] = self._door.person_of_token
            shown = token
        elif cookie is not None:
            look, shown = self._door.person_of_cookie, cookie
        else:
            return self._unnamed(asked), lambda: self._unnamed(asked)

        def renew() -> Person | None:
            return look(shown, fresh=True)

        person = await run_in_threadpool(look, shown, fresh=asked.changes)
        if person is None and token is not None:
            raise NotSignedIn("This API token is unknown or was revoked.")
        return (person or self._unnamed(asked)), renew

    def _unnamed(self, asked: Asked) -> Person | None:
        """Let the machine's own programs read the API while no secret is set; nobody else, and no page."""
        is_reading = asked.method in {"GET", "HEAD"} and _is_below(asked.path, _API)
        if self._policy.is_guarded or not asked.is_plain or asked.is_cross_site or not is_reading:
            return None
        return LOCAL

    def _watched(self, receive: Receive, visit: Visit) -> Receive:
        """End a socket whose session has ended."""
        checked = time.monotonic()
        every = self._policy.socket_recheck.total_seconds()

        async def watched() -> Message:
            nonlocal checked
            message = await receive()
            now = time.monotonic()
            # The framework's own signs of life come every few seconds, so this is reached on a quiet page too.
            if message["type"] == "websocket.receive" and now - checked >= every:
                checked = now
                try:
                    await run_in_threadpool(visit.require, Role.VIEWER)
                except NotSignedIn:
                    return {"type": "websocket.disconnect", "code": _POLICY_VIOLATION}
                except PostAuditError as error:
                    # A database that does not answer ends nobody's page; each deed asks it again anyway.
                    _log.warning("socket.not_checked", why=type(error).__name__)
            return message

        return watched


def _require_own_page(asked: Asked) -> None:
    if not asked.is_same_origin:
        raise CrossSite(
            "This request was not made by a page of this server.",
            cure="Use the server's own pages, or send an API token: Authorization: Bearer TOKEN.",
        )


def _refusal(asked: Asked, error: PostAuditError) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Answer in the one shape; a person who opens a page is led to the login, or told on a page."""
    wants_page = asked.method == "GET" and not _is_below(asked.path, (*_API, "/_nicegui", _SOCKET))
    if isinstance(error, NotSignedIn) and wants_page:
        return RedirectResponse(f"/login?next={quote(asked.path)}", status_code=303)
    if wants_page:
        return trouble_page(
            "This page cannot be shown now",
            redact(error.message),
            redact(error.cure),
            status=error.http_status,
        )
    answer: Response = answer_of(error)
    if isinstance(error, NotSignedIn):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer
