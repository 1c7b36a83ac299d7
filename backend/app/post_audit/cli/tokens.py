"""`post-audit tokens`: which programs may ask the API."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import typer
from rich.text import Text

from app.post_audit.cli.roles import AsRole, UserName, checked_role
from app.post_audit.cli.shared import AsJson, app, build, out, person, plain_table, print_json, tell

__all__: list[str] = []

_TOKEN_BYTES = 32


_tokens = typer.Typer(help="Tokens by which programs ask the API.", no_args_is_help=True)
app.add_typer(_tokens, name="tokens")


@_tokens.command("add")
def add_token(
    name: UserName,
    label: Annotated[str, typer.Option(help="What it is for.")] = "API",
    role: AsRole = "viewer",
    days: Annotated[int, typer.Option(min=1, max=3660, help="For how many days it holds.")] = 365,
    as_json: AsJson = False,
) -> int:
    """Make an API token of a user and print it; it is shown this once."""
    from app.post_audit.web.access.door import digest

    chosen = checked_role(role)
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
    table = plain_table("ID", "user", "for", "role", "until")
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
    return tell(answer, f"Token {identifier} is revoked.", as_json=as_json)
