"""One open page of one visitor: draws it, draws it again where something changed, and does what the visitor asks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from nicegui import background_tasks, ui
from nicegui.client import Client
from nicegui.element import Element
from starlette.concurrency import run_in_threadpool

from app.post_audit.codec import to_json
from app.post_audit.errors import PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.web.access import Person, Role, Visit
from app.post_audit.web.pages import states
from app.post_audit.web.pages.elements import box, text, text_button
from app.post_audit.web.pages.page import House, Page, Part
from app.post_audit.web.pages.watch import Watcher

__all__ = ["Loads", "View"]

# Nothing is shown for a load that is quick; then the shape of what comes.
_SHAPE_AFTER_SECONDS: Final = 0.3
_TOAST_SECONDS: Final = 8.0
# Loads by themselves take at most a third of a connection's time, however busy the marketplace is.
_REST: Final = 2.0

_log = get_logger(__name__)


@dataclass(slots=True)
class Loads:
    """What pages have loaded, shared by all who look at the same: fifty open pages load once."""

    watcher: Watcher
    _kept: dict[tuple[str, ...], tuple[object, Any]] = field(default_factory=dict)
    _locks: dict[tuple[str, ...], asyncio.Lock] = field(default_factory=dict)
    _rests_until: dict[tuple[str, ...], float] = field(default_factory=dict)

    @staticmethod
    def _key(page: Page, query: dict[str, str]) -> tuple[str, ...]:
        return (page.path, *(f"{name}={value}" for name, value in sorted(query.items())))

    def rest(self, page: Page, query: dict[str, str]) -> float:
        """For how many seconds the same is not loaded again by itself: twice as long as it took."""
        return max(0.0, self._rests_until.get(self._key(page, query), 0.0) - time.monotonic())

    async def get(self, house: House, page: Page, query: dict[str, str], *, fresh: bool) -> Any:  # noqa: ANN401 - a page's
        """Load a page's data, or take what was loaded for the same question since the last change."""
        key = self._key(page, query)
        async with self._locks.setdefault(key, asyncio.Lock()):
            # by minute, for ages and times of day; without a watcher's answer nothing is known to be unchanged
            at = (self.watcher.version, datetime.now(UTC).replace(second=0, microsecond=0))
            kept = self._kept.get(key)
            if not fresh and kept is not None and kept[0] == at and self.watcher.version is not None:
                return kept[1]
            began = time.monotonic()
            loaded = await run_in_threadpool(page.load, house, query)
            ended = time.monotonic()
            self._rests_until[key] = ended + _REST * (ended - began)
            if len(self._kept) > 200:  # noqa: PLR2004 - far more questions than five people ask
                self._kept.clear()
                self._locks.clear()
                self._rests_until.clear()
            self._kept[key] = (at, loaded)
            return loaded


