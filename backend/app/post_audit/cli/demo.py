"""`post-audit demo`: the demonstration marketplace, and what the steps found of what was planted in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.shared import AsJson, app, build, out, print_json, progress
from app.post_audit.errors import InputError
from app.post_audit.formats import count

if TYPE_CHECKING:
    from app.post_audit.demonstration import Verdict

__all__ = ["print_verdict"]


@app.command()
def demo(
    seed: Annotated[
        int | None, typer.Option(help="Another seed makes another marketplace; 20251112 when not given.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the demonstration out again.")] = False,
    verdict: Annotated[
        bool, typer.Option("--verdict", help="Compare what was planted with what was found.")
    ] = False,
    yes_into: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Load into this database of your own, which has to be empty."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Load an invented marketplace to try the steps on; it has a clock of its own and sends nothing."""
    from app.post_audit.demonstration import confusion, remove_demonstration

    with build() as application:
        if verdict:
            found = confusion(application.database)
            if as_json:
                print_json(found)
            else:
                print_verdict(out, found)
            return 0
        if remove:
            removed = remove_demonstration(application.conninfo)
            if as_json:
                print_json(removed)
            else:
                out.print(f"The demonstration is gone: {count(sum(removed.rows.values()))} rows removed.")
            return 0
        if not application.is_embedded and yes_into is None:
            raise InputError(
                f"This is a database of your own: {application.database.describe()}.",
                cure="Load the demonstration into it only if it is empty, naming it: post-audit demo --yes-into NAME",
            )
        with progress() as bars:
            bars.say("Making the demonstration marketplace")
            loaded = application.load_demonstration(seed=seed, into=yes_into)
    if as_json:
        print_json(loaded)
    else:
        out.print(
            f"Loaded {count(sum(loaded.rows.values()))} rows in {loaded.seconds:.1f} s. Now: post-audit run"
        )
    return 0


def print_verdict(console: Console, verdict: Verdict) -> None:
    """Print what was planted and what the steps found of it."""
    from app.post_audit.demonstration import COLUMNS

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in COLUMNS:
        table.add_column(column)
    for row in verdict.rows():
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
