"""Commands about messages on their way out: `outbox list`, `show`, `retry`, `drop`, `prune`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.shared import AsJson, app, build, ist_of, out, person, print_json
from app.post_audit.errors import NotFound
from app.post_audit.formats import count

__all__: list[str] = []

_outbox = typer.Typer(
    help="Messages to n8n and Telegram: what waits, what arrived, what was given up.", no_args_is_help=True
)
app.add_typer(_outbox, name="outbox")

_Number = Annotated[
    int, typer.Argument(metavar="NUMBER", help="The message's number, as `outbox list` shows it.")
]
_Numbers = Annotated[
    list[int], typer.Argument(metavar="NUMBER...", help="Numbers of messages, as `list` shows them.")
]
_SHOWN_DETAIL = 60


@_outbox.command("list")
def list_messages(
    state: Annotated[
        str | None,
        typer.Option(help="Only this state: pending, sent, applied, delivered, refused, dead, ..."),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only n8n_ab_update, n8n_scale or telegram.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    before: Annotated[int | None, typer.Option(help="Only those before this number (the next page).")] = None,
    as_json: AsJson = False,
) -> int:
    """List messages, newest first, with what came of each."""
    with build() as application:
        found: Any = application.database.call(
            "post_audit_read_messages", before=before, limit=limit, state=state, channel=channel
        )
    if as_json:
        print_json({"messages": found})
        return 0
    if not found:
        out.print("No messages.")
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("No.", "entered", "channel", "subject", "version", "state"):
        table.add_column(title, no_wrap=True)
    table.add_column("what came of it")
    for message in found:
        table.add_row(
            str(message["number"]),
            ist_of(message["created_at"]),
            message["channel"],
            Text(message["subject"]),
            str(message["version"]),
            message["state"],
            Text((message["detail"] or "")[:_SHOWN_DETAIL]),
        )
    out.print(table)
    return 0


@_outbox.command()
def show(number: _Number, as_json: AsJson = False) -> int:
    """Show one message whole."""
    with build() as application:
        found: Any = application.database.call("post_audit_read_message", number=number)
    if found is None:
        raise NotFound(f"There is no message {number}.", cure="See the list: post-audit outbox list")
    if as_json:
        print_json(found)
        return 0
    tries = "one try" if found["attempts"] == 1 else f"{count(found['attempts'])} tries"
    out.print(Text(f"Message {number} · {found['channel']} · {found['state']} · {tries}", style="bold"))
    rows = [
        ("about", f"{found['subject']}, version {found['version']}, decision {found['decision_id']}"),
        ("id", found["message_id"]),
        ("entered", ist_of(found["created_at"])),
    ]
    if found["settled_at"]:
        rows.append(("ended", ist_of(found["settled_at"])))
    if found["next_attempt_at"]:
        rows.append(("tried again", ist_of(found["next_attempt_at"])))
    rows.append(("came of it", found["detail"] or "nothing yet"))
    rows.append(("says", found["payload"].get("text") or json.dumps(found["payload"], ensure_ascii=False)))
    for name, value in rows:
        out.print(Text(f"  {name:<12}{value}"))
    return 0


@_outbox.command()
def retry(numbers: _Numbers, as_json: AsJson = False) -> int:
    """Try messages again now that were given up, refused or dropped, or that wait for their next try."""
    with build() as application:
        for number in numbers:
            application.database.call("post_audit_apply_message_retry", number=number, actor=person())
        application.deliver()
        found = [application.database.call("post_audit_read_message", number=number) for number in numbers]
    return _told(found, as_json=as_json)


@_outbox.command()
def drop(numbers: _Numbers, as_json: AsJson = False) -> int:
    """Never send messages that wait or were given up."""
    with build() as application:
        found = [
            application.database.call("post_audit_apply_message_drop", number=number, actor=person())
            for number in numbers
        ]
    return _told(found, as_json=as_json)


@_outbox.command()
def prune(
    days: Annotated[int, typer.Option(min=8, help="Messages that ended longer ago than this go.")] = 90,
    as_json: AsJson = False,
) -> int:
    """Delete old messages that arrived or were given up; the newest of each subject stays."""
    pruned = 0
    with build() as application:
        while True:
            answer: Any = application.database.call("post_audit_apply_prune_messages", older_than_days=days)
            pruned += answer["pruned"]
            if not answer["pruned"]:
                break
    if as_json:
        print_json({"pruned": pruned})
    else:
        out.print(f"Deleted {count(pruned)} {'message' if pruned == 1 else 'messages'}.")
    return 0


def _told(found: list[Any], *, as_json: bool) -> int:
    if as_json:
        print_json({"messages": found})
        return 0
    for message in found:
        out.print(
            Text(f"Message {message['number']} is {message['state']}. {message['detail'] or ''}".rstrip())
        )
    return 0
