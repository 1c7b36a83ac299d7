"""Ending when the operating system asks for it."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from app.post_audit.logs import get_logger

__all__ = ["stopped_by_signals"]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_log = get_logger(__name__)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at SIGTERM and SIGINT, in a thread of its own, as long as the context lasts.

    A handler runs between two instructions of the main thread, which may at that moment hold the very lock that
    `threading.Event.set` takes, as `Event.wait` does at its beginning: it would wait for itself for ever. So the
    handler only puts the number into a `SimpleQueue`, whose `put` is made for that, and who takes it may wait.
    In another thread than the main one, which signals don't reach, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.put(number)

    def wait() -> None:
        while (number := asked.get()) is not None:
            _log.info("protocol.stopping", signal=signal.Signals(number).name)
            stop()

    waiting = threading.Thread(target=wait, name="post-audit-signals", daemon=True)
    waiting.start()
    former = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        asked.put(None)
        waiting.join()
