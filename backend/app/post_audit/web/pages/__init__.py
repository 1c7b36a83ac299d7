"""The pages that people open: one module for each, put together here and mounted on the API's application."""

from __future__ import annotations

from fastapi import FastAPI
from nicegui import ui

__all__ = ["mount"]


def mount(app: FastAPI, *, storage_secret: str) -> None:
    """Mount the pages. Whoever reaches one has passed the gate: `visit_of(request)` (web/context.py) says who it is."""
    ui.run_with(
        app,
        title="Post-Audit Protocol",
        language="en-GB",
        tailwind=False,
        storage_secret=storage_secret,
        # compressed by server.py, after the scripts of the page have been marked (web/headers.py)
        gzip_middleware_factory=None,
        show_welcome_message=False,
        session_middleware_kwargs={"session_cookie": "post_audit_page", "same_site": "lax"},
    )
