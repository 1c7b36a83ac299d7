"""What a route or a page gets: the database port of its application, and who is signed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from app.post_audit.ports import Database
from app.post_audit.web.access import NotSignedIn, Person, Role, Visit, allowed

__all__ = ["Approver", "DatabaseOfRequest", "Operator", "PersonOfRequest", "requires", "visit_of"]


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def visit_of(request: Request) -> Visit:
    """The visit that a request belongs to, for pages; raises `NotSignedIn`. The gate has put it there."""
    visit = getattr(request.state, "visit", None)
    if not isinstance(visit, Visit):
        raise NotSignedIn
    return visit


def _person(request: Request) -> Person:
    return visit_of(request).person


def requires(role: Role) -> Callable[[Request], Person]:
    """Make a dependency that gives the person, where their role includes `role`; raises `NotAllowed`."""

    def person(request: Request) -> Person:
        return allowed(visit_of(request).person, role)

    return person


DatabaseOfRequest = Annotated[Database, Depends(_database)]
PersonOfRequest = Annotated[Person, Depends(_person)]
Operator = Annotated[Person, Depends(requires(Role.OPERATOR))]
Approver = Annotated[Person, Depends(requires(Role.APPROVER))]
