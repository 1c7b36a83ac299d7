"""A visit: who is signed in on a request or on an open page, and what they may do right now."""

from __future__ import annotations

from collections.abc import Callable

from app.post_audit.web.access.people import Person, Role
from app.post_audit.web.access.refusals import NotAllowed, NotSignedIn

__all__ = ["Visit", "allowed"]


def allowed(person: Person, role: Role) -> Person:
    """Give the person back; raises `NotAllowed` where their role does not include `role`."""
    if not person.role.includes(role):
        raise NotAllowed(
            f"{person.name} is a {person.role} here; this needs the role {role}.",
            cure="Ask somebody with that role, or have yours changed: post-audit users role NAME ROLE.",
        )
    return person


class Visit:
    """Somebody's visit.

    A page stays open for hours: `person` is who opened it, for what it shows. Before each deed it asks `require`, which
    looks again: a session that has ended, or a role that was taken away meanwhile, refuses.
    """

    def __init__(
        self,
        person: Person,
        *,
        renew: Callable[[], Person | None],
        record: Callable[[Person, str, str], None],
    ) -> None:
        self.person = person
        self._renew = renew
        self._record = record

    def allows(self, role: Role) -> bool:
        """Whether to offer what needs this role; offering is not permitting."""
        return self.person.role.includes(role)

    def require(self, role: Role) -> Person:
        """Look again who is signed in; raises `NotSignedIn` or `NotAllowed`. Blocks for one call of the database."""
        now = self._renew()
        if now is None:
            raise NotSignedIn("The session has ended.")
        self.person = now
        return allowed(now, role)

    def record(self, action: str, subject: str = "") -> None:
        """Write into the audit log what was done: `record("task.claimed", "task:17")`."""
        self._record(self.person, action, subject)
