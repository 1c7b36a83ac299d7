"""Writes docs/reference/*.md from the code that it describes, and checks that it is up to date.

python tools/reference.py           writes the files
python tools/reference.py --check   exits 1 naming those that differ from the code

Settings come from the fields of `Settings`, commands from the command line itself, SQL functions from
`supabase/schemas` with the comment above each, errors from their classes. Needs the project installed
(`make install`), or `backend` on the path.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from typer.main import get_command

from app.post_audit import errors
from app.post_audit.cli.shared import app
from app.post_audit.errors import BindingNeeded, PostAuditError, error_for_sqlstate
from app.post_audit.settings import Settings, project_folder
from app.post_audit.steps.enhancements import lexicon
from app.post_audit.steps.enhancements.readers import all_readers

__all__ = [
    "REFERENCE",
    "Command",
    "SqlFunction",
    "commands",
    "documents",
    "main",
    "setting_name",
    "sql_functions",
]

PROJECT: Final = Path(__file__).resolve().parents[1]
REFERENCE: Final = PROJECT / "docs" / "reference"
SCHEMAS: Final = PROJECT / "supabase" / "schemas"

_HEAD: Final = (
    "<!-- Made by tools/reference.py from {source}. Change that, then run: make docs -->\n\n# {title}\n\n"
)


def _cell(text: str) -> str:
    """Make text fit for a cell of a table: one line, and no sign that ends the cell or opens a tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# ---- settings ----


def setting_name(name: str, field: FieldInfo) -> str:
    """The name of a setting as it stands in the environment."""
    return field.alias or name.upper()


