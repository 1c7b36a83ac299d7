"""What every command shares: the application of commands, its options, how it prints, who runs it."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.post_audit.codec import to_json
from app.post_audit.formats import counted, ist

if TYPE_CHECKING:
    from app.post_audit.compose import Application
    from app.post_audit.runner import AnyStep, StepReport

__all__ = [
    "AsJson",
    "DryRun",
    "Identifier",
    "StepName",
    "app",
    "build",
    "ist_of",
    "out",
    "person",
    "plain_table",
    "print_json",
    "progress",
    "tell",
]

app = typer.Typer(
    help="Six watches over a marketplace that decide, act and say why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Decide only; change nothing.")]
Identifier = Annotated[int, typer.Argument(metavar="ID", help="The decision's number, as reports show it.")]
StepName = Annotated[
    str, typer.Argument(metavar="STEP", help="The step's name, as `post-audit status` shows it.")
]

# Wide enough for a sentence where there is no terminal to ask.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def build(*, terminal_level: int | None = None) -> Application:
    """Build the application from the settings (see `compose.build`).

    Imported by the first call: a command that only shows its help does without three quarters of a second.
    """
    from app.post_audit.compose import build as build_application

    return build_application(terminal_level=terminal_level)


def print_json(document: object) -> None:
    """Print one document on standard output."""
    sys.stdout.write(json.dumps(to_json(document), ensure_ascii=False, indent=2) + "\n")


def tell(answer: object, sentence: str, *, as_json: bool) -> int:
    """Print what was done, as a document or as a sentence, and return the exit code 0."""
    if as_json:
        print_json(answer)
    else:
        out.print(sentence, markup=False)
    return 0


def plain_table(*titles: str) -> Table:
    """An empty table without lines, its titles dimmed."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title)
    return table


def person() -> str:
    """Who runs the command, for the record of decisions."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def ist_of(text: str) -> str:
    """A moment of the database's JSON, for people."""
    return ist(datetime.fromisoformat(text))


class _Bars:
    """Shows on a terminal which step is being run, and how far a long one has come."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("Starting", total=None)

    def step_started(self, step: AnyStep) -> None:
        self._bars.update(self._task, description=f"{step.title}: {step.question}")

    def step_ended(self, report: StepReport) -> None:
        self._bars.update(self._task, description=f"{report.title}: {report.state}")

    def preparing(self, notice: str) -> None:
        self._bars.update(self._task, description=notice)

    def batch_done(self, remaining: int) -> None:
        self._bars.update(self._task, description=f"Carrying out: {counted(remaining, 'change')} to go")

    def waiting(self, owner: str) -> None:
        self._bars.update(self._task, description=f"Another run is going on ({owner}); following it")

    def say(self, text: str) -> None:
        """Tell what is being done outside a run."""
        self._bars.update(self._task, description=text)


@contextmanager
def progress() -> Iterator[_Bars]:
    """Show progress on standard error, and only on a terminal: standard output belongs to the report."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield _Bars(bars)
