"""One shape for every error: `{"error": {"code", "message", "cure"}}`."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app.post_audit.errors import PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.secrecy import redact
from app.post_audit.web.headers import FOR_DATA

__all__ = ["ErrorAnswer", "ErrorDetail", "add_error_handlers", "answer_of"]

_log = get_logger(__name__)

_CURES: Final = {
    405: "The header Allow names what this address takes; see /docs.",
    413: "Send less at once.",
    400: "See /docs for what this address takes.",
}


class ErrorDetail(BaseModel):
    """What happened, and what to do about it."""

    code: str
    message: str
    cure: str


class ErrorAnswer(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


def _answer(
    status: int, code: str, message: str, cure: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(
        {"error": {"code": code, "message": redact(message), "cure": redact(cure)}},
        status_code=status,
        headers=headers,
    )


def answer_of(error: PostAuditError) -> JSONResponse:
    """Answer with one of our errors; one that says how long to wait says it in Retry-After too."""
    code = type(error).__name__.lstrip("_")
    wait = getattr(error, "retry_after_seconds", None)
    headers = {"Retry-After": str(wait)} if wait is not None else None
    return _answer(error.http_status, code, error.message, error.cure, headers)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PostAuditError)  # noqa: S101 - registered for this class alone
    return answer_of(error)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return _answer(422, "InputError", f"{place}: {first['msg']}.", "See /docs for what this address takes.")


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    cure = _CURES.get(error.status_code, "See /docs for the addresses there are.")
    return _answer(
        error.status_code,
        "HttpError",
        str(error.detail),
        cure,
        dict(error.headers) if error.headers else None,
    )


async def _bug(request: Request, error: Exception) -> JSONResponse:
    _log.exception("web.bug", path=request.url.path, exc_info=error)
    # This one is answered outside the middleware that sets the headers.
    return _answer(
        500,
        "InternalError",
        "The program met a fault of its own.",
        "The log has the details; please report it.",
        FOR_DATA,
    )


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error in the one shape."""
    app.add_exception_handler(PostAuditError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)
