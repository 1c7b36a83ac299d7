"""A signal may come at any instruction; whoever is stopped by one never waits for a lock of their own."""

from __future__ import annotations

import signal
import threading

import pytest

from app.post_audit.stopping import stopped_by_signals

PATIENCE_SECONDS = 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_though_the_main_thread_holds_the_lock_that_stopping_needs(
    number: signal.Signals,
) -> None:
    """As `threading.Event.wait` holds, for some instructions, what `Event.set` takes."""
    lock, stopped = threading.Lock(), threading.Event()

    def stop() -> None:
        with lock:
            stopped.set()

    with stopped_by_signals(stop):
        with lock:
            signal.raise_signal(number)
            assert not stopped.is_set()
        assert stopped.wait(PATIENCE_SECONDS)


def test_each_signal_is_heard_and_the_former_handlers_come_back() -> None:
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    heard = threading.Semaphore(0)
    with stopped_by_signals(heard.release):
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        assert all(heard.acquire(timeout=PATIENCE_SECONDS) for _ in range(3))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former


def test_another_thread_than_the_main_one_is_left_alone() -> None:
    def inside() -> None:
        with stopped_by_signals(found.clear):
            found.append(signal.getsignal(signal.SIGTERM))

    found: list[object] = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert found == [signal.getsignal(signal.SIGTERM)]
