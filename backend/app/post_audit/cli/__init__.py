"""The command line: `post-audit`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import typer
from rich.console import Console
from typer.models import CommandInfo

from app.post_audit.cli import (
    audits,
    bindings,
    bugs,
    decisions,
    demo,
    doctor,
    evaluate,
    evidence,
    house,
    outbox,
    run,
    task_actions,
    tasks,
    tokens,
    users,
    workers,
)
from app.post_audit.cli.shared import app
from app.post_audit.errors import InputError, PostAuditError

__all__ = ["main"]

_INTERRUPTED = 130


def _name(command: CommandInfo) -> str:
    """What the command is called by on the command line."""
    return str(command.name or getattr(command.callback, "__name__", ""))


# Importing a module adds its commands; --help lists them in the order in which they are likely to be needed.
_MODULES = (
    run,
    workers,
    decisions,
    house,
    bindings,
    doctor,
    audits,
    tasks,
    task_actions,
    outbox,
    demo,
    bugs,
    evidence,
    evaluate,
    users,
    tokens,
)
_ORDER = (
    "run",
    "step",
    "schedule",
    "worker",
    "serve",
    "status",
    "doctor",
    "decisions",
    "approve",
    "reject",
    "undo",
    "arm",
    "pause",
)
app.registered_commands.sort(
    key=lambda command: _ORDER.index(name) if (name := _name(command)) in _ORDER else 99
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 a step or call failed, 2 wrong input or configuration."""
    given = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in given
    try:
        code: Any = app(args=given, prog_name="post-audit", standalone_mode=False)
    except PostAuditError as error:
        return _tell(error, as_json=as_json)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        where = "post-audit" if context is None else context.command_path
        return _tell(InputError(error.format_message(), cure=f"See: {where} --help"), as_json=as_json)
    except typer.Exit as ended:
        return ended.exit_code
    except (typer.Abort, KeyboardInterrupt):
        Console(stderr=True).print("Stopped. What was decided is kept; run again to go on.")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _tell(error: PostAuditError, *, as_json: bool) -> int:
    from app.post_audit.secrecy import redact

    message, cure = redact(error.message), redact(error.cure)
    if as_json:
        document = {"error": {"code": type(error).__name__, "message": message, "cure": cure}}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    else:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print("[bold red]Error[/] ", end="")
        console.print(message, markup=False)
        if cure:
            console.print(f"      {cure}", markup=False)
    return error.exit_code
