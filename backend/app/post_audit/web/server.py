"""Builds the FastAPI application and serves it."""

from __future__ import annotations

import getpass
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware

from app.post_audit.engine import Wanted
from app.post_audit.errors import ConfigurationError, PostAuditError
from app.post_audit.logs import get_logger
from app.post_audit.runner import RunKind
from app.post_audit.web import (
    audits,
    bugs,
    conversions,
    decisions,
    doctor,
    health,
    house,
    live,
    openapi,
    outbox,
    runs,
    tasks,
)
from app.post_audit.web.access import AccessPolicy, Door, login
from app.post_audit.web.access.gate import Gate
from app.post_audit.web.checkup import Checkup
from app.post_audit.web.errors import add_error_handlers
from app.post_audit.web.headers import SecurityHeaders
from app.post_audit.web.hot import HotReads
from app.post_audit.web.limits import BodyLimit
from app.post_audit.web.unknown import Unknown

if TYPE_CHECKING:
    from app.post_audit.compose import Application
    from app.post_audit.ports import Database

__all__ = ["create_app", "serve"]

_MODULES: Final = (
    login,
    openapi,
    health,
    house,
    doctor,
    runs,
    decisions,
    outbox,
    conversions,
    bugs,
    live,
    tasks,
    audits,
)

_log = get_logger(__name__)


def create_app(
    database: Database,
    start_run: Callable[[RunKind, str], object] | None = None,
    *,
    policy: AccessPolicy | None = None,
    application: Application | None = None,
    with_pages: bool = False,
) -> FastAPI:
    """Put the routes together over one database, behind the gate.

    `start_run(kind, tick)` starts a run and returns at once; without it an audit that arrives waits for the next.
    Without a policy only this machine is served, to read. `application` is what was built from settings, where there
    is one: it tells them and sends what is due. Pages belong to the process (NiceGUI keeps them in a
    global), so only one application of a process can have them.
    """
    app = FastAPI(
        title="Post-Audit Protocol",
        description="Six watches over a marketplace that decide, act and say why.",
        version="1.0.0",
        docs_url=None,
        redoc_url=None,
    )
    door = Door(database, policy or AccessPolicy())
    app.state.database = database
    app.state.start_run = start_run
    app.state.door = door
    app.state.application = application
    app.state.settings = None if application is None else application.settings
    app.state.checkup = Checkup(database, app.state.settings)
    app.state.deliver = _nothing if application is None else application.deliver
    for module in _MODULES:
        app.include_router(module.router)
    app.router.routes.append(Unknown(app.routes))
    if with_pages:
        from app.post_audit.web import pages  # noqa: PLC0415 - the page framework takes a second to import

        pages.mount(app, storage_secret=door.policy.sign("pages", ""))
    add_error_handlers(app)
    openapi.describe_errors(app)
    # The one that is added last is passed first.
    app.add_middleware(HotReads)
    app.add_middleware(BodyLimit)
    app.add_middleware(Gate, door=door)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    return app


def serve(application: Application, *, port: int) -> int:
    """Serve until SIGTERM or SIGINT.

    Raises `ConfigurationError` when the port is taken, or when others than this machine would be served without a
    secret.
    """
    policy = AccessPolicy.of(application.settings)
    _refuse_taken(policy.address, port)
    runs = ThreadPoolExecutor(max_workers=1, thread_name_prefix="post-audit-run")

    stopping = threading.Event()

    def start_run(kind: RunKind, tick: str) -> object:
        # Kept before it is promised: killed from now on, the next server or any worker makes it.
        if application.ask(Wanted(tick=tick, kind=kind)):
            return runs.submit(_drain, application, stopping)
        return runs.submit(_run, application, kind, tick)

    app = create_app(application.database, start_run, policy=policy, application=application, with_pages=True)
    # Behind a run that goes on: that one sends what is due at its end, and nobody waits for a receiver.
    app.state.deliver = lambda: runs.submit(application.deliver)
    # what a server that was killed had promised, or begun
    runs.submit(_drain, application, stopping)
    # so that the first page knows of a receiver that would take nothing
    runs.submit(app.state.checkup.ask)
    # Who a proxy speaks for is judged by the gate, which knows whom to believe.
    config = uvicorn.Config(
        app, host=policy.address, port=port, log_config=None, server_header=False, proxy_headers=False
    )
    place = f"http://{f'[{policy.address}]' if ':' in policy.address else policy.address}:{port}"
    print(f"Serving {place}  (pages: /admin, API: /docs; stop with Ctrl-C)", flush=True)  # noqa: T201 - for the person who started it
    told = "Sign in at /login; somebody new: post-audit users add NAME --role viewer"
    if not policy.is_guarded:
        told = f"Sign in once with {place}/login?link={app.state.door.make_link(_owner())}"
    if application.is_untouched():
        told += "\nThe database is empty: /admin can show it with invented data, as post-audit run does."
    print(told, flush=True)  # noqa: T201 - as above
    try:
        _Server(config).run()
    finally:
        # A run that is going on is handed back after its step; those that wait are made by the next one.
        stopping.set()
        application.runner.stop()
        runs.shutdown(wait=True, cancel_futures=True)
    return 0


def _nothing() -> int:
    """Send nothing: what is due waits in the outbox for a program that has senders."""
    return 0


def _refuse_taken(address: str, port: int) -> None:
    """Say which address or port cannot be used, before anything is begun."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} cannot be used: {error.strerror}.",
                cure="Choose another: post-audit serve --port 8001",
            ) from None


def _owner() -> str:
    """Who has started the server: whoever has its link may do everything in their name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "owner"


class _Server(uvicorn.Server):
    """A server whose stop by a signal is an ordinary end.

    uvicorn's own raises the signal again after its shutdown, before we could hand a run back.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as uvicorn calls it
        """Ask for the end; a second Ctrl-C does not wait for open connections."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _drain(application: Application, stopping: threading.Event) -> None:
    try:
        application.drain(stopping)
    except PostAuditError as error:
        _log.error("queue.not_drained", code=type(error).__name__, error=str(error))


def _run(application: Application, kind: RunKind, tick: str) -> None:
    try:
        application.run(kind=kind, tick=tick)
    except PostAuditError as error:
        _log.error("run.not_made", kind=kind, tick=tick, code=type(error).__name__, error=str(error))
