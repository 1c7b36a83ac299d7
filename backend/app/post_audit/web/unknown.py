"""Addresses that are none of ours, and methods that an address does not take: answered before the pages see them.

The pages are mounted on `/`, so they would answer for everything that no route takes, in HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

__all__ = ["Unknown"]

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Unknown(BaseRoute):
    """The route behind all routes of the API and before the pages."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        """Remember which routes stand before this one."""
        self._routes = tuple(routes)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what begins like the API, and what a route would take by another method."""
        if scope["type"] != "http":
            return Match.NONE, {}
        is_ours = scope["path"].startswith("/api/") or bool(self._allowed(scope))
        return (Match.FULL if is_ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as Starlette calls it
        """Refuse with 405 where another method would be taken, else with 404."""
        allowed = self._allowed(scope)
        if allowed:
            raise HTTPException(
                405, f"{scope['method']} is not taken here.", {"Allow": ", ".join(sorted(allowed))}
            )
        raise HTTPException(404, "There is no such address.")

    def _allowed(self, scope: Scope) -> set[str]:
        """The methods that this path takes; a router does not say them, so each is tried."""
        if all(route.matches(scope)[0] is Match.NONE for route in self._routes):
            return set()
        return {
            method
            for method in _METHODS
            if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in self._routes)
        }
