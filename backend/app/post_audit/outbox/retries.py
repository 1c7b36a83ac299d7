"""When a message that did not arrive is tried again, and when it is given up."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["RetryPolicy"]


def _dice() -> float:
    """A number in [0, 1)."""
    return random.random()  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The one schedule of retries: 5 s, 15 s, 45 s, 2 min, 7 min, 20 min, then every half an hour for a day.

    A receiver that is restarted is reached within seconds, one that is repaired overnight still gets what waited,
    and what could not be delivered for a day is for a person to look at.
    """

    first_seconds: float = 5.0
    growth: float = 3.0
    longest_seconds: float = 1800.0
    """Also the longest that a receiver's own `Retry-After` is believed; then it is asked once more."""
    jitter: float = 0.25
    """Waits are spread by this share in both directions, so that those who failed together do not return together."""
    tries: int = 60
    """A guard behind the age: reached only by a message that somebody keeps asking for again."""
    age_seconds: float = 86_400.0
    hold_seconds: float = 30.0
    """For how long a receiver that does not answer is left alone at most, whatever else waits for it."""

    def wait(
        self,
        attempt: int,
        waited_seconds: float,
        asked_seconds: float | None,
        dice: Callable[[], float] = _dice,
    ) -> float | None:
        """In how many seconds the message is tried again after try number `attempt`; None when it is given up.

        A receiver that says when (`asked_seconds`) is obeyed: never earlier, and at most 0.4 s later. Its tries are not
        counted, since a receiver that is only busy is no reason to give up.
        """
        if waited_seconds >= self.age_seconds:
            return None
        if asked_seconds is not None:
            return min(max(asked_seconds, 0.0), self.longest_seconds) + 0.1 + 0.3 * dice()
        if attempt >= self.tries:
            return None
        # grown by hand: the power of a large number of tries would overflow
        plain = self.first_seconds
        for _ in range(1, attempt):
            plain *= self.growth
            if plain >= self.longest_seconds:
                plain = self.longest_seconds
                break
        return plain * (1 + self.jitter * (2 * dice() - 1))

    def hold(self, wait: float | None, asked_seconds: float | None) -> float:
        """For how many seconds the receiver is left alone after a try that it, not the message, made fail."""
        if asked_seconds is not None:
            return wait if wait is not None else self.hold_seconds
        return min(self.hold_seconds, wait if wait is not None else self.hold_seconds)
