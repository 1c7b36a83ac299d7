"""`post-audit evidence`: what every check of the live counters found, and whether anybody altered that log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from app.post_audit.cli.shared import AsJson, app, build, ist_of, out, plain_table, print_json
from app.post_audit.errors import InputError
from app.post_audit.formats import count, counted

__all__: list[str] = []

_evidence = typer.Typer(help="The log of what the live counters were checked against.", no_args_is_help=True)
app.add_typer(_evidence, name="evidence")


@_evidence.command("list")
def list_evidence(
    counter: Annotated[str | None, typer.Option(help="Only this counter: leaderboard, ...")] = None,
    at: Annotated[
        str | None,
        typer.Option(help="What held at this moment, with its zone: 2026-03-31T12:00:00+05:30."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    before: Annotated[
        int | None, typer.Option(help="Only those before this position (the next page).")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List checks, newest first: what stood there, what the ledger says, and what was shown."""
    moment = None if at is None else _moment(at).isoformat()
    with build() as application:
        found: Any = application.database.call(
            "post_audit_read_live_evidence", counter=counter, before=before, at=moment, limit=limit
        )
    if as_json:
        print_json({"evidence": found})
        return 0
    if not found:
        out.print("Nothing was checked yet: post-audit step live_fomo")
        return 0
    table = plain_table("position", "checked", "counter", "verdict", "stood there", "recomputed", "shown")
    for row in found:
        values = (row["found_value"], row["recomputed_value"], row["published_value"])
        table.add_row(
            str(row["position"]),
            ist_of(row["at"]),
            Text(row["counter"]),
            row["verdict"],
            *("–" if value is None else count(value) for value in values),
        )
    out.print(table)
    return 0


@_evidence.command()
def verify(
    anchor: Annotated[
        str | None, typer.Option(help="A hash that was noted elsewhere, and has to be in the log.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Recompute the chain of hashes from the first check on; 1 where it does not hold."""
    parts: list[dict[str, Any]] = []
    first: int | None = 1
    with build() as application:
        while first is not None:
            part: Any = application.database.call(
                "post_audit_read_live_evidence_chain", first=first, anchor=anchor
            )
            parts.append(part)
            first = part["next"]
    holds = all(part["holds"] for part in parts)
    checked = sum(part["checked"] for part in parts)
    last_hash = next((part["last_hash"] for part in reversed(parts) if part["last_hash"]), None)
    broken = [row for part in parts for row in part["broken"]]
    bare = parts[-1]["decisions_without_evidence"]
    if as_json:
        print_json(
            {
                "holds": holds,
                "checked": checked,
                "last_hash": last_hash,
                "broken": broken,
                "decisions_without_evidence": bare,
            }
        )
    else:
        for row in broken:
            out.print(f"Position {row['position']}: {row['problem']}.")
        for decision in bare:
            out.print(f"Decision {decision} has lost its evidence.")
        if not holds and not broken and not bare:
            out.print("The hash that you noted is not in the log.")
        out.print(f"{counted(checked, 'check')}, {'all as written' if holds else 'not as written'}.")
        if last_hash is not None:
            out.print(f"Note the last hash elsewhere: {last_hash}")
    return 0 if holds else 1


def _moment(given: str) -> datetime:
    """Read a moment; raises `InputError` where it is none, or has no zone."""
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InputError(f"{given} is no moment with a zone.", cure="For example: 2026-03-31T12:00:00+05:30")
    return moment
