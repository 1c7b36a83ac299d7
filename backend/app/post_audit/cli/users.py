"""`post-audit users` and `post-audit tokens`: who may sign in to the pages, and which programs may ask the API."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.shared import AsJson, app, out, person, print_json
from app.post_audit.compose import build
from app.post_audit.errors import InputError
from app.post_audit.formats import count

__all__: list[str] = []

_users = typer.Typer(help="Who may sign in to the pages.", no_args_is_help=True)
_tokens = typer.Typer(help="Tokens by which programs ask the API.", no_args_is_help=True)
app.add_typer(_users, name="users")
app.add_typer(_tokens, name="tokens")

_ROLES = ("viewer", "operator", "approver")
_TOKEN_BYTES = 32

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name, in lower case.")]
_Role = Annotated[str, typer.Option(help="viewer reads, operator acts, approver approves too.")]
_FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
]


def _checked_role(role: str) -> str:
    if role not in _ROLES:
        raise InputError(f"There is no role {role}.", cure=f"The roles are {', '.join(_ROLES)}.")
    return role


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
    name: _Name, role: _Role = "viewer", password_stdin: _FromInput = False, as_json: AsJson = False
) -> int:
    """Add a user; asks for the password."""
    chosen = _checked_role(role)
    hashed = _password(from_input=password_stdin)
    with build() as application:
        answer: Any = application.database.call(
            "post_audit_apply_user", name=name, role=chosen, password_hash=hashed, actor=person()
        )
    if as_json:
        print_json(answer)
    else:
        out.print(f"{name} may sign in as {chosen}.", markup=False)
    return 0


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
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("name", "role", "since", "sessions", "tokens"):
        table.add_column(title)
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
def remove_user(name: _Name, as_json: AsJson = False) -> int:
    """Remove a user; their sessions and tokens end at once."""
    with build() as application:
        answer: Any = application.database.call("post_audit_apply_user_removal", name=name, actor=person())
    if as_json:
        print_json(answer)
    else:
        out.print(f"{name} is removed; sessions and tokens have ended.", markup=False)
    return 0


@_users.command("password")
def change_password(name: _Name, password_stdin: _FromInput = False, as_json: AsJson = False) -> int:
    """Set a user's password; sessions that the old one opened end."""
    hashed = _password(from_input=password_stdin)
    with build() as application:
        answer: Any = application.database.call(
            "post_audit_apply_user_password", name=name, password_hash=hashed, actor=person()
        )
    if as_json:
        print_json(answer)
    else:
        out.print(
            f"The password of {name} is changed; sessions ended: {answer['ended_sessions']}.", markup=False
        )
    return 0


@_users.command("role")
def change_role(
    name: _Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or approver.")],
    as_json: AsJson = False,
) -> int:
    """Give a user another role; it holds at once."""
    with build() as application:
        answer: Any = application.database.call(
            "post_audit_apply_user_role", name=name, role=_checked_role(role), actor=person()
        )
    if as_json:
        print_json(answer)
    else:
        out.print(f"{name} is {role} from now on.", markup=False)
    return 0


@_tokens.command("add")
def add_token(
    name: _Name,
    label: Annotated[str, typer.Option(help="What it is for.")] = "API",
    role: _Role = "viewer",
    days: Annotated[int, typer.Option(min=1, max=3660, help="For how many days it holds.")] = 365,
    as_json: AsJson = False,
) -> int:
    """Make an API token of a user and print it; it is shown this once."""
    from app.post_audit.web.access.door import digest

    chosen = _checked_role(role)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    with build() as application:
        made: Any = application.database.call(
            "post_audit_apply_token",
            name=name,
            label=label,
            role=chosen,
            token_hash=digest(token),
            days=days,
            actor=person(),
        )
    if as_json:
        print_json({**made, "token": token})
        return 0
    out.print(f"Token {made['id']} of {name} as {chosen}, until {made['expires_at'][:10]}:", markup=False)
    out.print(token, markup=False)
    out.print("It is not shown again. A program sends it as: Authorization: Bearer TOKEN")
    return 0


@_tokens.command("list")
def list_tokens(as_json: AsJson = False) -> int:
    """List API tokens; what they are is not kept."""
    with build() as application:
        found: Any = application.database.call("post_audit_read_tokens")
    if as_json:
        print_json({"tokens": found})
        return 0
    if not found:
        out.print("No tokens yet: post-audit tokens add NAME")
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("ID", "user", "for", "role", "until"):
        table.add_column(title)
    for token in found:
        until = "revoked" if token["revoked_at"] else token["expires_at"][:10]
        table.add_row(str(token["id"]), Text(token["name"]), Text(token["label"]), token["role"], until)
    out.print(table)
    return 0


@_tokens.command("revoke")
def revoke_token(
    identifier: Annotated[
        int, typer.Argument(metavar="ID", help="The token's number, as the list shows it.")
    ],
    as_json: AsJson = False,
) -> int:
    """End an API token; its program is refused from then on."""
    with build() as application:
        answer: Any = application.database.call(
            "post_audit_apply_token_revocation", token_id=identifier, actor=person()
        )
    if as_json:
        print_json(answer)
    else:
        out.print(f"Token {identifier} is revoked.")
    return 0
