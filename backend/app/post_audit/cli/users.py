"""`post-audit users`: who may sign in to the pages."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.text import Text

from app.post_audit.cli.roles import AsRole, UserName, checked_role
from app.post_audit.cli.shared import AsJson, app, build, out, person, plain_table, print_json, tell
from app.post_audit.errors import InputError
from app.post_audit.formats import count

__all__: list[str] = []

_FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
]


_users = typer.Typer(help="Who may sign in to the pages.", no_args_is_help=True)
app.add_typer(_users, name="users")


def _password(*, from_input: bool) -> str:
    """Ask twice on a terminal, or read one line; hashed before it goes anywhere."""
    from app.post_audit.web.access import passwords

    if from_input or not sys.stdin.isatty():
        given = sys.stdin.readline().rstrip("\r\n")
    else:
        given = typer.prompt("Password", hide_input=True, err=True)
        if given != typer.prompt("Once more", hide_input=True, err=True):
            raise InputError("The two passwords differ; nothing was changed.", cure="Try again.")
    return passwords.hashed(passwords.checked(given))


@_users.command("add")
def add_user(
    name: UserName, role: AsRole = "viewer", password_stdin: _FromInput = False, as_json: AsJson = False
) -> int:
    """Add a user; asks for the password."""
    chosen = checked_role(role)
    hashed = _password(from_input=password_stdin)
    with build() as application:
        answer: Any = application.database.call(
            "post_audit_apply_user", name=name, role=chosen, password_hash=hashed, actor=person()
        )
    return tell(answer, f"{name} may sign in as {chosen}.", as_json=as_json)


@_users.command("list")
def list_users(as_json: AsJson = False) -> int:
    """List users with their roles."""
    with build() as application:
        found: Any = application.database.call("post_audit_read_users")
    if as_json:
        print_json({"users": found})
        return 0
    if not found:
        out.print("No users yet: post-audit users add NAME --role approver")
        return 0
    table = plain_table("name", "role", "since", "sessions", "tokens")
    for user in found:
        table.add_row(
            Text(user["name"]),
            user["role"],
            user["created_at"][:10],
            count(user["sessions"]),
            count(user["tokens"]),
        )
    out.print(table)
    return 0


@_users.command("remove")
def remove_user(name: UserName, as_json: AsJson = False) -> int:
    """Remove a user; their sessions and tokens end at once."""
    with build() as application:
        answer: Any = application.database.call("post_audit_apply_user_removal", name=name, actor=person())
    return tell(answer, f"{name} is removed; sessions and tokens have ended.", as_json=as_json)


@_users.command("password")
def change_password(name: UserName, password_stdin: _FromInput = False, as_json: AsJson = False) -> int:
    """Set a user's password; sessions that the old one opened end."""
    hashed = _password(from_input=password_stdin)
    with build() as application:
        answer: Any = application.database.call(
            "post_audit_apply_user_password", name=name, password_hash=hashed, actor=person()
        )
    return tell(
        answer,
        f"The password of {name} is changed; sessions ended: {answer['ended_sessions']}.",
        as_json=as_json,
    )


@_users.command("role")
def change_role(
    name: UserName,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or approver.")],
    as_json: AsJson = False,
) -> int:
    """Give a user another role; it holds at once."""
    with build() as application:
        answer: Any = application.database.call(
            "post_audit_apply_user_role", name=name, role=checked_role(role), actor=person()
        )
    return tell(answer, f"{name} is {role} from now on.", as_json=as_json)
