"""One shape for every error: `{"error": {"code", "message", "cure"}}`."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.post_audit.errors import PostAuditError
from app.post_audit.logs import get_logger, redact

__all__ = ["add_error_handlers"]

_log = get_logger(__name__)


def _answer(status: int, code: str, message: str, cure: str = "") -> JSONResponse:
    return JSONResponse(
        {"error": {"code": code, "message": redact(message), "cure": redact(cure)}}, status_code=status
    )


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PostAuditError)  # noqa: S101 - registered for this class alone
    return _answer(error.http_status, type(error).__name__, error.message, error.cure)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return _answer(422, "InputError", f"{place}: {first['msg']}.", "See /docs for what this address takes.")


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    return _answer(
        error.status_code, "HttpError", str(error.detail), "See /docs for the addresses there are."
    )


async def _bug(request: Request, error: Exception) -> JSONResponse:
    _log.exception("web.bug", path=request.url.path, exc_info=error)
    return _answer(
        500,
        "InternalError",
        "The program met a fault of its own.",
        "The log has the details; please report it.",
    )


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error in the one shape."""
    app.add_exception_handler(PostAuditError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)
