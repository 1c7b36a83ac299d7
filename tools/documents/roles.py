"""Who is let in where: asked of the gate and of what a route depends on, in the name of each role."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from fastapi import FastAPI, Request

from app.post_audit.errors import ConfigurationError
from app.post_audit.ports import JSON
from app.post_audit.web.access import AccessPolicy, NotAllowed, NotSignedIn, Person, Role
from app.post_audit.web.access.door import digest
from app.post_audit.web.access.gate import Gate
from app.post_audit.web.server import create_app

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

__all__ = ["guarded_app", "least_role"]

_TOKENS: Final = {digest(role.value): role.value for role in Role}


class _Visitors:
    """A database that knows a visitor of each role, whose token is the role's name, and nothing else."""

    def call(self, function: str, **arguments: object) -> JSON:
        """Say who a token belongs to."""
        if function != "post_audit_read_visitor":
            raise ConfigurationError(f"There is no {function} here.", cure="Ask a database.")
        role = _TOKENS.get(str(arguments["token_hash"]))
        return None if role is None else {"name": role, "role": role}

    def describe(self) -> str:
        """Say what this is."""
        return "visitors"

    def close(self) -> None:
        """Nothing is held."""


@functools.cache
def guarded_app() -> FastAPI:
    """Make the application as it is with a secret, over a database that only knows who asks."""
    return create_app(_Visitors(), policy=AccessPolicy(is_guarded=True))


def least_role(app: FastAPI, method: str, path: str, dependant: Any = None) -> Role | None:  # noqa: ANN401 - FastAPI's, not public
    """Find the least role that may ask this; None where nobody has to be signed in. No endpoint is run.

    `dependant` is what the route depends on, as FastAPI keeps it. Raises `ValueError` where not even an approver may.
    """
    calls = tuple(_giving_person(dependant))
    options: tuple[Role | None, ...] = (None, *Role)
    for role in options:
        if asyncio.run(_is_let_in(app, method, path, calls, role)):
            return role
    raise ValueError(f"Nobody may ask {method} {path}.")


def _giving_person(dependant: Any) -> Iterator[Callable[[Request], Person]]:  # noqa: ANN401 - as above
    """What a route asks for the person: that is what may refuse a role."""
    for below in () if dependant is None else dependant.dependencies:
        yield from _giving_person(below)
        if get_type_hints(below.call).get("return") is Person:
            yield below.call


async def _is_let_in(
    app: FastAPI, method: str, path: str, calls: tuple[Callable[[Request], Person], ...], role: Role | None
) -> bool:
    passed = False

    async def inside(scope: Scope, _receive: Receive, _send: Send) -> None:
        nonlocal passed
        for call in calls:
            call(Request(scope))
        passed = True

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        """Only a refusal is sent, and that it is one is known already."""

    try:
        await Gate(inside, door=app.state.door)(_scope(method, path, role), receive, send)
    except (NotAllowed, NotSignedIn):
        return False
    return passed


def _scope(method: str, path: str, role: Role | None) -> dict[str, Any]:
    headers: Mapping[str, str] = {"host": "localhost", "origin": "http://localhost"}
    if role is not None:
        headers = {**headers, "authorization": f"Bearer {role.value}"}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "scheme": "http",
        "query_string": b"",
        "client": ("127.0.0.1", 50_000),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
