"""Who somebody is, and what the three roles may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

__all__ = ["LOCAL", "Person", "Role", "Way"]

Way = Literal["session", "link", "token", "loopback"]
"""How somebody showed who they are: a login, the link that the program printed, an API token, or not at all on the
machine itself."""


class Role(StrEnum):
    """What somebody may do. Each role may do what the one before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"

    def includes(self, other: Role) -> bool:
        """Whether this role may do what `other` may."""
        return _ORDER.index(self) >= _ORDER.index(other)


_ORDER: Final = (Role.VIEWER, Role.OPERATOR, Role.APPROVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who was let in. `name` is what decisions, tasks and the audit log say."""

    name: str
    role: Role
    way: Way


LOCAL: Final = Person(name="local", role=Role.VIEWER, way="loopback")
"""Whoever asks from the machine itself, while no secret is set: reads the API, and nothing else."""
