"""`/health`: this process lives. `/ready`: its database answers, is migrated, and every role has a table."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response, status
from pydantic import BaseModel

from app.post_audit.errors import PostAuditError
from app.post_audit.web.context import DatabaseOfRequest

__all__ = ["Health", "Readiness", "router"]

router = APIRouter(tags=["state"])


class Health(BaseModel):
    """This process lives."""

    status: str


class Readiness(BaseModel):
    """Whether work can be done, and what stands in the way."""

    ready: bool
    database: str
    why: list[str]
    modes: dict[str, str] | None = None
    last_run: dict[str, Any] | None = None


@router.get("/health")
def health() -> Health:
    """Answer as long as this process lives."""
    return Health(status="ok")


@router.get("/ready", responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": Readiness}})
def ready(database: DatabaseOfRequest, response: Response) -> Readiness:
    """Answer 200 when work can be done, 503 with the reasons when not."""
    try:
        now: Any = database.call("post_audit_read_status")
    except PostAuditError as error:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        return Readiness(ready=False, database=database.describe(), why=[str(error)])
    why = [
        f"The role {role} has no table: post-audit bind {role} SCHEMA.TABLE"
        for role in now["bindings_needed"]
    ]
    if why:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Readiness(
        ready=not why, database=database.describe(), why=why, modes=now["modes"], last_run=now["last_run"]
    )
