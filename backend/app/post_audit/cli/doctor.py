"""`doctor`: what is wrong, and what cures it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from app.post_audit.cli.shared import AsJson, app, out, print_json, progress
from app.post_audit.formats import count

if TYPE_CHECKING:
    from app.post_audit.doctor import Examination, Finding

__all__: list[str] = []

_MARKS: Final = {
    "well": ("✓", "green"),
    "note": ("○", "yellow"),
    "problem": ("✗", "bold red"),
    "misconfigured": ("✗", "bold red"),
}
"""How each level is marked, by its value."""


@app.command()
def doctor(
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask n8n and Telegram whether they would take messages.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Look at everything and say what is wrong: 0 nothing, 1 a problem, 2 something is set up wrongly."""
    from app.post_audit import logs
    from app.post_audit.doctor import examine
    from app.post_audit.web.access import AccessPolicy

    # what it finds it says itself, and it leaves no trace in the log
    logs.configure(log_file=None, level="WARNING", secrets=(), terminal_level=logging.ERROR)
    with progress() as bars:
        found = examine((AccessPolicy.of,), online=not offline, say=bars.say)
    if as_json:
        print_json(
            {
                "healthy": found.exit_code == 0,
                "worst": found.worst,
                "counts": found.counts,
                "findings": found.ordered(),
            }
        )
    else:
        _print(found)
    return found.exit_code


def _print(found: Examination) -> None:
    from app.post_audit.doctor import Level

    area = None
    for finding in found.ordered():
        if finding.area != area:
            area = finding.area
            out.print(Text(area.value, style="dim"))
        _print_finding(finding)
    notes, wrong = found.counts[Level.NOTE], len(found.wrong())
    out.print()
    judged = f"{count(wrong)} {'is' if wrong == 1 else 'are'} wrong" if wrong else "nothing is wrong"
    out.print(f"{count(len(found.findings))} things looked at: {judged}, {count(notes)} to know of.")


def _print_finding(finding: Finding) -> None:
    mark, style = _MARKS[finding.level.value]
    line = Table.grid(padding=(0, 1))
    for width in (2, 1, None):
        line.add_column(width=width)
    line.add_row("", Text(mark, style=style), Text(finding.text))
    if finding.cure:
        line.add_row("", "", Text(f"→ {finding.cure}", style="cyan"))
    out.print(line)
