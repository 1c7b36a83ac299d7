"""`/api/admin/audits`: an audit report arrives, and a run starts, once per content; what the last ones did.

curl -H "Authorization: Bearer $TOKEN" --data-binary @report.sarif 'http://127.0.0.1:8000/api/admin/audits?name=report.sarif'
"""

from __future__ import annotations

import tempfile
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements import queue
from app.post_audit.steps.enhancements.importing import ImportReport, import_audit, store_audit
from app.post_audit.steps.enhancements.parsing import ParsedAudit, parse_stream
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from app.post_audit.steps.enhancements.tasks import Audits
from app.post_audit.web.context import DatabaseOfRequest

__all__ = ["PreviewedAudit", "ReceivedAudit", "router"]

router = APIRouter(prefix="/api/admin/audits", tags=["audits"])

_IN_MEMORY_BYTES = 5_000_000


class _TooLarge(InputError):
    """The report is above the size limit."""

    http_status = 413


class _WrongKind(InputError):
    """The report came wrapped in something."""

    http_status = 415


class _ReadAudit(BaseModel):
    """What was read from a report; see `ReceivedAudit`."""

    name: str
    format: str
    source: str
    target: str
    complete: bool
    findings: int
    different: int
    needs_review: int
    errors: list[str]
    mapping: dict[str, str]


class ReceivedAudit(_ReadAudit):
    """An audit that has arrived.

    `findings` counts what the report lists, `different` the tasks it can lead to; what it leads to is decided by the
    run. `state` is received until then. `known` when the same content was the newest of its scope already. `mapping`
    tells which column was read as what, where that was guessed.
    """

    id: int
    state: str
    known: bool
    content_hash: str


class PreviewedAudit(_ReadAudit):
    """What a report holds, and what importing it would do (`effect`).

    `needs_confirmation` when over half of the open tasks of its scope would close because it no longer reports them:
    a person has to approve that.
    """

    effect: ImportReport
    needs_confirmation: bool


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={
        status.HTTP_200_OK: {"description": "The same content is known already", "model": ReceivedAudit}
    },
)
async def receive_audit(  # noqa: PLR0913, PLR0917 - FastAPI reads the parameters of the address here
    request: Request,
    response: Response,
    database: DatabaseOfRequest,
    name: Annotated[str, Query(min_length=1, max_length=200)],
    source: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    target: Annotated[str | None, Query(max_length=200)] = None,
) -> ReceivedAudit:
    """Take the raw body as a report called `name`; 201 when it is new, 200 when it is known.

    A report that cannot be read is refused whole (422), one above the limit while it still comes in (413).
    """
    audit = await _parsed(request, name)
    stored = await run_in_threadpool(store_audit, database, audit, source=source, target=target)
    start_run = getattr(request.app.state, "start_run", None)
    if start_run is not None and stored.state == "received":
        # One run for one audit, however often it is sent: the tick is the audit's own.
        await run_in_threadpool(start_run, "audit", f"audit:{stored.id}")
    if stored.is_known:
        response.status_code = status.HTTP_200_OK
    return ReceivedAudit(
        **_as_read(audit, source, target),
        id=stored.id,
        state=stored.state,
        known=stored.is_known,
        content_hash=audit.content_hash,
    )


@router.post("/preview")
async def preview_audit(
    request: Request,
    database: DatabaseOfRequest,
    name: Annotated[str, Query(min_length=1, max_length=200)],
    source: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    target: Annotated[str | None, Query(max_length=200)] = None,
) -> PreviewedAudit:
    """Read a report and tell what importing it would do to the queue; nothing is stored."""
    audit = await _parsed(request, name)
    told = await run_in_threadpool(import_audit, database, audit, source=source, target=target, dry_run=True)
    return PreviewedAudit(**_as_read(audit, source, target), effect=told, needs_confirmation=told.closes_most)


@router.get("")
def recent_audits(
    database: DatabaseOfRequest,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    before: Annotated[int | None, Query(ge=1, description="`next` of the page before")] = None,
    source: Annotated[str | None, Query(max_length=200)] = None,
) -> Audits:
    """List audits, the newest first, and what each opened, closed, reopened and left as it was."""
    return queue.recent_audits(database, limit=limit, before=before, source=source)


async def _parsed(request: Request, name: str) -> ParsedAudit:
    """Read the body, to the disk where it is large, and parse it in a thread."""
    policy = EnhancementsPolicy()
    _check_head(request, policy)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > policy.maximum_bytes:
                raise _too_large(policy)
            body.write(chunk)
        return await run_in_threadpool(parse_stream, body, name, policy)


def _check_head(request: Request, policy: EnhancementsPolicy) -> None:
    """Refuse by the head alone what need not come in first."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise _WrongKind(
            "The report came as a form.", cure="Send the file itself as the body: curl --data-binary @FILE."
        )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > policy.maximum_bytes:
        raise _too_large(policy)


def _too_large(policy: EnhancementsPolicy) -> _TooLarge:
    return _TooLarge(
        f"The report has more than {policy.maximum_bytes // 1_000_000} MB.",
        cure="Let the tool report fewer rules or folders at a time, each with a target of its own.",
    )


def _as_read(audit: ParsedAudit, source: str | None, target: str | None) -> dict[str, Any]:
    """The fields of `_ReadAudit`; what the caller names goes before what the report says."""
    return {
        "name": audit.name,
        "format": audit.format,
        "source": audit.source if source is None else source,
        "target": audit.target if target is None else target,
        "complete": audit.is_complete,
        "findings": len(audit.findings),
        "different": len(audit.different),
        "needs_review": len(audit.needs_review),
        "errors": [f"{error.place}: {error.message}" for error in audit.errors],
        "mapping": audit.mapping,
    }
