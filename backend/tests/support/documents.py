"""What documents promise: the commands in their fenced blocks, and whether what a command said is what they show.

A block that is marked `console` has lines `$ command`, and below each the output that one sees; a command may go on
after a backslash at the end of its line. What is not shown is not compared. In what is shown, a line `...` stands for
any lines, `...` inside a line for any text, any run of spaces for any other, and what differs from one time to the
next (`VARYING`) for anything of its kind. A block that is marked `dotenv` has lines of `.env`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["VARYING", "Block", "Command", "blocks", "commands", "compare", "read"]

VARYING: Final[Mapping[str, str]] = {
    "address": r"127\.0\.0\.1:\d+",
    "duration": r"\d+(?:\.\d+)? (?:ms|s|min|h|d)\b",
    "day": r"\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b",
    "time": r"\d{2}:\d{2}(?::\d{2})?",
    "date": r"\d{4}-\d{2}-\d{2}",
    "identifier": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "migration": r"migration [0-9a-f]{8}",
    "link": r"link=[\w-]+",
    "size": r"\d[\d,]* [kM]B",
    "PostgreSQL": r"PostgreSQL \d+(?:\.\d+)*",
}
"""By name: what looks so in a document may be any other that looks so."""

_FENCE: Final = re.compile(r"^(?P<indent> {0,3})(?P<marks>`{3,}|~{3,})(?P<language>[\w-]*)[ \t]*$")
_PIECES: Final = re.compile(
    "|".join([r"(?P<any>\.\.\.)", r"(?P<spaces>\s+)", *(f"(?:{pattern})" for pattern in VARYING.values())])
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a document."""

    document: str
    language: str
    line: int
    """Of its first line of content, counted from 1."""
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a block, and what the document shows below it."""

    document: str
    line: int
    text: str
    shown: tuple[str, ...]
    shown_line: int
    """Of the first line that is shown."""

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(text: str, document: str) -> list[Block]:
    """Every fenced block, in order; raises ValueError for one that never ends."""
    found: list[Block] = []
    begun: re.Match[str] | None = None
    start, held = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if begun is None:
            begun = _FENCE.match(line)
            start, held = number + 1, []
        elif line.strip() == begun["marks"]:
            found.append(Block(document=document, language=begun["language"], line=start, lines=tuple(held)))
            begun = None
        else:
            held.append(line.removeprefix(begun["indent"]))
    if begun is not None:
        message = f"{document}:{start - 1}: the block never ends"
        raise ValueError(message)
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a console block; raises ValueError for what stands above the first."""
    found: list[Command] = []
    number, lines = 0, block.lines
    while number < len(lines):
        if not lines[number].startswith("$ "):
            message = f"{block.document}:{block.line + number}: a console block begins with a line `$ command`"
            raise ValueError(message)
        first, text = number, lines[number].removeprefix("$ ")
        while text.endswith("\\") and number + 1 < len(lines):
            number += 1
            text = " ".join((text[:-1].rstrip(), lines[number].strip()))
        number += 1
        shown_from = number
        while number < len(lines) and not lines[number].startswith("$ "):
            number += 1
        found.append(
            Command(
                document=block.document,
                line=block.line + first,
                text=text,
                shown=_trimmed(lines[shown_from:number]),
                shown_line=block.line + shown_from,
            )
        )
    return found


def read(path: Path, root: Path) -> list[Block]:
    """The blocks of a file, named as it is called below the project's root."""
    return blocks(path.read_text(encoding="utf-8"), str(path.relative_to(root)))


def compare(command: Command, said: str) -> str | None:
    """What is wrong with what a document shows: its place, the line and what was said instead; None if nothing is."""
    actual = _trimmed(said.splitlines())
    parts = _parts(command.shown)
    if not command.shown:
        return None
    at = 0
    for place, (offset, wanted) in enumerate(parts):
        is_first, is_last = place == 0, place == len(parts) - 1
        starts = range(at, at + 1) if is_first else range(at, len(actual) + 1)
        if is_last:
            # the last part has to reach the end; after a line `...` it may begin anywhere before
            end = len(actual) - len(wanted)
            starts = range(max(end, at), end + 1) if not is_first else range(0, 1 if end == 0 else 0)
        matched = next((start for start in starts if _agrees(wanted, actual[start:])), None)
        if matched is None:
            return _explained(command, offset, wanted, actual[at:], is_first=is_first)
        at = matched + len(wanted)
    return None


def _trimmed(lines: Sequence[str]) -> tuple[str, ...]:
    kept = [line.rstrip() for line in lines]
    while kept and not kept[-1]:
        kept.pop()
    while kept and not kept[0]:
        kept.pop(0)
    return tuple(kept)


def _parts(shown: Sequence[str]) -> list[tuple[int, list[str]]]:
    """What stands between the lines `...`, each with how many lines stand before it; at least one part."""
    parts: list[tuple[int, list[str]]] = [(0, [])]
    for number, line in enumerate(shown):
        if line.strip() == "...":
            parts.append((number + 1, []))
        else:
            parts[-1][1].append(line)
    return parts


def _pattern(line: str) -> re.Pattern[str]:
    pieces: list[str] = []
    at = 0
    for found in _PIECES.finditer(line):
        pieces.append(re.escape(line[at : found.start()]))
        if found["any"]:
            pieces.append(".*?")
        elif found["spaces"]:
            pieces.append(r"\s+")
        else:
            pieces.append(next(kind for kind in VARYING.values() if re.fullmatch(kind, found[0])))
        at = found.end()
    return re.compile("".join([*pieces, re.escape(line[at:])]))


def _agrees(wanted: Sequence[str], actual: Sequence[str]) -> bool:
    return _agreeing(wanted, actual) == len(wanted)


def _agreeing(wanted: Sequence[str], actual: Sequence[str]) -> int:
    """How many lines from the first agree."""
    for number, line in enumerate(wanted):
        if number >= len(actual) or not _pattern(line.strip()).fullmatch(actual[number].strip()):
            return number
    return len(wanted)


def _explained(
    command: Command, offset: int, wanted: Sequence[str], actual: Sequence[str], *, is_first: bool
) -> str:
    """Name the line that was not found: the one after the longest run that agrees."""
    starts = range(1) if is_first else range(max(len(actual), 1))
    agreed = max(_agreeing(wanted, actual[start:]) for start in starts)
    line = command.shown_line + offset + min(agreed, max(len(wanted) - 1, 0))
    if agreed < len(wanted):
        problem = f"shows {wanted[agreed]!r}"
    else:
        problem = f"shows nothing more after {wanted[-1]!r}" if wanted else "shows no output"
    said = "\n".join(f"    {text}" for text in actual) or "    (nothing)"
    return f"{command.document}:{line}: {problem}, but `{command.text}` said from there on:\n{said}"
