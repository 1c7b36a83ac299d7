"""`POST /api/bugs`: a user reports a bug."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request, Response, status
from pydantic import BaseModel, Field

from app.post_audit.errors import InputError, PostAuditError
from app.post_audit.steps.bugs.facts import Tier
from app.post_audit.steps.bugs.intake import LIMITS, BugReport, Receipt, report_bug
from app.post_audit.web.access import Door
from app.post_audit.web.access.asked import Asked
from app.post_audit.web.access.policy import household
from app.post_audit.web.context import DatabaseOfRequest
from app.post_audit.web.errors import ErrorAnswer
from app.post_audit.web.shapes import Body

__all__ = ["ReportAnswer", "ReportBody", "TooManyReports", "router"]

router = APIRouter(prefix="/api/bugs", tags=["bugs"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """How many reports come from one place before it has to wait."""

    per_address: int = 60
    """In one window. A person writes a handful; behind one address of a mobile carrier are many, and all of them
    meet the same fault at once. The most that one address can store is 170 MB a day."""

    per_token: int = 6_000
    """For a program that passes on what its own users report, and so is one address for all of them: ten a second."""

    window: timedelta = timedelta(minutes=10)


_LIMIT: Final = _Limit()


class TooManyReports(PostAuditError):
    """Too many bug reports from one place; `retry_after_seconds` says how long to wait."""

    http_status = 429

    def __init__(self, retry_after_seconds: int) -> None:
        minutes = -(-retry_after_seconds // 60)
        super().__init__(
            "Too many bug reports have come from here.",
            cure=f"Wait {minutes} {'minute' if minutes == 1 else 'minutes'}, then send it again; a program that "
            "passes on reports of others sends an API token.",
        )
        self.retry_after_seconds = retry_after_seconds


def _take_turn(request: Request, database: DatabaseOfRequest) -> None:
    """Count this report for its token's user, or else its address; raises `TooManyReports`."""
    asked: Asked = request.state.asked
    door: Door = request.app.state.door
    person = door.person_of_token(asked.bearer, fresh=False) if asked.bearer is not None else None
    answer: Any = database.call(
        "post_audit_apply_report_turn",
        who=f"token:{person.name}" if person is not None else f"address:{household(asked.peer)}",
        most=_LIMIT.per_token if person is not None else _LIMIT.per_address,
        window_seconds=int(_LIMIT.window.total_seconds()),
    )
    if not answer["allowed"]:
        raise TooManyReports(answer["retry_after_seconds"])


_Key = Annotated[str, Field(min_length=8, max_length=LIMITS["idempotency_key"])]


class ReportBody(Body):
    """What is reported. The form fills in everything but title and description."""

    title: Annotated[str, Field(min_length=1, max_length=LIMITS["title"])]
    description: Annotated[str, Field(max_length=LIMITS["description"])] = ""
    page: Annotated[str | None, Field(max_length=LIMITS["page"], description="address or route")] = None
    error_code: Annotated[str | None, Field(max_length=LIMITS["error_code"])] = None
    app_version: Annotated[str | None, Field(max_length=LIMITS["app_version"])] = None
    reporter: Annotated[
        str | None,
        Field(max_length=LIMITS["reporter"], description="the user's id; without it nobody is named"),
    ] = None
    tier: Tier = Tier.OTHER
    idempotency_key: Annotated[
        _Key | None, Field(description="the same when the same report is sent again; may come as a header")
    ] = None


class ReportAnswer(BaseModel):
    """What became of the report.

    `reports` counts all of this bug; `repeated` says that this very one had come before.
    """

    id: int | str
    report: int
    already_known: bool
    reports: int
    reopened: bool
    repeated: bool
    message: str


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"description": "Already known", "model": ReportAnswer},
        429: {
            "description": "More than 60 reports from one address within ten minutes, or 6,000 with one token",
            "model": ErrorAnswer,
            "headers": {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}},
        },
    },
    dependencies=[Depends(_take_turn)],
)
def report(
    body: ReportBody,
    response: Response,
    database: DatabaseOfRequest,
    idempotency_key: Annotated[_Key | None, Header()] = None,
) -> ReportAnswer:
    """Store a report and say whether the bug was known: 201 for a new bug, 200 for a known one."""
    if idempotency_key and body.idempotency_key and idempotency_key != body.idempotency_key:
        raise InputError("The header Idempotency-Key and the body name two keys.", cure="Send one of them.")
    receipt = report_bug(
        database,
        BugReport(
            title=body.title,
            description=body.description,
            page=body.page,
            error_code=body.error_code,
            app_version=body.app_version,
            reporter=body.reporter,
            tier=body.tier,
            idempotency_key=idempotency_key or body.idempotency_key,
        ),
    )
    if receipt.already_known or receipt.repeated:
        response.status_code = status.HTTP_200_OK
    return ReportAnswer(
        id=receipt.bug,
        report=receipt.report,
        already_known=receipt.already_known,
        reports=receipt.reports,
        reopened=receipt.reopened,
        repeated=receipt.repeated,
        message=_message(receipt),
    )


def _message(receipt: Receipt) -> str:
    if receipt.repeated:
        return "Thank you. We have this report already."
    if receipt.reopened:
        return "Thank you. This was fixed before; your report has opened it again."
    if receipt.already_known:
        return f"Thank you. This was already known: {receipt.reports} reports with yours."
    return "Thank you. You are the first to report this."
