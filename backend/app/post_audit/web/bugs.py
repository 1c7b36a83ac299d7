"""`POST /api/bugs`: a user reports a bug."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response, status
from pydantic import BaseModel, Field

from app.post_audit.errors import InputError
from app.post_audit.steps.bugs.facts import Tier
from app.post_audit.steps.bugs.intake import LIMITS, BugReport, Receipt, report_bug
from app.post_audit.web.context import DatabaseOfRequest
from app.post_audit.web.shapes import Body

__all__ = ["ReportAnswer", "ReportBody", "router"]

router = APIRouter(prefix="/api/bugs", tags=["bugs"])

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
    responses={200: {"description": "Already known", "model": ReportAnswer}},
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
