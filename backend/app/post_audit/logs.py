"""Logging: for a person on a terminal, one JSON object a line in the log file, and never a secret in either.

Secrets are taken out at the source: every record of every logger, ours and the libraries', passes `secrecy.redact`.
"""

from __future__ import annotations

import fcntl
import logging
import logging.handlers
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final

import structlog

from app.post_audit.secrecy import hide, redact

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from structlog.types import EventDict, WrappedLogger

__all__ = [
    "BACKUPS",
    "MAXIMUM_BYTES",
    "SharedRotatingFileHandler",
    "configure",
    "get_logger",
]

MAXIMUM_BYTES: Final = 5_000_000
BACKUPS: Final = 5


def _redact_value(value: object) -> object:
    match value:
        case str():
            return redact(value)
        case dict():
            return {key: _redact_value(item) for key, item in value.items()}
        case list() | tuple():
            return [_redact_value(item) for item in value]
        case None | bool() | int() | float():
            return value
    return redact(str(value))


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: value if key.startswith("_") else _redact_value(value) for key, value in event.items()}


class SharedRotatingFileHandler(logging.handlers.WatchedFileHandler):
    """A log file that several processes write and that is rotated by whichever finds it too long.

    Python's own rotating handler renames the file under the feet of the other processes.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, after rotating the file where it has grown too long."""
        try:
            self.reopenIfNeeded()
            if self.stream is not None and self.stream.tell() >= MAXIMUM_BYTES:
                self._rotate()
        except OSError:
            self.handleError(record)
            return
        super().emit(record)

    def _rotate(self) -> None:
        with open(f"{self.baseFilename}.lock", "w", encoding="utf-8") as lock:  # noqa: PTH123 - a path as text
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.reopenIfNeeded()
            if self.stream is None or self.stream.seek(0, 2) < MAXIMUM_BYTES:
                return
            rotated = logging.handlers.RotatingFileHandler(
                self.baseFilename, maxBytes=MAXIMUM_BYTES, backupCount=BACKUPS, encoding="utf-8", delay=True
            )
            rotated.doRollover()
            rotated.close()
            self.reopenIfNeeded()


def configure(
    *, log_file: Path | None, level: str, secrets: Iterable[str], terminal_level: int = logging.WARNING
) -> None:
    """Send every log record to the file (JSON lines) and, from `terminal_level` on, to standard error.

    Without a file only standard error is written.

    A log file that cannot be written is said once on standard error and does not stop the work.
    """
    hide(secrets)
    sys.excepthook = _tell_uncaught
    threading.excepthook = _tell_uncaught_in_thread
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    on_terminal = logging.StreamHandler(sys.stderr)
    on_terminal.setFormatter(_formatter(shared, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())))
    on_terminal.setLevel(terminal_level)
    handlers: list[logging.Handler] = [on_terminal]
    trouble: OSError | None = None
    try:
        if log_file is not None:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            in_file = SharedRotatingFileHandler(log_file, encoding="utf-8", delay=False)
            in_file.setFormatter(_formatter(shared, structlog.processors.JSONRenderer(ensure_ascii=False)))
            handlers.append(in_file)
    except OSError as error:
        trouble = error
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
        former.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    # httpx writes whole addresses, and a bot's token is part of one; asyncio tells of each loop.
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # The pool tells each of its quiet retries; whoever needed the connection tells it once, with the cure.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    if trouble is not None:
        get_logger(__name__).warning("log.file_unusable", path=str(log_file), why=trouble.strerror)


def _formatter(shared: list[Any], renderer: Any) -> structlog.stdlib.ProcessorFormatter:  # noqa: ANN401 - a processor
    """What makes a line of a record, ours or a library's, without secrets."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
    )


def _tell_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print what nobody expected as Python does, without the secrets that a library's words may hold."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def _tell_uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        _tell_uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger whose events have a machine name and named values: `log.info("step.decided", step=...)`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
