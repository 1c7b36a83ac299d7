"""`post-audit bind`: which table of yours fills which role, and which could."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.shared import AsJson, app, build, out, person, plain_table, print_json
from app.post_audit.codec import encode
from app.post_audit.errors import InputError
from app.post_audit.formats import count
from app.post_audit.ports import JSON

__all__: list[str] = []


@app.command()
def bind(
    role: Annotated[
        str | None, typer.Argument(help="The role, for example suppliers; all are listed when not given.")
    ] = None,
    relation: Annotated[str | None, typer.Argument(help="Your table or view, with its schema.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="OURS=THEIRS, for each column of another name; OURS=THEIRS:rupees for rupees. May be repeated."
        ),
    ] = None,
    guess: Annotated[
        bool,
        typer.Option("--guess", help="Show which of your tables could fill which role, with sample values."),
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="With --guess: bind the best of each role.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Point a role at a table of your own, or list what each role is bound to."""
    if guess or accept:
        if role is not None or column or not guess:
            raise InputError("--guess looks at all roles.", cure="See them: post-audit bind --guess")
        return _guess(accept=accept, as_json=as_json)
    if (role is None) != (relation is None):
        raise InputError(
            "A binding needs a role and a table.",
            cure="For example: post-audit bind suppliers public.companies --column name=title",
        )
    with build() as application:
        if role is None:
            found: Any = application.database.call("post_audit_read_bindings")
        else:
            found = [
                application.database.call(
                    "post_audit_apply_binding",
                    role=role,
                    relation=relation,
                    columns=_mapping(column or []),
                    actor=person(),
                )
            ]
    if as_json:
        print_json({"bindings": found})
        return 0
    table = plain_table("role", "table", "columns of other names")
    for item in found:
        table.add_row(
            item["role"],
            item["relation"] if item["bound"] else f"needed: post-audit bind {item['role']} SCHEMA.TABLE",
            Text(encode(item["columns"]) if item["columns"] else ""),
        )
    out.print(table)
    return 0


def _guess(*, accept: bool, as_json: bool) -> int:
    """Show which tables could fill which role; bind the best of each when that was asked for."""
    with build() as application:
        guesses: Any = application.database.call("post_audit_read_binding_guesses")
        best = [found for found in guesses if found["best"] and found["unique_id"]]
        bound: Any = []
        if accept and best:
            # all of them or, where one is refused, none
            bound = application.database.call("post_audit_apply_bindings", bindings=best, actor=person())
    if as_json:
        print_json({"guesses": guesses, "bindings": bound})
        return 0
    if not guesses:
        out.print(
            "None of your tables looks like one of a role. Bind by hand: post-audit bind ROLE SCHEMA.TABLE"
        )
    for found in guesses:
        _print_guess(found)
    if accept:
        out.print(f"{count(len(bound))} roles are bound: post-audit bind")
    elif guesses:
        out.print(
            "A guess goes by names and types alone. Bind the first of each role: post-audit bind --guess --accept"
        )
    return 0


def _print_guess(found: dict[str, Any]) -> None:
    """One guess: its columns with sample values, and the command that binds it."""
    out.print(Text(f"{found['role']} ← {found['relation']}", style="bold"))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("  ours", "theirs", "for example"):
        table.add_column(title)
    for ours, values in found["samples"].items():
        theirs = found["columns"].get(ours, ours)
        named = f"{theirs['column']} in {theirs['unit']}" if isinstance(theirs, dict) else theirs
        known = ", ".join(value for value in values if value is not None)
        table.add_row(Text(f"  {ours}"), Text(named), Text(known or "no value yet"))
    out.print(table)
    if not found["unique_id"]:
        out.print("  Nothing keeps its id unique, so it cannot be bound as it is.")
    options = [
        f"--column {ours}={theirs['column']}:{theirs['unit']}"
        if isinstance(theirs, dict)
        else f"--column {ours}={theirs}"
        for ours, theirs in found["columns"].items()
    ]
    command = " ".join(["post-audit bind", found["role"], shlex.quote(found["relation"]), *options])
    out.print(Text(f"  {command}\n"), soft_wrap=True)


def _mapping(columns: list[str]) -> dict[str, JSON]:
    """Read OURS=THEIRS, and OURS=THEIRS:rupees for an amount that is not in paise."""
    mapping: dict[str, JSON] = {}
    for item in columns:
        ours, equals, theirs = item.partition("=")
        if not (ours and equals and theirs):
            raise InputError(
                f"--column {item} is not OURS=THEIRS.", cure="For example: --column name=company_name"
            )
        name, colon, unit = theirs.rpartition(":")
        mapping[ours] = {"column": name, "unit": unit} if colon and unit == "rupees" else theirs
    return mapping
