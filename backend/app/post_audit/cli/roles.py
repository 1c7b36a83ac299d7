"""What users and tokens share on the command line: a name, a role."""

from __future__ import annotations

from typing import Annotated

import typer

from app.post_audit.errors import InputError

__all__ = ["AsRole", "UserName", "checked_role"]

UserName = Annotated[str, typer.Argument(metavar="NAME", help="The user's name, in lower case.")]
AsRole = Annotated[str, typer.Option(help="viewer reads, operator acts, approver approves too.")]
_ROLES = ("viewer", "operator", "approver")


def checked_role(role: str) -> str:
    """The role as it was given; raises `InputError` where there is none of that name."""
    if role not in _ROLES:
        raise InputError(f"There is no role {role}.", cure=f"The roles are {', '.join(_ROLES)}.")
    return role
