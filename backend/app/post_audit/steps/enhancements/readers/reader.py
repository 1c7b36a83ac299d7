"""What a reader is given and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.finding import Finding
from app.post_audit.steps.enhancements.json_events import Path, sketch
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

__all__ = ["Head", "Note", "Notes", "Reader"]


@dataclass(frozen=True)
class Head:
    """The beginning of a report, to know its format by: its letters, and its JSON paths where it is JSON."""

    name: str
    text: str

    @cached_property
    def paths(self) -> frozenset[Path]:
        """The JSON paths that the beginning shows; empty for what is no JSON."""
        return sketch(self.text)

    @property
    def looks_like_json(self) -> bool:
        """Whether it begins like a JSON object or list."""
        return self.text.lstrip()[:1] in ("{", "[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a reader met at a place of the report: an entry that it could not read, or is not sure of."""

    place: str
    message: str


@dataclass(slots=True, kw_only=True)
class Notes:
    """What a reader says about the report beside its findings; filled while it reads.

    `source` is the tool, `target` what it looked at where the report tells. `is_complete` is whether the report
    tells of everything that was looked at. `mapping` says which column was read as what, where that was guessed.
    """

    head: Head
    policy: EnhancementsPolicy
    source: str
    target: str = ""
    is_complete: bool = True
    errors: list[Note] = field(default_factory=list)
    needs_review: list[Finding] = field(default_factory=list)
    mapping: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the report is called."""
        return self.head.name

    def fail(self, place: str, message: str) -> None:
        """Note an entry that could not be read; the report no longer counts as complete.

        Raises `InputError` at one too many: it is another format then, or broken throughout.
        """
        self.errors.append(Note(place=place, message=message))
        self.is_complete = False
        if len(self.errors) > self.policy.maximum_errors:
            raise InputError(
                f"{self.name} has more than {self.policy.maximum_errors} entries that cannot be read; "
                f"the first at {self.errors[0].place}: {self.errors[0].message}.",
                cure="Make the report again and import all of it.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One format. `name` is what machines call it, `title` what people do.

    `detect(head)` says how sure it is, from 0 (not mine) to 100; a format of one tool says 90, a guess 10.
    `read(stream, notes)` yields findings in the order of the report, from UTF-8 bytes that were scanned before
    (`report_file`), and raises `InputError` for what cannot be read as a whole.
    """

    name: str
    title: str
    detect: Callable[[Head], int]
    read: Callable[[BinaryIO, Notes], Iterator[Finding]]
