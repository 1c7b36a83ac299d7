"""What a page is: where it lives, what it loads, and the parts it is drawn in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from starlette.datastructures import State

    from app.post_audit.compose import Application
    from app.post_audit.ports import Database
    from app.post_audit.runner import RunKind
    from app.post_audit.settings import Settings
    from app.post_audit.web.checkup import Checkup
    from app.post_audit.web.pages.view import View

__all__ = ["House", "Page", "Part", "Query", "Tab"]

Query = Mapping[str, str]


class House:
    """What pages reach: the database, and what only the serving program can do."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def database(self) -> Database:
        """The port to the database."""
        database: Database = self._state.database
        return database

    @property
    def settings(self) -> Settings | None:
        """The settings of this server; a test may serve a database alone."""
        settings: Settings | None = self._state.settings
        return settings

    @property
    def application(self) -> Application | None:
        """What was built from settings; a test may serve a database alone."""
        application: Application | None = self._state.application
        return application

    @property
    def checkup(self) -> Checkup:
        """What the doctor says of this server."""
        checkup: Checkup = self._state.checkup
        return checkup

    @property
    def start_run(self) -> Callable[[RunKind, str], object] | None:
        """What starts a run of a kind for a tick and returns at once; None where nothing can be run."""
        start: Callable[[RunKind, str], object] | None = self._state.start_run
        return start

    def deliver(self) -> None:
        """Send what waits in the outbox, where this program can."""
        self._state.deliver()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A page's place in the navigation. `note` says what waits there, in two words; empty when nothing does."""

    name: str
    icon: str
    order: int
    note: Callable[[Database], str] = lambda _database: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a page, drawn anew only when what it shows has changed.

    `shows(data, state)` picks what it shows out of what the page has loaded and of the visitor's own state on this
    page; `draw(view, shown)` makes its elements.
    """

    draw: Callable[[View, Any], None]
    shows: Callable[[Any, dict[str, Any]], object] = lambda data, _state: data
    place: Literal["head", "main", "aside", "foot"] = "main"
    classes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: `load(house, query)` blocks in a thread and returns plain data, `parts` draw them.

    `query` holds what stands in the address: the gaps of the path and the part after the question mark.
    `remembers` names what a visitor has set on it, with what holds at first.
    """

    path: str
    title: str
    load: Callable[[House, Query], Any]
    parts: tuple[Part, ...]
    tab: Tab | None = None
    below: str = ""
    """The path of the tab that it belongs to, where it has none of its own."""
    is_wide: bool = False
    knows_who: bool = False
    """Whether what it loads depends on who looks; `query["who"]` is their name then."""
    remembers: Mapping[str, Any] = field(default_factory=dict)
