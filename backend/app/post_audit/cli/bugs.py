"""`post-audit bugs report`: a bug that a user told somebody of."""

from __future__ import annotations

from typing import Annotated

import typer

from app.post_audit.cli.shared import AsJson, app, out, print_json
from app.post_audit.compose import build
from app.post_audit.formats import count
from app.post_audit.steps.bugs.facts import Tier
from app.post_audit.steps.bugs.intake import BugReport, report_bug

__all__: list[str] = []

_bugs = typer.Typer(help="Bugs that users report.", no_args_is_help=True)
app.add_typer(_bugs, name="bugs")


@_bugs.callback()
def _group() -> None:
    """Keep `bugs` a group while it has one command."""


@_bugs.command()
def report(
    title: Annotated[str, typer.Argument(help="What happened, in a few words.")],
    description: Annotated[str, typer.Option(help="What was done, expected and seen.")] = "",
    page: Annotated[str | None, typer.Option(help="The page's address or route.")] = None,
    error_code: Annotated[str | None, typer.Option(help="The code that was shown.")] = None,
    app_version: Annotated[str | None, typer.Option(help="The version of the app.")] = None,
    reporter: Annotated[str | None, typer.Option(help="The user's id in the marketplace.")] = None,
    tier: Annotated[Tier, typer.Option(help="What the user is to the marketplace.")] = Tier.OTHER,
    key: Annotated[str | None, typer.Option(help="The same when the same report is sent again.")] = None,
    as_json: AsJson = False,
) -> int:
    """Store a report; it joins the bug it is of, and is ranked by the next run."""
    told = BugReport(
        title=title,
        description=description,
        page=page,
        error_code=error_code,
        app_version=app_version,
        reporter=reporter,
        tier=tier,
        idempotency_key=key,
    )
    with build() as application:
        receipt = report_bug(application.database, told)
    if as_json:
        print_json(receipt)
        return 0
    if receipt.repeated:
        out.print(f"This report was stored before, as report {receipt.report} of bug {receipt.bug}.")
    elif receipt.reopened:
        out.print(
            f"Stored. Bug {receipt.bug} had been fixed and is open again ({count(receipt.reports)} reports)."
        )
    elif receipt.already_known:
        out.print(f"Stored with bug {receipt.bug}, which now has {count(receipt.reports)} reports.")
    else:
        out.print(f"Stored as a new bug, {receipt.bug}. Rank it now: post-audit step bugs")
    return 0
