"""Pick entries out of a JSON text of any size, building only what is asked for.

`walk` follows a text (`json_text`) and yields the values at the paths that are wanted; what lies elsewhere is passed
over and never held. Each value is limited in size by itself, so memory is bounded by the largest entry and not by the
file. `sketch` tells which paths the beginning of a text has, to know a format by.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator
from decimal import DecimalException
from enum import Enum
from typing import Any, BinaryIO, Final

import ijson

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.json_text import BEGINS, JsonText
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

__all__ = ["ANY", "LONGEST_NUMBER", "Path", "Started", "sketch", "walk"]

Path = tuple[str | int, ...]
"""Keys and indices from the root; in a wanted path, `ANY` stands for each of them."""

ANY: Final = "*"

LONGEST_NUMBER: Final = 500
"""Digits. Python converts at least 640 whatever its environment says; the longest of 40 real reports has 19."""

_MOST_ENTRIES: Final = 200_000
"""Values that one walk yields. 100,000 results come with at most as many rules and files; more of them would take
seconds even where none is a finding."""

_SKETCH_DEPTH: Final = 5
_OPENING: Final = frozenset({"start_map", "start_array"})
_CLOSING: Final = frozenset({"end_map", "end_array"})

# What the parser raises: its own errors and those of the number types.
_PARSER_ERRORS: Final = (ijson.JSONError, DecimalException, ValueError)
_LONG_NUMBER: Final = re.compile(rf"[0-9]{{{LONGEST_NUMBER}}}")


class Started(Enum):
    """What is yielded at a wanted path whose entries are wanted too: that the list or object is there."""

    LIST = "list"
    OBJECT = "object"


class _Node:
    """A place in the tree of wanted paths."""

    __slots__ = ("children", "is_wanted")

    def __init__(self) -> None:
        self.children: dict[str | int, _Node] = {}
        self.is_wanted = False

    def child(self, key: str | int) -> _Node | None:
        return self.children.get(key) or self.children.get(ANY)


def walk(
    stream: BinaryIO,
    wanted: Collection[Path],
    *,
    name: str,
    policy: EnhancementsPolicy,
    passing_over: Collection[str] = (),
) -> Iterator[tuple[Path, Any]]:
    """Yield (path, value) of each wanted path, in the order of the text; numbers are int or float.

    Keys in `passing_over` are left out of what is built. Where a wanted path has wanted paths below it, its list or
    object is not built but announced as `Started`. Raises `InputError` naming file and place.
    """
    walker = _Walker(wanted, frozenset(passing_over), name, policy)
    try:
        for number, found in enumerate(_walked(JsonText(stream), walker)):
            if number > _MOST_ENTRIES:
                raise InputError(
                    f"{name} has more than {_MOST_ENTRIES} entries, at {_written(walker.path)}.",
                    cure="Let the tool report fewer rules or folders at a time, each with a --target of its own.",
                )
            yield found
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{name} is no valid JSON at {_written(walker.path)}: {_first_line(error)}.",
            cure="Make the report again and import all of it.",
        ) from error


def _walked(text: JsonText, walker: _Walker) -> Iterator[tuple[Path, Any]]:
    """Follow a text value by value: whole values where they are wanted as such or not at all, else piece by piece."""
    for event, value in text.events():
        if event == BEGINS:
            # a list or object is next: taken whole if nothing inside it is wanted by itself
            if not walker.takes_whole():
                continue
            whole = text.whole()
            if whole is None:
                continue
            found = walker.take_whole(*whole)
        else:
            found = walker.step(event, value)
        if found is not None:
            yield found


def sketch(head: str) -> frozenset[Path]:
    """List the paths that the beginning of a JSON text shows, a few levels deep; `ANY` for entries of a list.

    Empty for what is no JSON object or list. The text may be cut off anywhere.
    """
    paths: set[Path] = set()
    path: list[str | int] = []
    if head.lstrip()[:1] not in ("{", "["):
        return frozenset()
    # The C parser does not survive an integer that Python refuses to convert; nothing after one is looked at.
    shown = _LONG_NUMBER.split(head, maxsplit=1)[0].encode("utf-8", "replace")
    try:
        for event, value in ijson.basic_parse(io.BytesIO(shown), use_float=False):
            if event == "map_key":
                path[-1] = value
                if len(path) <= _SKETCH_DEPTH:
                    paths.add(tuple(path))
            elif event == "start_map":
                path.append("")
            elif event == "start_array":
                path.append(ANY)
                if len(path) <= _SKETCH_DEPTH:
                    paths.add(tuple(path))
            elif event in _CLOSING:
                path.pop()
    except _PARSER_ERRORS:
        # the head ends in the middle; what it has shown is what counts
        return frozenset(paths)
    return frozenset(paths)


class _Walker:
    """Where the parser is, and the value that is being built, if any."""

    def __init__(
        self, wanted: Collection[Path], passing_over: frozenset[str], name: str, policy: EnhancementsPolicy
    ) -> None:
        self._name = name
        self._policy = policy
        self._passing_over = passing_over
        names = "|".join(re.escape(key) for key in sorted(passing_over))
        self._passing_keys = re.compile(f'"(?:{names})"') if names else None
        root = _Node()
        for path in wanted:
            node = root
            for key in path:
                node = node.children.setdefault(key, _Node())
            node.is_wanted = True
        self._root = root
        self.path: list[str | int] = []
        self._nodes: list[_Node | None] = []
        self._are_lists: list[bool] = []
        # the value that is being built: its containers from the outermost in, with the key that comes next
        self._building: list[Any] = []
        self._keys: list[str] = []
        self._count = 0
        self._passed_depth = 0
        self._is_passing = False

    def step(self, event: str, value: Any) -> tuple[Path, Any] | None:  # noqa: ANN401 - a JSON value
        """Take one event; give the value that it completes."""
        if self._building:
            return self._build(event, value)
        if event == "map_key":
            self.path[-1] = value
            return None
        if event in _CLOSING:
            self.path.pop()
            self._nodes.pop()
            self._are_lists.pop()
            return None
        node = self._enter()
        if event not in _OPENING:
            return (tuple(self.path), value) if node is not None and node.is_wanted else None
        if node is not None and node.is_wanted and not node.children:
            self._building = [{} if event == "start_map" else []]
            self._keys = [""]
            self._count = 0
            return None
        found = None
        if node is not None and node.is_wanted:
            found = tuple(self.path), Started.OBJECT if event == "start_map" else Started.LIST
        self.path.append("" if event == "start_map" else -1)
        self._nodes.append(node)
        self._are_lists.append(event == "start_array")
        if len(self.path) > self._policy.maximum_depth:
            raise self._too_deep()
        return found

    def takes_whole(self) -> bool:
        """Whether the value that comes next is wanted as a whole, or not at all."""
        if self._building:
            return self._is_passing
        if not self.path:
            node: _Node | None = self._root
        else:
            above = self._nodes[-1]
            key = int(self.path[-1]) + 1 if self._are_lists[-1] else self.path[-1]
            node = None if above is None else above.child(key)
        return node is None or not node.children

    def take_whole(self, value: Any, text: str, begin: int, end: int) -> tuple[Path, Any] | None:  # noqa: ANN401 - a JSON value
        """Take a value that was read at once; `text[begin:end]` is what it was read from."""
        if self._building:
            self._is_passing = False
            return None
        node = self._enter()
        brackets = text.count("[", begin, end) + text.count("{", begin, end)
        if brackets + len(self.path) > self._policy.maximum_depth:
            self._check_depth(value)
        if node is None or not node.is_wanted:
            return None
        if end - begin > self._policy.maximum_nodes:
            # a comma or a bracket stands before every value but the first
            count = brackets + text.count(",", begin, end)
            if count > self._policy.maximum_nodes and self._nodes_of(value) > self._policy.maximum_nodes:
                raise self._too_many()
        if self._passing_keys is not None and self._passing_keys.search(text, begin, end):
            _leave_out(value, self._passing_over)
        return tuple(self.path), value

    def _check_depth(self, value: Any) -> None:  # noqa: ANN401 - a JSON value
        """Raise where a value nests deeper than the limit, together with what it stands in."""
        waiting = [(value, len(self.path) + 1)]
        while waiting:
            inner, depth = waiting.pop()
            if depth > self._policy.maximum_depth:
                raise self._too_deep()
            waiting += [(i, depth + 1) for i in _values(inner) if isinstance(i, dict | list)]

    def _nodes_of(self, value: Any) -> int:  # noqa: ANN401 - a JSON value
        """Count the values inside one, those that are passed over left out."""
        count, waiting = 0, [value]
        while waiting:
            inner = waiting.pop()
            if isinstance(inner, dict):
                inner = {key: entry for key, entry in inner.items() if key not in self._passing_over}
            found = _values(inner)
            count += len(found)
            waiting += [entry for entry in found if isinstance(entry, dict | list)]
        return count

    def _too_deep(self) -> InputError:
        return InputError(
            f"{self._name} nests deeper than {self._policy.maximum_depth} levels at {_written(self.path)}.",
            cure="No report of a known tool does; look at what made it.",
        )

    def _too_many(self) -> InputError:
        return InputError(
            f"The entry {_written(self.path)} of {self._name} has more than {self._policy.maximum_nodes} values.",
            cure="No report of a known tool has one; look at what made it.",
        )

    def _enter(self) -> _Node | None:
        """Move on to the next value and find its place in the tree of wanted paths."""
        if not self.path:
            return self._root
        if self._are_lists[-1]:
            self.path[-1] = int(self.path[-1]) + 1
        above = self._nodes[-1]
        return None if above is None else above.child(self.path[-1])

    def _build(self, event: str, value: Any) -> tuple[Path, Any] | None:  # noqa: ANN401 - a JSON value
        if self._is_passing or self._passed_depth:
            self._pass(event)
            return None
        if event == "map_key":
            self._keys[-1] = value
            self._is_passing = value in self._passing_over
            return None
        if event in _CLOSING:
            done = self._building.pop()
            self._keys.pop()
            return None if self._building else (tuple(self.path), done)
        self._count += 1
        if self._count > self._policy.maximum_nodes:
            raise self._too_many()
        item: Any = {} if event == "start_map" else [] if event == "start_array" else value
        holder = self._building[-1]
        if isinstance(holder, dict):
            holder[self._keys[-1]] = item
        else:
            holder.append(item)
        if event in _OPENING:
            self._building.append(item)
            self._keys.append("")
            if len(self._building) > self._policy.maximum_depth:
                raise self._too_deep()
        return None

    def _pass(self, event: str) -> None:
        """Go through a value that is left out, up to its end."""
        self._is_passing = False
        if event in _OPENING:
            self._passed_depth += 1
        elif event in _CLOSING:
            self._passed_depth -= 1


def _values(value: Any) -> list[Any]:  # noqa: ANN401 - a JSON value
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _leave_out(value: Any, keys: frozenset[str]) -> None:  # noqa: ANN401 - a JSON value
    """Take keys out of a value and all that is inside it."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            for key in keys & inner.keys():
                del inner[key]
        waiting += [entry for entry in _values(inner) if isinstance(entry, dict | list)]


def _written(path: Collection[str | int]) -> str:
    """Write a place as people know it: `$.runs[0].results[12]`."""
    parts = (f"[{key}]" if isinstance(key, int) else f".{key[:60]}" for key in path if key not in ("", -1))
    return "$" + "".join(parts)


def _first_line(error: Exception) -> str:
    line = str(error).removeprefix("b'").splitlines()[0] if str(error) else "a number that cannot be read"
    return "".join(letter for letter in line.split("\\n")[0] if letter.isprintable())[:120].rstrip(". ")
