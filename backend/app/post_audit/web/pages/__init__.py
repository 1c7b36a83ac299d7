"""The pages that people open: a module or a package for each, put together here and mounted on the API's application.

What has `PAGES` here is a page; a step that is added later adds its own by adding one module. They are named for what
they show: `house` for the whole, the others for their step. A package holds a module for each part of its page.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from nicegui import app as pages_app
from nicegui import ui
from starlette.concurrency import run_in_threadpool

from app.post_audit.errors import PostAuditError
from app.post_audit.web.context import visit_of
from app.post_audit.web.pages.elements import box
from app.post_audit.web.pages.frame import ASSETS, draw_frame, head
from app.post_audit.web.pages.page import House, Page
from app.post_audit.web.pages.view import Loads, View
from app.post_audit.web.pages.watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["all_pages", "mount"]


def all_pages() -> tuple[Page, ...]:
    """Find the pages: `PAGES` of every module here, those with a tab in the order of the tabs."""
    found: list[Page] = []
    for module in pkgutil.iter_modules(__path__):
        found.extend(getattr(import_module(f"{__name__}.{module.name}"), "PAGES", ()))
    return tuple(sorted(found, key=lambda page: page.tab.order if page.tab is not None else 1_000))


def mount(app: FastAPI, *, storage_secret: str) -> None:
    """Mount the pages. Whoever reaches one has passed the gate: `visit_of(request)` (web/context.py) says who it is."""
    house = House(app.state)
    watcher = Watcher(house.database)
    loads = Loads(watcher)
    pages = all_pages()
    tabs = tuple(page for page in pages if page.tab is not None)
    pages_app.add_static_files(ASSETS, Path(__file__).parent / "assets", max_cache_age=3600)
    for page in pages:
        ui.page(page.path, title=f"{page.title} · Post-Audit", response_timeout=20)(
            _opened(house, page, tabs, loads, watcher)
        )
    # the bar that Quasar shows for requests of its own has no name that could be read aloud
    pages_app.config.quasar_config["loadingBar"]["skipHijack"] = True
    ui.run_with(
        app,
        title="Post-Audit Protocol",
        language="en-GB",
        tailwind=False,
        dark=False,
        storage_secret=storage_secret,
        # compressed by server.py, after the scripts of the page have been marked (web/headers.py)
        gzip_middleware_factory=None,
        show_welcome_message=False,
        session_middleware_kwargs={"session_cookie": "post_audit_page", "same_site": "lax"},
    )


def _opened(
    house: House, page: Page, tabs: Sequence[Page], loads: Loads, watcher: Watcher
) -> Callable[[Request], Any]:
    """Make what NiceGUI calls for each visitor who opens the page."""

    async def opened(request: Request) -> None:
        query = {**{name: str(value) for name, value in request.path_params.items()}, **request.query_params}
        visit = visit_of(request)
        if page.knows_who:
            query["who"] = visit.person.name
        view = View(house, page, visit, query, loads, watcher)
        notes = await run_in_threadpool(_notes, house, tabs)
        head()
        draw_frame(view, tabs, notes, watcher)
        with box("div", "sheet", id="content", tabindex="-1"):
            view.lay_out()
        if page.is_wide:
            ui.query("body").classes("wide")
        # before loading, so that what changes meanwhile is not missed
        unsubscribe = watcher.subscribe(view.changed)
        ui.context.client.on_delete(unsubscribe)
        await view.show()

    return opened


def _notes(house: House, tabs: Sequence[Page]) -> dict[str, str]:
    """What waits behind each tab; a tab whose numbers cannot be read says nothing."""
    notes = {}
    for page in tabs:
        if page.tab is not None:
            try:
                notes[page.path] = page.tab.note(house.database)
            except PostAuditError:
                notes[page.path] = ""
    return notes
