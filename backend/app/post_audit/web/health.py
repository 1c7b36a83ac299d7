"""`/health`: this process lives. `/ready`: its database answers, is migrated, and every role has a table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Response, status
from pydantic import BaseModel

from app.post_audit.errors import PostAuditError
from app.post_audit.web.context import DatabaseOfRequest

__all__ = ["Health", "Readiness", "router"]

# Longer than any receiver's bad moment of the usual length.
_OLD_MESSAGE: Final = timedelta(minutes=15)

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
    operations: dict[str, Any] | None = None
    warnings: list[str] = []
    """What is not as it should be, and does not keep work from being done."""


@router.get("/health")
def health() -> Health:
    """Answer as long as this process lives."""
    return Health(status="ok")


@router.get("/ready", responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": Readiness}})
def ready(database: DatabaseOfRequest, response: Response) -> Readiness:
    """Answer 200 when work can be done, 503 with the reasons when not."""
    try:
        now: Any = database.call("post_audit_read_status")
        operations: Any = database.call("post_audit_read_operations")
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
        ready=not why,
        database=database.describe(),
        why=why,
        modes=now["modes"],
        last_run=now["last_run"],
        operations=operations,
        warnings=_warnings(operations),
    )


def _warnings(operations: Mapping[str, Any]) -> list[str]:
    """Sentences about what somebody should look at."""
    found = []
    run, messages = operations["run"], operations["messages"]
    if run is not None and run["lease_remaining_seconds"] < 0:
        found.append(f"Run {run['id']} waits for a worker: its owner gives no sign of life.")
    if messages["oldest_seconds"] > _OLD_MESSAGE.total_seconds():
        minutes = round(messages["oldest_seconds"] / 60)
        found.append(f"Messages that wait: {messages['waiting']}, the oldest for {minutes} minutes.")
    missed = [worker["kind"] for worker in operations["workers"] if not worker["alive"]]
    if missed:
        found.append(f"Not seen for a minute: {', '.join(missed)}.")
    return found
