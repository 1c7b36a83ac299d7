"""docs/reference/cli.md: the commands, asked of the command line itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from typer.main import get_command

from app.post_audit.cli.shared import app
from documents.markdown import HEAD, cell, table

__all__ = ["Command", "commands", "document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: its words after `post-audit`, what it does, how it is called, its parameters and their help."""

    words: str
    help: str
    usage: str
    parameters: tuple[tuple[str, str], ...]


_KINDS: Final = {"int": "NUMBER", "float": "NUMBER", "str": "TEXT", "path": "PATH", "datetime": "MOMENT"}


def _kind(found: re.Match[str]) -> str:
    name = found[1].removeprefix("list[").removesuffix("]").removesuffix(" range")
    return _KINDS.get(name, name.upper())


def _parameter(parameter: Any, context: Any) -> tuple[str, str]:  # noqa: ANN401 - Typer names no public types
    shown, told = parameter.get_help_record(context)
    if parameter.param_type_name == "argument":
        shown = _argument(parameter)
    return f"`{re.sub(r'<([^>]+)>', _kind, shown)}`", cell(told)


def _argument(parameter: Any) -> str:  # noqa: ANN401 - Typer names no public types
    name = (parameter.metavar or parameter.name.upper()).strip("[].{}")
    repeated = "..." if parameter.nargs == -1 else ""
    return f"{name}{repeated}" if parameter.required else f"[{name}]{repeated}"


def commands() -> list[Command]:
    """Every command of the command line, those of groups by their full words."""
    root = get_command(app)
    return list(_below(root, root.context_class(root, info_name="post-audit"), ""))


def _below(group: Any, context: Any, words: str) -> Iterator[Command]:  # noqa: ANN401 - Typer names no public types
    for name, command in group.commands.items():
        full = f"{words} {name}".strip()
        own = command.context_class(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            yield from _below(command, own, full)
            continue
        parameters = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
        arguments = [_argument(p) for p in parameters if p.param_type_name == "argument"]
        options = ["[OPTIONS]"] if len(arguments) < len(parameters) else []
        yield Command(
            words=full,
            help=" ".join((command.help or "").split()),
            usage=" ".join(["post-audit", full, *arguments, *options]),
            parameters=tuple(_parameter(p, own) for p in parameters),
        )


def document() -> str:
    """Make the text of the document."""
    about = (
        "`make install` puts the command at `.venv/bin/post-audit`; without it, from `backend/`:"
        " `python -m app.post_audit`. Exit codes: 0 done, 1 a step or a call failed, 2 wrong input or"
        " configuration, 130 interrupted. With `--json`, errors too are one document on standard output:"
        ' `{"error": {"code", "message", "cure"}}` ([errors](errors.md)).\n\n'
    )
    found = commands()
    listed = [(f"[`{c.words}`](#{c.words.replace(' ', '-')})", cell(c.help)) for c in found]
    parts = [HEAD.format(source="backend/app/post_audit/cli", title="Commands"), about]
    parts.append(table(("Command", "What it does"), listed))
    for command in found:
        parts += [f"\n## {command.words}\n\n{command.help}\n\n```\n{command.usage}\n```\n"]
        if command.parameters:
            parts += ["\n", table(("Parameter", "Meaning"), list(command.parameters))]
    return "".join(parts)
