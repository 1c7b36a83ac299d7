"""Who asks the API in tests: where from, and as whom."""

from __future__ import annotations

import functools
import secrets
from typing import Final

from app.post_audit.ports import Database
from app.post_audit.web.access import passwords
from app.post_audit.web.access.door import digest

__all__ = ["HERE", "PASSWORD", "THIS_MACHINE", "add_user", "signed_token"]

HERE: Final = "http://localhost:8000"
THIS_MACHINE: Final = ("127.0.0.1", 50000)
PASSWORD: Final = "a long enough password"


@functools.cache
def _hashed() -> str:
    return passwords.hashed(PASSWORD)


def add_user(database: Database, name: str, role: str) -> None:
    """Add a user whose password is `PASSWORD`."""
    database.call("post_audit_apply_user", name=name, role=role, password_hash=_hashed(), actor="test")


def signed_token(database: Database, name: str, role: str) -> str:
    """Add a user and make an API token of that role."""
    add_user(database, name, role)
    token = secrets.token_urlsafe(32)
    database.call(
        "post_audit_apply_token",
        name=name,
        label="tests",
        role=role,
        token_hash=digest(token),
        days=1,
        actor="test",
    )
    return token