class View:
    """A page that is open at one visitor's."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that one open page is
        self, house: House, page: Page, visit: Visit, query: dict[str, str], loads: Loads, watcher: Watcher
    ) -> None:
        self.house = house
        self.page = page
        self.visit = visit
        self.query = query
        self.state: dict[str, Any] = dict(page.remembers)
        self.data: Any = None
        self._loads = loads
        self._watcher = watcher
        self.client: Client = ui.context.client
        self._containers: list[tuple[Part, Element]] = []
        self._drawn: dict[int, str] = {}
        self._notice: Element | None = None
        self._floor: Element | None = None
        self._busy = asyncio.Lock()
        self._is_due = False
        self.on_refresh: list[Callable[[], None]] = []

    # ---- drawing ----

    def lay_out(self) -> None:
        """Make the places that the parts are drawn into."""
        self._notice = box("div", role="status")
        places: dict[str, Element] = {"head": box("div", "place place-head")}
        if any(part.place == "aside" for part in self.page.parts):
            with box("div", "columns"):
                places["main"] = box("div")
                places["aside"] = box("aside", "aside", aria_label="Figures")
        else:
            places["main"] = box("div")
        places["foot"] = box("div", "place place-foot")
        for part in self.page.parts:
            with places[part.place]:
                self._containers.append((part, box("section", f"part {part.classes}")))
        self._floor = box("div")

    async def show(self) -> None:
        """Load and draw for the first time; what takes longer than a moment shows the shape of what comes."""
        # not what was kept: it may be older than the watcher knows, and be replaced under the first click
        task = asyncio.ensure_future(self._load(fresh=True))
        done, _ = await asyncio.wait({task}, timeout=_SHAPE_AFTER_SECONDS)
        if done:
            self._draw(task.result())
            return
        with self._containers[0][1]:
            states.loading()
        await self.client.connected()
        loaded = await task
        # unless a change has drawn it meanwhile
        if self.data is None:
            self._containers[0][1].clear()
            self._draw(loaded)

    async def refresh(self, *, fresh: bool = False) -> None:
        """Load again and draw what has changed."""
        async with self._busy:
            loaded = await self._load(fresh=fresh)
            if self.client.is_deleted:
                return
            with self.client:
                self._draw(loaded)

    def changed(self) -> None:
        """Draw again in a moment: what a watcher calls. What is due already is not asked for twice."""
        if not self.client.is_deleted and not self._is_due:
            self._is_due = True
            background_tasks.create(self._refresh_rested(), name=f"refresh {self.page.path}")

    async def _refresh_rested(self) -> None:
        await asyncio.sleep(self._loads.rest(self.page, self.query))
        self._is_due = False
        await self.refresh()

    def redraw(self) -> None:
        """Draw again what the visitor's own state has changed."""
        with self.client:
            self._draw((self.data, None))

    def redraw_all(self) -> None:
        """Draw everything again."""
        self._drawn.clear()
        self.redraw()

    async def _load(self, *, fresh: bool) -> tuple[Any, PostAuditError | None]:
        try:
            return await self._loads.get(self.house, self.page, self.query, fresh=fresh), None
        except PostAuditError as error:
            _log.warning("page.not_loaded", page=self.page.path, code=type(error).__name__, error=str(error))
            return None, error

    def _draw(self, loaded: tuple[Any, PostAuditError | None]) -> None:
        data, error = loaded
        self._tell(error)
        if error is None:
            self.data = data
            drawn = False
            for index, (part, container) in enumerate(self._containers):
                shown = part.shows(data, self.state)
                print_of = json.dumps(to_json(shown), sort_keys=True, default=str)
                if self._drawn.get(index) == print_of:
                    continue
                container.clear()
                with container:
                    part.draw(self, shown)
                self._drawn[index] = print_of
                drawn = True
            if drawn and self.client.has_socket_connection:
                self.client.run_javascript("window.postAudit?.restoreFocus()")
        for told in self.on_refresh:
            told()

    def _tell(self, error: PostAuditError | None) -> None:
        if self._notice is None:
            return
        self._notice.clear()
        if error is None:
            return
        with self._notice:
            states.failed(
                "These numbers could not be read."
                if self.data is None
                else "The numbers below are no longer live.",
                error,
                self._again,
                at=self._watcher.answered_at,
            )

    async def _again(self) -> None:
        await self.refresh(fresh=True)

    # ---- doing ----

    async def act(
        self,
        role: Role,
        deed: Callable[[Person], str],
        *,
        undo: Callable[[], Awaitable[None]] | None = None,
    ) -> bool:
        """Do something for the visitor in a thread, say what was done, and draw what has changed.

        `deed` gets who is signed in now, and returns a sentence. What is refused is told with its cure; the answer is
        whether it was done.
        """

        def checked() -> str:
            return deed(self.visit.require(role))

        try:
            said = await run_in_threadpool(checked)
        except PostAuditError as error:
            with self.client:
                self.toast(error.message + (f" {error.cure}" if error.cure else ""), is_bad=True)
            await self.refresh(fresh=True)
            return False
        with self.client:
            self.toast(said, undo=undo)
        await self.refresh(fresh=True)
        return True

    def toast(
        self, words: str, *, undo: Callable[[], Awaitable[None]] | None = None, is_bad: bool = False
    ) -> None:
        """Say something once, at the bottom, for eight seconds."""
        if self._floor is None:
            return
        self._floor.clear()
        with self._floor, box("div", f"toast {'is-bad' if is_bad else ''}", role="alert") as shown:
            text(words)
            if undo is not None:
                text_button("Undo", undo)

        def away() -> None:
            with suppress(ValueError):
                shown.delete()

        with self.client.content:
            ui.timer(_TOAST_SECONDS, away, once=True)
