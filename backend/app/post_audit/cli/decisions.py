"""Commands about decisions: `decisions`, `approve`, `reject`, `undo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.report import decision_view
from app.post_audit.cli.shared import (
    AsJson,
    Identifier,
    app,
    build,
    ist_of,
    out,
    person,
    print_json,
    progress,
)
from app.post_audit.errors import NotFound

if TYPE_CHECKING:
    from app.post_audit.compose import Application

__all__: list[str] = []


@app.command()
def decisions(
    identifier: Annotated[int | None, typer.Argument(metavar="[ID]", help="Show this one whole.")] = None,
    step_name: Annotated[str | None, typer.Option("--step", help="Only this step's.")] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for approval.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    before: Annotated[int | None, typer.Option(help="Only those before this number (the next page).")] = None,
    as_json: AsJson = False,
) -> int:
    """List decisions, newest first, or show one with its reasons and numbers."""
    with build() as application:
        if identifier is not None:
            return _show_decision(application, identifier, as_json=as_json)
        found: Any = application.database.call(
            "post_audit_read_decisions", before=before, limit=limit, step=step_name, waiting=waiting
        )
    if as_json:
        print_json({"decisions": found})
        return 0
    if not found:
        out.print("Nothing waits for approval." if waiting else "No decisions yet: post-audit run")
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("ID", "decided", "step", "state"):
        table.add_column(title, no_wrap=True)
    table.add_column("decision")
    for decision in found:
        table.add_row(
            str(decision["id"]),
            ist_of(decision["decided_at"]),
            decision["step"],
            decision["state"],
            Text(decision["headline"]),
        )
    out.print(table)
    return 0


def _show_decision(application: Application, identifier: int, *, as_json: bool) -> int:
    found: Any = application.database.call("post_audit_read_decision", decision_id=identifier)
    if found is None:
        raise NotFound(f"There is no decision {identifier}.", cure="See the list: post-audit decisions")
    if as_json:
        print_json(found)
        return 0
    out.print(
        Text(
            f"Decision {identifier} · {found['step']} · {found['state']}"
            f" · {ist_of(found['decided_at'])} · {found['actor']}",
            style="dim",
        )
    )
    out.print(Text(found["headline"], style="bold"))
    out.print(decision_view(found, with_numbers=True))
    return 0


_Subjects = Annotated[
    list[str] | None, typer.Option("--subject", help="Only this subject of the decision; may be repeated.")
]


def _settle(function: str, identifier: int, *, as_json: bool, **arguments: object) -> int:
    """Approve, reject or undo, carry out what is left in batches, and show the decision that came of it."""
    with build() as application:
        with progress() as bars:
            answer: Any = application.database.call(
                function, decision_id=identifier, actor=person(), **arguments
            )
            decision = answer["decision"]
            if answer["remaining"]:
                decision = application.runner.carry_out(decision["id"], answer["remaining"], bars)
            application.deliver()
        return _show_decision(application, decision["id"], as_json=as_json)


@app.command()
def approve(identifier: Identifier, subject: _Subjects = None, as_json: AsJson = False) -> int:
    """Carry out what a decision proposes."""
    return _settle("post_audit_apply_approval", identifier, as_json=as_json, subjects=subject or None)


@app.command()
def reject(
    identifier: Identifier,
    hold_days: Annotated[
        int | None, typer.Option(min=0, help="For how many days the same is not proposed again.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Decline what a decision proposes."""
    return _settle("post_audit_apply_rejection", identifier, as_json=as_json, hold_days=hold_days)


@app.command()
def undo(
    identifier: Identifier,
    subject: _Subjects = None,
    hold_days: Annotated[
        int | None, typer.Option(min=0, help="For how many days the same is not done again.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Take a decision back: restore the former values, tell the receivers, and hold."""
    return _settle(
        "post_audit_apply_undo", identifier, as_json=as_json, subjects=subject or None, hold_days=hold_days
    )
