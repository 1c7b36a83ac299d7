"""`/login` and `/logout`: a plain page that needs no script, and the link that is printed at the start."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from app.post_audit.errors import PostAuditError
from app.post_audit.secrecy import redact
from app.post_audit.web.access.asked import Asked
from app.post_audit.web.access.door import Door, cookie_name
from app.post_audit.web.access.login_page import login_page
from app.post_audit.web.access.refusals import TooManyAttempts

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_HOME = "/admin"
_LONGEST_FORM_BYTES = 8_000


@router.get("/login")
async def login(request: Request, link: str | None = None) -> Response:
    """Show the form; with a link that has not been used, sign in at once."""
    door, asked = _door(request), _asked(request)
    following = _local(request.query_params.get("next", _HOME))
    if link is None:
        return login_page(following=following, is_guarded=door.policy.is_guarded)
    cookie = door.use_link(link)
    if cookie is None:
        return login_page(
            following=following,
            is_guarded=door.policy.is_guarded,
            error="This link has been used, or belongs to a server that has ended. Start it again for a new one: "
            "post-audit serve.",
            status=403,
        )
    return _signed_in(cookie, following, door, asked)


@router.post("/login")
async def try_to_log_in(request: Request) -> Response:
    """Try a name and a password; the gate has made sure that our own page sends them."""
    door, asked = _door(request), _asked(request)
    fields = parse_qs((await _form(request)).decode("utf-8", errors="replace"), keep_blank_values=True)
    name, password, following = (fields.get(key, [""])[0] for key in ("name", "password", "next"))
    following = _local(following)
    try:
        cookie = await run_in_threadpool(door.try_password, name, password, asked.peer)
    except PostAuditError as error:
        page = login_page(
            following=following,
            is_guarded=door.policy.is_guarded,
            name=name,
            error=redact(str(error)),
            status=error.http_status,
        )
        if isinstance(error, TooManyAttempts):
            page.headers["Retry-After"] = str(error.retry_after_seconds)
        return page
    if cookie is None:
        return login_page(
            following=following,
            is_guarded=door.policy.is_guarded,
            name=name,
            error="That name and that password do not belong together.",
            status=401,
        )
    return _signed_in(cookie, following, door, asked)


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session, for every process, and forget the cookie."""
    asked = _asked(request)
    cookie = asked.cookie(cookie_name(asked.scheme))
    answer: Response = RedirectResponse("/login", status_code=303)
    if cookie is not None:
        try:
            await run_in_threadpool(_door(request).end_session, cookie, asked.peer)
        except PostAuditError as error:
            # The browser forgets the session at least; what could not be ended is said.
            told = f"The session could not be ended on the server: {redact(str(error))}"
            answer = login_page(following=_HOME, is_guarded=True, error=told, status=error.http_status)
    answer.delete_cookie(
        cookie_name(asked.scheme), path="/", secure=asked.scheme == "https", httponly=True, samesite="lax"
    )
    # what the browser still keeps of our pages goes with the session
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


async def _form(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM_BYTES:
            return b""
    return body


def _signed_in(cookie: str, following: str, door: Door, asked: Asked) -> Response:
    answer = RedirectResponse(following, status_code=303)
    answer.set_cookie(
        cookie_name(asked.scheme),
        cookie,
        max_age=int(door.policy.session.total_seconds()),
        path="/",
        secure=asked.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


def _local(following: str) -> str:
    """Where to go on to: an address of ours, whatever was asked for."""
    is_ours = following.startswith("/") and not following.startswith(("//", "/\\", "/login", "/logout"))
    return following if is_ours and following.isprintable() else _HOME


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


def _asked(request: Request) -> Asked:
    asked: Asked = request.state.asked
    return asked