def _setting_type(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    if isinstance(annotation, UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in get_args(annotation))
    least = next((limit.ge for limit in field.metadata if isinstance(limit, Ge)), None)
    most = next((limit.le for limit in field.metadata if isinstance(limit, Le)), None)
    if annotation is int and least is not None and most is not None:
        return f"whole number, {least} to {most}"
    names = {SecretStr: "text, secret", Path: "path", int: "whole number", str: "text"}
    return names.get(annotation, str(getattr(annotation, "__name__", annotation)))


def _setting_default(field: FieldInfo) -> str:
    match field.default:
        case None:
            return "not set"
        case Path() as path:
            return f"`{path.relative_to(project_folder())}`"
        case value:
            return f"`{value}`"


def _settings() -> str:
    rows = [
        (
            f"`{setting_name(name, field)}`",
            _cell(field.description or ""),
            _setting_type(field),
            _setting_default(field),
        )
        for name, field in Settings.model_fields.items()
    ]
    return (
        _HEAD.format(source="backend/app/post_audit/settings.py", title="Settings")
        + "Read from the environment and from `.env` (UTF-8) in the project's folder and in the working folder;"
        " the environment wins, then the working folder. A value that is empty counts as not given. Paths that are"
        " shown as relative lie in the project's folder, or in the working folder when the product is installed as a"
        " wheel. A value that cannot be used ends every command with exit code 2 and names the setting, never its"
        " value.\n\n" + _table(("Name", "What it is", "Type", "When it is not given"), rows)
    )


# ---- commands ----


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
    return f"`{re.sub(r'<([^>]+)>', _kind, shown)}`", _cell(told)


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


def _cli() -> str:
    about = (
        "`make install` puts the command at `.venv/bin/post-audit`; without it, from `backend/`:"
        " `python -m app.post_audit`. Exit codes: 0 done, 1 a step or a call failed, 2 wrong input or"
        " configuration, 130 interrupted. With `--json`, errors too are one document on standard output:"
        ' `{"error": {"code", "message", "cure"}}` ([errors](errors.md)).\n\n'
    )
    listed = [(f"[`{c.words}`](#{c.words.replace(' ', '-')})", _cell(c.help)) for c in commands()]
    parts = [_HEAD.format(source="backend/app/post_audit/cli", title="Commands"), about]
    parts.append(_table(("Command", "What it does"), listed))
    for command in commands():
        parts += [f"\n## {command.words}\n\n{command.help}\n\n```\n{command.usage}\n```\n"]
        if command.parameters:
            parts += ["\n", _table(("Parameter", "Meaning"), list(command.parameters))]
    return "".join(parts)


# ---- SQL functions ----


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlFunction:
    """One function of schema public: its name, arguments with type and default, STABLE or VOLATILE, its comment."""

    name: str
    arguments: tuple[str, ...]
    returns: str
    volatility: str
    comment: str
    file: str


_FUNCTION: Final = re.compile(r"((?:^--[^\n]*\n)*)^CREATE FUNCTION public\.(\w+)\s*\(", re.MULTILINE)


def sql_functions(schemas: Path = SCHEMAS) -> list[SqlFunction]:
    """Every function that the migration puts into schema public, in the order of the files."""
    return [
        function
        for path in sorted(schemas.glob("*.sql"))
        for function in _functions_of(path.name, path.read_text(encoding="utf-8"))
    ]


def _functions_of(file: str, text: str) -> Iterator[SqlFunction]:
    for found in _FUNCTION.finditer(text):
        arguments, rest = _until_closed(text[found.end() :])
        heading = re.match(r"\s*RETURNS (\w+)\s.*?\b(STABLE|VOLATILE|IMMUTABLE)\b", rest, re.DOTALL)
        if heading is None:
            raise ValueError(f"{file}: what {found[2]} returns, and whether it is STABLE, cannot be read.")
        yield SqlFunction(
            name=found[2],
            arguments=tuple(_split(arguments)),
            returns=heading[1],
            volatility=heading[2],
            comment=_comment(found[1]),
            file=file,
        )


def _until_closed(text: str) -> tuple[str, str]:
    """Split a text behind the bracket that closes the one before it."""
    depth = 1
    for position, sign in enumerate(text):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0:
            return text[:position], text[position + 1 :]
    raise ValueError("A list of arguments does not end.")


def _split(arguments: str) -> Iterator[str]:
    """Split a list of arguments at the commas that no bracket holds."""
    depth, begin = 0, 0
    for position, sign in enumerate(f"{arguments},"):
        depth += {"(": 1, ")": -1, "[": 1, "]": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            argument = " ".join(arguments[begin:position].split())
            if argument:
                yield argument
            begin = position + 1


def _comment(lines: str) -> str:
    """Turn a comment of SQL into a paragraph; its indented lines `word  meaning` become a list."""
    told: list[str] = []
    for line in lines.splitlines():
        text = line.removeprefix("--").removeprefix(" ").rstrip()
        entry = re.match(r"\s+(\S+)\s{2,}(\S.*)", text)
        if entry:
            told.append(f"\n- `{entry[1]}`: {entry[2].replace('<', '&lt;')}")
        elif not text:
            told.append("\n\n")
        else:
            told.append(f" {text.strip().replace('<', '&lt;')}")
    return "".join(told).strip().replace("\n ", "\n")


def _file_comment(text: str) -> str:
    """The comment at the head of a schema file."""
    found = re.match(r"(?:^--[^\n]*\n)+", text, re.MULTILINE)
    return "" if found is None else _comment(found[0])


def _sql() -> str:
    about = (
        "Every change of state goes through these functions, over a direct connection and for any program of your"
        " own: `SELECT public.post_audit_read_status()`. All return `jsonb`, pin `search_path` and `TimeZone`, and"
        " have no overloads. Names tell what a call may do: `post_audit_read_` (STABLE) reads,"
        " `post_audit_maintain_` rewrites derived data only, `post_audit_apply_` changes state. EXECUTE is granted to"
        " `service_role` (to the role that applied the migration where there is none) and to nobody else. Errors"
        " come with a SQLSTATE and, as HINT, the cure ([errors](errors.md)).\n"
    )
    parts = [_HEAD.format(source="supabase/schemas", title="SQL functions"), about]
    functions = sql_functions()
    for path in sorted(SCHEMAS.glob("*.sql")):
        own = [function for function in functions if function.file == path.name]
        if own:
            told = _file_comment(path.read_text(encoding="utf-8"))
            parts.append(f"\n## {path.stem.partition('_')[2].replace('_', ' ')}\n\n{told}\n")
        for function in own:
            arguments = "".join(f"\n  {argument}," for argument in function.arguments).removesuffix(",")
            shape = f"({arguments}\n)" if arguments else "()"
            parts.append(
                f"\n### {function.name}\n\n```sql\npublic.{function.name}{shape} RETURNS {function.returns}"
                f"  -- {function.volatility}\n```\n"
            )
            if function.comment:
                parts.append(f"\n{function.comment}\n")
    return "".join(parts)


# ---- errors ----

_STATES: Final = {
    "P0002": "no such row",
    "PT409": "the state moved",
    "PT423": "the run belongs to another",
    "PT424": "a role has no table",
    "22023": "an argument that cannot be used",
    "42501": "no permission",
    "42883": "no such function",
    "40001": "a transaction stood in the way",
    "57014": "over the time limit",
    "08006": "the connection broke",
}
"""The codes that a program of one's own meets, and what they say."""


def _error_kinds(kind: type[PostAuditError], depth: int = 0) -> Iterator[tuple[int, type[PostAuditError]]]:
    yield depth, kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _error_kinds(below, depth + 1)


def _error_table() -> str:
    rows = [
        (
            "&nbsp;&nbsp;" * 2 * depth + f"`{kind.__name__}`",
            str(kind.exit_code),
            str(kind.http_status),
            _cell((kind.__doc__ or "").split("\n\n")[0]),
        )
        for depth, kind in _error_kinds(PostAuditError)
    ]
    return _table(("Error", "Exit code", "HTTP status", "What it says"), rows)


def _state_table() -> str:
    rows = []
    for code, told in _STATES.items():
        error = error_for_sqlstate(code, "")
        hint = (
            "HINT of the function"
            if isinstance(error, BindingNeeded) or not error.cure
            else _cell(error.cure)
        )
        rows.append((f"`{code}`", told, f"`{type(error).__name__}`", hint))
    return _table(("SQLSTATE", "Meaning", "Error", "Cure, where the database gives none"), rows)


def _errors() -> str:
    return (
        _HEAD.format(source="backend/app/post_audit/errors.py", title="Errors")
        + "Every error has a message, which is a sentence for a person and never holds a secret, and a cure, which"
        " says what to do next. The command line prints both and ends with the exit code; with `--json` it prints,"
        " and the API answers with the HTTP status and:\n\n"
        '```json\n{"error": {"code": "StateMoved", "message": "...", "cure": "..."}}\n```\n\n'
        "`code` is the name in the first column, or, from the API alone, `HttpError` (no such address or method) and"
        " `InternalError` (a fault of the program; the log has the details).\n\n"
        + _error_table()
        + "\n## From the database\n\nEvery transport names a SQLSTATE the same way; the longest known beginning of the"
        " code decides.\n\n" + _state_table()
    )


# ---- all ----


def _formats() -> str:
    parts = [
        _HEAD.format(source="the readers of backend/app/post_audit/steps/enhancements", title="Audit formats")
        + "What `post-audit import` and `audit-inbox/` read; told by content, never by a file's name. A zip"
        " file or a folder is read report by report.\n"
    ]
    for reader in all_readers():
        told = inspect.cleandoc(sys.modules[reader.read.__module__].__doc__ or "")
        parts.append(f"## {reader.title[:1].upper()}{reader.title[1:]}\n\nFormat `{reader.name}`. {told}\n")
    parts.append(f"## Words\n\n{inspect.cleandoc(lexicon.__doc__ or '')}\n")
    return "\n".join(parts)


def documents() -> dict[str, str]:
    """The text of every file of the reference, by its name."""
    return {
        "settings.md": _settings(),
        "cli.md": _cli(),
        "sql-functions.md": _sql(),
        "errors.md": _errors(),
        "audit-formats.md": _formats(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the reference, or check it; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 when they differ")
    options = parser.parse_args(arguments)
    differing = []
    for name, text in documents().items():
        path = REFERENCE / name
        if options.check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                differing.append(name)
        else:
            REFERENCE.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if differing:
        sys.stderr.write(f"docs/reference is older than the code ({', '.join(differing)}); run: make docs\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
