"""What a document shows of a terminal: commands behind `$ ` with their output below, and files with their names.

    ```console
    $ post-audit status        # a remark is part of the command, as a shell sees it
    bell24h on 127.0.0.1:45217 (embedded)
    ...
    ```

A line `...` stands for any number of lines, also none; `...` within a line for any text. A command that ends in `\\`
goes on in the next line. Without output below it nothing is promised of what it prints. A last line `^C` says that the
reader stops it. A fence that names a file behind its language (`ini .env`) is that file. What differs from one run to
the next is declared once, in `VARYING`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["VARYING", "Exchange", "File", "below", "differing_line", "pieces", "unchecked"]

VARYING: Final = (
    # a number and its unit stay together on a line; nobody types that space
    ("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", " "),
    (r"\b\w+ on [\w.-]+:\d+(?: \(embedded\))?", "<database>"),
    (r"\b\d+(?:\.\d+)? m?s\b", "<duration>"),
    (r"\bin \d+ (?:s|min|h|d)\b|\bin \d+ h \d+ min\b", "<duration>"),
    (r"\b\d{1,2} [A-Z][a-z]{2}(?: \d{4})?, \d\d:\d\d(?::\d\d)? IST\b", "<moment>"),
    (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+\d\d:?\d\d)?)?", "<moment>"),
    (r"\b[\w-]{43}\b", "<token>"),
)
"""Patterns of what no two runs have in common, and what stands in their place on both sides of a comparison."""

_DATA: Final = frozenset({"ini", "json", "markdown", "mermaid", "python", "sql", "csv"})
"""Languages of fences that are no commands."""
_FENCE: Final = re.compile(
    r"^(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command and what the document shows below it; `line` is the command's, counted from 1."""

    line: int
    command: str
    shown: tuple[str, ...] = ()
    is_stopped: bool = False
    """Whether the reader ends it with Ctrl-C."""
    shown_at: int = field(default=0, compare=False)
    """The line of the first line of what is shown."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that the reader is to write."""

    line: int
    name: str
    text: str


def pieces(text: str) -> list[Exchange | File]:
    """Give what a reader of the document types and writes, in its order."""
    found: list[Exchange | File] = []
    for fence in _FENCE.finditer(text):
        language, _, name = fence["info"].strip().partition(" ")
        line = text.count("\n", 0, fence.start()) + 2
        if language == "console":
            found += _exchanges(fence["body"].splitlines(), line)
        elif name:
            found.append(File(line, name.strip(), fence["body"]))
    return found


def below(text: str, headings: Sequence[str]) -> str:
    """Keep what stands below the second-level headings that begin so; lines keep their numbers."""
    kept, is_kept = [], False
    for line in text.splitlines():
        if line.startswith("## "):
            is_kept = line.removeprefix("## ").startswith(tuple(headings))
        kept.append(line if is_kept else "")
    return "\n".join(kept) + "\n"


def unchecked(text: str) -> list[int]:
    """The lines of fences that nobody would check: neither a terminal nor data that says of which kind it is."""
    return [
        text.count("\n", 0, fence.start()) + 1
        for fence in _FENCE.finditer(text)
        if fence["info"].strip().partition(" ")[0] not in {"console", *_DATA}
    ]


def _exchanges(lines: Sequence[str], first: int) -> Iterator[Exchange]:
    begins = [
        number
        for number, line in enumerate(lines)
        if line.startswith("$ ") and not (number and lines[number - 1].endswith("\\"))
    ]
    if lines and begins[:1] != [0]:
        raise ValueError(f"Line {first}: a block of a terminal begins with a command, `$ ...`.")
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        last = begin
        while lines[last].endswith("\\"):
            last += 1
        command = "\n".join([lines[begin].removeprefix("$ "), *lines[begin + 1 : last + 1]])
        shown = list(lines[last + 1 : end])
        is_stopped = bool(shown) and shown[-1] == "^C"
        while shown and shown[-1] in {"", "^C"}:
            shown.pop()
        yield Exchange(first + begin, command, tuple(shown), is_stopped, shown_at=first + last + 1)


def differing_line(shown: Sequence[str], printed: str) -> int | None:
    """The index of the first line that is not so; their number where more was printed; None where all is as shown."""
    if not shown:
        return None
    said = "".join(f"{_plain(line)}\n" for line in printed.rstrip().splitlines())
    patterns = [_pattern(line) for line in shown]
    if re.fullmatch("".join(patterns), said, re.DOTALL):
        return None
    for number in range(len(patterns)):
        if not re.match("".join(patterns[: number + 1]), said, re.DOTALL):
            return number
    return len(patterns)


def _plain(line: str) -> str:
    for pattern, name in VARYING:
        line = re.sub(pattern, name, line)
    return line.rstrip()


def _pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:[^\n]*\n)*?"
    return r"[^\n]*?".join(re.escape(part) for part in _plain(line).split("...")) + r"\n"
