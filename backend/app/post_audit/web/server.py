"""Builds the FastAPI application and serves it on this machine alone."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from app.post_audit.errors import ConfigurationError, PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.runner import RunKind
from app.post_audit.web import audits, bugs, conversions, health, live, tasks
from app.post_audit.web.errors import add_error_handlers

if TYPE_CHECKING:
    from app.post_audit.compose import Application
    from app.post_audit.ports import Database

__all__ = ["LOOPBACK", "create_app", "serve"]

LOOPBACK = "127.0.0.1"

_log = get_logger(__name__)


def create_app(database: Database, start_run: Callable[[RunKind, str], object] | None = None) -> FastAPI:
    """Put the routes together over one database.

    `start_run(kind, tick)` starts a run and returns at once; without it an audit that arrives waits for the next.
    """
    app = FastAPI(
        title="Post-Audit Protocol",
        description="Six watches over a marketplace that decide, act and say why.",
        version="1.0.0",
    )
    app.state.database = database
    app.state.start_run = start_run
    for module in (health, conversions, bugs, live, tasks, audits):
        app.include_router(module.router)
    add_error_handlers(app)
    return app


def serve(application: Application, *, port: int) -> int:
    """Serve until SIGTERM or SIGINT. Raises `ConfigurationError` when the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} cannot be used: {error.strerror}.",
                cure="Choose another: post-audit serve --port 8001",
            ) from None
    runs = ThreadPoolExecutor(max_workers=1, thread_name_prefix="post-audit-run")

    def start_run(kind: RunKind, tick: str) -> object:
        return runs.submit(_run, application, kind, tick)

    app = create_app(application.database, start_run)
    config = uvicorn.Config(app, host=LOOPBACK, port=port, log_config=None, server_header=False)
    print(f"Serving http://{LOOPBACK}:{port}  (API: /docs; stop with Ctrl-C)", flush=True)  # noqa: T201 - for the person who started it
    try:
        _Server(config).run()
    finally:
        # A run that is going on is handed back after its step; those that wait are made by the next one.
        application.runner.stop()
        runs.shutdown(wait=True, cancel_futures=True)
    return 0


class _Server(uvicorn.Server):
    """A server whose stop by a signal is an ordinary end.

    uvicorn's own raises the signal again after its shutdown, before we could hand a run back.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as uvicorn calls it
        """Ask for the end; a second Ctrl-C does not wait for open connections."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _run(application: Application, kind: RunKind, tick: str) -> None:
    try:
        application.run(kind=kind, tick=tick)
    except PostAuditError as error:
        _log.error("run.not_made", kind=kind, tick=tick, code=type(error).__name__, error=str(error))
