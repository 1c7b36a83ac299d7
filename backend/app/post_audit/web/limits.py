"""How much a request may send: refused by its head where that says it, else while it still comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.web.errors import answer_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit"]

# The largest body of ours is a bug report: 20,000 signs of four bytes at most, and what surrounds them.
_USUAL_BYTES: Final = 200_000
# Files come here, each limited by its own route, which says it in its own words; this only stops what has no end.
_FILES: Final = ("/api/admin/audits", "/_nicegui/")


class _TooLarge(InputError):
    """The body has more than this address takes."""

    http_status = 413


class BodyLimit:
    """ASGI middleware that counts what comes in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._files_bytes = 2 * EnhancementsPolicy().maximum_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and stop it where it sends too much."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_file = scope["path"].startswith(_FILES)
        most = self._files_bytes if is_file else _USUAL_BYTES
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if not is_file and said.isdigit() and int(said[:20]) > most:
            refused = _TooLarge(f"The request has more than {most // 1000:,} kB.", cure="Send less at once.")
            await answer_of(refused)(scope, receive, send)
            return
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > most:
                # An HTTPException is what FastAPI lets through from the reading of a body.
                raise HTTPException(413, f"The request has more than {most // 1000:,} kB.")
            return message

        await self._app(scope, counted, send)
