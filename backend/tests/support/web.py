"""Who asks the API in tests: where from, and as whom; and the API on a port of its own."""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.post_audit.ports import Database
from app.post_audit.web.access import AccessPolicy, passwords
from app.post_audit.web.access.door import digest
from app.post_audit.web.server import create_app
from tests.support.product import until

__all__ = [
    "GUARDED",
    "HERE",
    "PASSWORD",
    "THIS_MACHINE",
    "add_user",
    "browser",
    "served",
    "sign_in",
    "signed_token",
]

HERE: Final = "http://localhost:8000"
THIS_MACHINE: Final = ("127.0.0.1", 50000)
PASSWORD: Final = "a long enough password"
GUARDED: Final = AccessPolicy(key=b"a secret of thirty-two signs, or more", is_guarded=True)
"""As with a configured secret."""


@functools.cache
def _hashed() -> str:
    return passwords.hashed(PASSWORD)


def add_user(database: Database, name: str, role: str) -> None:
    """Add a user whose password is `PASSWORD`."""
    database.call("post_audit_apply_user", name=name, role=role, password_hash=_hashed(), actor="test")


def signed_token(database: Database, name: str, role: str, *, is_new: bool = True) -> str:
    """Make an API token of a user, who is added first where `is_new`."""
    if is_new:
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


@contextmanager
def browser(app: FastAPI, *, base: str = HERE, peer: str = "127.0.0.1") -> Iterator[TestClient]:
    """A browser that shows pages of `base`: it sends Origin with whatever changes something, and keeps cookies."""
    with TestClient(
        app,
        base_url=base,
        client=(peer, 50000),
        headers={"Origin": base},
        follow_redirects=False,
        raise_server_exceptions=False,
    ) as opened:
        yield opened


def sign_in(client: TestClient, name: str, password: str = PASSWORD, **headers: str) -> int:
    """Send the form of the login page; the status of the answer."""
    sent = client.post("/login", data={"name": name, "password": password, "next": "/admin"}, headers=headers)
    return sent.status_code


@contextmanager
def served(database: Database, policy: AccessPolicy | None = None) -> Iterator[str]:
    """The API on a free port of this machine; its address."""
    app = create_app(database, lambda _kind, _tick: None, policy=policy)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, proxy_headers=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the API is served")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
