"""A Markdown text as sections with their blocks, each with its line.

Only the block structure is parsed; what stands inside a line is read by the expressions below, which take linear time.
Code blocks and HTML are no part of what is said and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["Block", "Item", "Listing", "Paragraph", "Row", "Section", "Table", "plain", "sections_of"]

_PSEUDO_LEVEL: Final = 7
"""The level of a line in bold letters that stands where a heading could."""
_LONGEST_PSEUDO: Final = 120
_SENTENCE: Final = 4
"""Words of a line in bold letters that is a sentence, and no heading, when it ends with a full stop."""
_LONGEST_LINE: Final = 1_000
"""Letters of one line that are looked at; what a person writes beyond is no title and no state."""

_BOX: Final = re.compile(r"^\[([ xX~\-/✓✔✗✘!>]?)\]\s+")
_MARKER: Final = re.compile(r"^\s*(?:[-*+]|(\d{1,9})[.)])\s")
_BOLD_LINE: Final = re.compile(r"^(?:\*\*|__)(.+?)(?:\*\*|__)\s*([^\w\s]*)\s*$")
_FRONT_MATTER: Final = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)

_NUMBERED_TITLE: Final = re.compile(
    r"^(\d{1,3}(?:\.\d{1,3})*[.)]?[ \t]+\S.*)\n(=|-)(?:\2{2,})[ \t]*$", re.MULTILINE
)
"""A numbered line that is underlined: a heading to who wrote it, a list with a rule below it to CommonMark."""

_IMAGE: Final = re.compile(r"!\[([^\[\]]{0,300})\]\([^()\s]{0,500}\)")
_LINK: Final = re.compile(r"\[([^\[\]]{1,300})\](?:\([^()]{0,500}\)|\[[^\[\]]{0,100}\])")
_HTML: Final = re.compile(r"<!--[^<>]{0,500}-->|</?[a-zA-Z][^<>]{0,200}>")
_EMPHASIS: Final = re.compile(r"\*{1,3}|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)|~~|`+")
_ESCAPE: Final = re.compile(r"\\([!-/:-@\[-`{-~])")


@dataclass(slots=True, kw_only=True)
class Paragraph:
    """A paragraph as its lines: (number of the line, text)."""

    lines: list[tuple[int, str]]

    @property
    def line(self) -> int:
        """The line that it begins on."""
        return self.lines[0][0]

    @property
    def text(self) -> str:
        """All of it on one line."""
        return " ".join(text for _, text in self.lines)


@dataclass(slots=True, kw_only=True)
class Item:
    """An entry of a list. `box` is the sign of its checkbox, None without one."""

    line: int
    text: str = ""
    box: str | None = None
    number: int | None = None
    lines: list[tuple[int, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    @property
    def children(self) -> list[Item]:
        """The entries of the lists inside."""
        return [item for block in self.blocks if isinstance(block, Listing) for item in block.items]


@dataclass(slots=True, kw_only=True)
class Listing:
    """A list."""

    line: int
    items: list[Item] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Row:
    """A row of a table."""

    line: int
    cells: list[str]


@dataclass(slots=True, kw_only=True)
class Table:
    """A table."""

    line: int
    header: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


Block = Paragraph | Listing | Table


@dataclass(slots=True, kw_only=True, eq=False)
class Section:
    """A heading with what follows it. A line in bold letters counts as a heading of level 7; the root has level 0."""

    level: int
    title: str
    line: int
    parent: Section | None = None
    blocks: list[Block] = field(default_factory=list)
    children: list[Section] = field(default_factory=list)

    def walk(self) -> Iterator[Section]:
        """Yield it and every section below it, in the order of the text."""
        waiting = [self]
        while waiting:
            section = waiting.pop()
            yield section
            waiting.extend(reversed(section.children))

    @property
    def all_blocks(self) -> Iterator[Block]:
        """The blocks of it and of every section below it."""
        return (block for section in self.walk() for block in section.blocks)


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    # Inline marks are read by the expressions above: hostile runs of brackets and stars cost nothing that way.
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def sections_of(text: str) -> Section:
    """Parse a text into a tree of sections under a root of level 0."""
    front = _FRONT_MATTER.match(text)
    if front:
        text = "\n" * front[0].count("\n") + text[front.end() :]
    text = _NUMBERED_TITLE.sub(lambda found: f"{'#' if found[2] == '=' else '##'} {found[1]}\n", text)
    builder = _Builder(text.split("\n"))
    builder.take(_parser().parse(text))
    return builder.root


def plain(text: str) -> str:
    """Take the marks of Markdown and HTML out of a line; what is linked or shown as code stays as text."""
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    return " ".join(_ESCAPE.sub(r"\1", _EMPHASIS.sub("", _HTML.sub(" ", text))).split())


class _Builder:
    """The way from tokens to sections."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self.root = Section(level=0, title="", line=1)
        self._section = self.root
        self._items: list[Item] = []
        self._lists: list[Listing] = []
        self._table: Table | None = None
        self._row: Row | None = None
        self._in_header = False
        self._heading: int | None = None

    def take(self, tokens: list[Token]) -> None:
        for position, token in enumerate(tokens):
            self._take(token, tokens[position + 1] if position + 1 < len(tokens) else None)

    def _take(self, token: Token, following: Token | None) -> None:  # noqa: C901, PLR0912 - one case after another
        line = token.map[0] + 1 if token.map else 0
        match token.type:
            case "heading_open":
                self._heading = int(token.tag[1])
            case "heading_close":
                self._heading = None
            case "bullet_list_open" | "ordered_list_open":
                listing = Listing(line=line)
                self._blocks().append(listing)
                self._lists.append(listing)
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                item = Item(line=line, number=self._number(line))
                self._lists[-1].items.append(item)
                self._items.append(item)
            case "list_item_close":
                self._items.pop()
            case "table_open":
                self._table = Table(line=line)
                self._blocks().append(self._table)
            case "table_close":
                self._table = None
            case "thead_open" | "thead_close":
                self._in_header = token.type == "thead_open"
            case "tr_open":
                self._row = Row(line=line, cells=[])
            case "tr_close":
                self._end_row()
            case "inline":
                self._text(token, line, following)
            case _:
                pass

    def _number(self, line: int) -> int | None:
        found = _MARKER.match(self._lines[line - 1]) if line <= len(self._lines) else None
        return int(found[1]) if found and found[1] else None

    def _blocks(self) -> list[Block]:
        return self._items[-1].blocks if self._items else self._section.blocks

    def _end_row(self) -> None:
        if self._table is not None and self._row is not None:
            if self._in_header:
                self._table.header = self._row.cells
            else:
                self._table.rows.append(self._row)
        self._row = None

    def _text(self, token: Token, line: int, following: Token | None) -> None:
        if self._row is not None:
            self._row.cells.append(token.content.strip()[:_LONGEST_LINE])
        elif self._heading is not None and not self._items:
            self._open(self._heading, token.content[:_LONGEST_LINE], line)
        else:
            lines = [
                (line + offset, text.strip()[:_LONGEST_LINE])
                for offset, text in enumerate(token.content.split("\n"))
            ]
            self._paragraph([(number, text) for number, text in lines if text], following)

    def _paragraph(self, lines: list[tuple[int, str]], _following: Token | None) -> None:
        if not lines:
            return
        if self._items and not self._items[-1].lines:
            item = self._items[-1]
            box = _BOX.match(lines[0][1])
            if box:
                item.box = box[1].lower() or " "
                lines[0] = (lines[0][0], lines[0][1][box.end() :])
            item.lines = lines
            item.text = " ".join(text for _, text in lines)
            return
        bold = _BOLD_LINE.match(lines[0][1]) if len(lines) == 1 and not self._items else None
        is_sentence = bold is not None and bold[1].endswith(".") and len(bold[1].split()) >= _SENTENCE
        if bold and not is_sentence and len(lines[0][1]) <= _LONGEST_PSEUDO and "**" not in bold[1]:
            self._open(_PSEUDO_LEVEL, lines[0][1], lines[0][0])
            return
        self._blocks().append(Paragraph(lines=lines))

    def _open(self, level: int, title: str, line: int) -> None:
        above = self._section
        while above.level >= level and above.parent is not None:
            above = above.parent
        section = Section(level=level, title=title, line=line, parent=above)
        above.children.append(section)
        self._section = section
