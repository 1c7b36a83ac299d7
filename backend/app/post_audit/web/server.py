"""Builds the FastAPI application and serves it on this machine alone."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from app.post_audit.errors import ConfigurationError
from app.post_audit.web import bugs, conversions, health, live
from app.post_audit.web.errors import add_error_handlers

if TYPE_CHECKING:
    from app.post_audit.compose import Application
    from app.post_audit.ports import Database

__all__ = ["LOOPBACK", "create_app", "serve"]

LOOPBACK = "127.0.0.1"


def create_app(database: Database) -> FastAPI:
    """Put the routes together over one database."""
    app = FastAPI(
        title="Post-Audit Protocol",
        description="Six watches over a marketplace that decide, act and say why.",
        version="1.0.0",
    )
    app.state.database = database
    for module in (health, conversions, bugs, live):
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
    config = uvicorn.Config(
        create_app(application.database), host=LOOPBACK, port=port, log_config=None, server_header=False
    )
    print(f"Serving http://{LOOPBACK}:{port}  (API: /docs; stop with Ctrl-C)", flush=True)  # noqa: T201 - for the person who started it
    uvicorn.Server(config).run()
    return 0
