"""What is known of one experiment once it is judged: results, comparisons, and one status word."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.post_audit.steps.conversions.facts import Experiment, Hold, Variant

__all__ = ["TELLABLE_DAYS", "Assessment", "Breach", "Effect", "Obstacle", "Status", "VariantResult"]


class Status(StrEnum):
    """Where an experiment stands."""

    COUNTING = "counting"
    """Invites are still being counted; what is known of a part of them decides nothing."""
    UNKNOWN = "unknown"
    """Nobody was invited, or there is nothing to compare."""
    COLLECTING = "collecting"
    """Too few mature suppliers, or not enough evidence yet."""
    READY = "ready"
    """One variant is proved better and is not yet the recorded and active one."""
    DECIDED = "decided"
    """The proved variant is already recorded and active."""
    HELD = "held"
    """The switch was taken back by a person and rests."""
    BLOCKED = "blocked"
    """Something forbids believing the numbers (`obstacle`); a person has to look."""
    WIDENING = "widening"
    """The attribution window misses claims of the slowest variant and has to grow first."""
    BREACHED = "breached"
    """A variant does harm and is still sent."""
    DECAYED = "decayed"
    """The active winner fell behind those who kept the holdout."""
    NO_DIFFERENCE = "no_difference"
    """All variants are alike to within the smallest effect that matters."""


class Obstacle(StrEnum):
    """Why an experiment is blocked."""

    DISAGREE = "disagree"
    """Hour by hour another variant is ahead than in total."""
    MISMATCH = "mismatch"
    """Suppliers were not shared among the variants as they should have been."""
    EXPOSED = "exposed"
    """Too many suppliers got several variants."""
    STALE = "stale"
    """No supplier was invited for too long."""


_WORDS: Final[Mapping[Status, str]] = {
    Status.COUNTING: "unknown: still counting",
    Status.UNKNOWN: "no data",
    Status.COLLECTING: "collecting",
    Status.READY: "ready to switch",
    Status.DECIDED: "switched",
    Status.HELD: "held by a person",
    Status.WIDENING: "collecting: the window grows",
    Status.BREACHED: "stopping a harmful message",
    Status.DECAYED: "reverting",
    Status.NO_DIFFERENCE: "no difference worth having",
}

_WHY: Final[Mapping[Obstacle, str]] = {
    Obstacle.DISAGREE: "totals and hours disagree",
    Obstacle.MISMATCH: "shares are not kept",
    Obstacle.EXPOSED: "suppliers got several messages",
    Obstacle.STALE: "no new invites",
}

TELLABLE_DAYS: Final = 90
"""A time to decision beyond is no forecast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """One variant in numbers.

    `interval` holds the true rate at every look at once, with probability 1 - alpha.
    """

    variant: Variant
    units: int
    converted: int
    immature: int
    interval: tuple[float, float]

    @property
    def rate(self) -> float | None:
        """Conversions per mature supplier (0 to 1); None while there is no mature supplier."""
        return self.converted / self.units if self.units else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One comparison: the first variant against the second.

    `ratio` and `difference` of the rates hold at every look at once, for all comparisons of the experiment
    together.
    """

    first: str
    second: str
    log_e: float
    favours: str | None
    ratio: tuple[float, float]
    difference: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A guardrail that a variant broke: its share of `what`, and that of all others."""

    variant: Variant
    what: str
    rate: float
    others: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One experiment judged.

    `results` stand in the experiment's order. `leader` has the greatest rate, `rival` is the one the
    evidence separates least from it, both None below two variants or without mature suppliers. `log_e` is
    the evidence that leader and rival differ in the leader's favour (never above 0 where it speaks for the
    rival). `proven` is the variant that beats every rival by evidence, whatever its rate. `keep` is the one
    to stay with where there is no difference worth having or where the winner decayed. `days_left` estimates
    the time to a decision at the present rates, None where it can not be told; `gained` is how many more
    conversions there were than with even shares. `since` are the results of the present allocation, where a
    winner decayed in it; `too_soon` says that the least running time is not over.
    """

    experiment: Experiment
    status: Status
    results: tuple[VariantResult, ...]
    threshold: float
    leader: VariantResult | None = None
    rival: VariantResult | None = None
    proven: VariantResult | None = None
    log_e: float = 0.0
    hold: Hold | None = None
    obstacle: Obstacle | None = None
    keep: VariantResult | None = None
    effects: tuple[Effect, ...] = ()
    breaches: tuple[Breach, ...] = ()
    mismatch_log_e: float = 0.0
    window_hours: int | None = None
    days_left: float | None = None
    gained: float = 0.0
    too_soon: bool = False
    since: tuple[VariantResult, ...] = ()

    @property
    def in_place(self) -> bool:
        """Whether what is to be kept is recorded and active."""
        keep, experiment = self.keep, self.experiment
        return keep is not None and experiment.active_variant == keep.variant.id == experiment.winner

    @property
    def word(self) -> str:
        """Say the status in words for people."""
        if self.status is Status.COLLECTING and self.experiment.judged_from_epoch > 1:
            return "reverted"
        if (
            self.status is Status.COLLECTING
            and self.days_left is not None
            and self.days_left <= TELLABLE_DAYS
        ):
            days = max(1, math.ceil(self.days_left))
            return f"about {days} day{'s' if days > 1 else ''} left"
        return f"blocked: {_WHY[self.obstacle]}" if self.obstacle else _WORDS[self.status]
