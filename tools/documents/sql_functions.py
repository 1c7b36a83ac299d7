"""docs/reference/sql-functions.md: the functions of schema public, each with the comment above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from documents.markdown import HEAD

__all__ = ["SqlFunction", "document", "sql_functions"]

SCHEMAS: Final = Path(__file__).resolve().parents[2] / "supabase" / "schemas"


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


def document() -> str:
    """Make the text of the document."""
    about = (
        "Every change of state goes through these functions, over a direct connection and for any program of your"
        " own: `SELECT public.post_audit_read_status()`. All return `jsonb`, pin `search_path` and `TimeZone`, and"
        " have no overloads. Names tell what a call may do: `post_audit_read_` (STABLE) reads,"
        " `post_audit_maintain_` rewrites derived data only, `post_audit_apply_` changes state. EXECUTE is granted to"
        " `service_role` (to the role that applied the migration where there is none) and to nobody else. Errors"
        " come with a SQLSTATE and, as HINT, the cure ([errors](errors.md)).\n"
    )
    parts = [HEAD.format(source="supabase/schemas", title="SQL functions"), about]
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
