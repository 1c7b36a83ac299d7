"""`/api/admin/status`, `/modes`, `/settings` and `/audit-log`: the state of the house and who did what in it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, SecretStr

from app.post_audit.secrecy import redact
from app.post_audit.settings import Settings
from app.post_audit.web.access import Role, allowed
from app.post_audit.web.context import Approver, DatabaseOfRequest, Operator, PersonOfRequest, visit_of
from app.post_audit.web.shapes import Before, Body, Limit, Open, StepName, following

__all__ = [
    "AuditEntry",
    "AuditLog",
    "Me",
    "Mode",
    "ModeBody",
    "Setting",
    "SettingsAnswer",
    "Status",
    "router",
]

router = APIRouter(prefix="/api/admin", tags=["house"])

_Mode = Literal["act", "propose", "paused"]


class Status(Open):
    """What a newcomer wants to know first. `waiting` counts decisions that wait for a person."""

    database: str
    schema_version: int
    marketplace: Literal["live", "demonstration"]
    as_of: datetime
    modes: dict[str, _Mode]
    bindings_needed: list[str]
    last_run: dict[str, Any] | None
    waiting: int
    outbox: dict[str, int]


class Me(BaseModel):
    """Who is asking, and how they showed it."""

    name: str
    role: Role
    way: str


class Mode(BaseModel):
    """What a step may do, who chose that, and when."""

    step: str
    mode: _Mode
    changed_by: str
    changed_at: datetime


class ModeBody(Body):
    """The mode that a step is to have."""

    mode: _Mode


class Setting(BaseModel):
    """One setting. The value of a secret is never told, only whether it is set."""

    name: str
    description: str
    is_set: bool
    is_secret: bool
    value: str | int | None


class SettingsAnswer(BaseModel):
    """Every setting as this server has it."""

    settings: list[Setting]


class AuditEntry(BaseModel):
    """Who did what. `way` says how they showed who they are: session, link, token, loopback or command."""

    id: int
    at: datetime
    actor: str
    way: str
    peer: str
    action: str
    subject: str


class AuditLog(BaseModel):
    """A page of the audit log, newest first; `next` is `before` of the next page."""

    entries: list[AuditEntry]
    next: int | None


@router.get("/status")
def house_status(database: DatabaseOfRequest) -> Status:
    """Tell the state of the house."""
    now: Any = database.call("post_audit_read_status")
    return Status.model_validate({"database": database.describe(), **now})


@router.get("/me")
def me(person: PersonOfRequest) -> Me:
    """Tell who is asking."""
    return Me(name=person.name, role=person.role, way=person.way)


@router.put("/modes/{step}")
def set_mode(
    request: Request, database: DatabaseOfRequest, person: Operator, step: StepName, body: ModeBody
) -> Mode:
    """Let a step act, propose or rest. To let it act by itself needs an approver; to hold it back, an operator."""
    if body.mode == "act":
        allowed(person, Role.APPROVER)
    answer: Any = database.call("post_audit_apply_mode", step=step, mode=body.mode, actor=person.name)
    visit_of(request).record("mode.changed", f"{step} to {body.mode}")
    return Mode.model_validate(answer)


@router.get("/settings")
def list_settings(request: Request) -> SettingsAnswer:
    """Tell the settings of this server, without its secrets."""
    settings: Settings | None = request.app.state.settings
    if settings is None:
        return SettingsAnswer(settings=[])
    return SettingsAnswer(
        settings=[
            _setting(field.alias or name.upper(), field.description or "", getattr(settings, name))
            for name, field in Settings.model_fields.items()
        ]
    )


@router.get("/audit-log")
def audit_log(
    database: DatabaseOfRequest,
    person: Approver,  # noqa: ARG001 - asks for the role
    before: Before = None,
    limit: Limit = 100,
) -> AuditLog:
    """Tell who did what, newest first."""
    found: Any = database.call("post_audit_read_audit_log", before=before, limit=limit)
    return AuditLog.model_validate({"entries": found, "next": following(found, limit)})


def _setting(name: str, description: str, value: object) -> Setting:
    is_secret = isinstance(value, SecretStr)
    shown: str | int | None = None
    if not is_secret and value is not None:
        shown = value if isinstance(value, int) else redact(str(value))
    return Setting(
        name=name,
        description=description,
        is_set=value is not None,
        is_secret=is_secret,
        value=shown if not isinstance(value, Path) else str(value),
    )
