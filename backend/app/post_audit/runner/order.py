"""Who orders a run: whoever calls, here and now, or the durable engine, which may stop asking for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

__all__ = ["AtOnce", "Order", "Overtaken"]


class Overtaken(Exception):
    """The run was not begun, because a later tick of the schedule covers it."""


class Order(Protocol):
    """Whoever orders runs from outside: the durable engine."""

    @property
    def gives_up(self) -> bool:
        """Whether the step that the run stands at has ended so many workers that it is recorded as failed."""

    def is_overtaken(self) -> bool:
        """Whether a later tick covers this one, so that it need not be run any more."""

    def step(self, run_id: int, name: str, body: Callable[[], Mapping[str, Any]]) -> None:
        """Call `body`, which does one step and answers with JSON, and keep that it is done."""


class AtOnce:
    """Runs what is asked for, here and now."""

    gives_up = False

    def is_overtaken(self) -> bool:
        """Never: it was asked for by somebody who waits."""
        return False

    def step(self, _run_id: int, _name: str, body: Callable[[], Mapping[str, Any]]) -> None:
        """Do it."""
        body()
