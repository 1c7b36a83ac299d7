"""`post-audit bugs`: a bug that a user told somebody of, and a person's word on how bad one is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from app.post_audit.cli.shared import AsJson, app, build, out, person, print_json, tell
from app.post_audit.formats import count
from app.post_audit.steps.bugs.facts import Tier
from app.post_audit.steps.bugs.intake import BugReport, report_bug

__all__: list[str] = []

_bugs = typer.Typer(help="Bugs that users report.", no_args_is_help=True)
app.add_typer(_bugs, name="bugs")


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


@_bugs.command()
def override(
    bug: Annotated[
        str, typer.Argument(metavar="BUG", help="The bug's id, as decisions of step bugs show it.")
    ],
    severity: Annotated[
        Literal["critical", "high", "medium", "low"] | None, typer.Option(help="How bad it is.")
    ] = None,
    score: Annotated[
        float | None, typer.Option(min=0, help="Its score, in place of the one that is reckoned.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Set a bug's severity, its score, or both, from the next run on; with neither, your word is taken back."""
    with build() as application:
        answer: Any = application.database.call(
            "post_audit_apply_bug_override", bug=bug, actor=person(), severity=severity, score=score
        )
    said = " and ".join(
        part
        for part in (
            f"severity {severity}" if severity is not None else "",
            f"score {score:g}" if score is not None else "",
        )
        if part
    )
    sentence = f"Bug {bug} has {said} from the next run on." if said else f"Bug {bug} is reckoned again."
    return tell(answer, sentence, as_json=as_json)
