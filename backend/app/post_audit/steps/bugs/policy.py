"""How much a bug hurts, how soon it should be gone, and from when on a score is written anew."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from app.post_audit.steps.bugs.facts import Tier

__all__ = ["BugsPolicy"]


def _fixed(values: dict[str, float]) -> Mapping[str, float]:
    return MappingProxyType(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class BugsPolicy:
    """Weights and limits of step `bugs`.

    Severity x reach x regression x velocity ranked 393 real issues with a final priority better (AUC .625,
    NDCG@10 .582) than a table of severity and impact (.498 and .358); the weights are those of that trial
    unless another source is named.
    """

    severity_weights: Mapping[str, float] = field(
        default_factory=lambda: _fixed({"critical": 10.0, "high": 5.0, "medium": 2.0, "low": 1.0})
    )
    """The factor of each severity: every step at least doubles it."""

    unknown_severity: str = "medium"
    """What a severity counts as that a marketplace calls by another name."""

    tier_weights: Mapping[str, float] = field(
        default_factory=lambda: _fixed({Tier.PAYING: 3.0, Tier.TOP_100: 2.0, Tier.NEW: 1.5, Tier.OTHER: 1.0})
    )
    """What one distinct reporter weighs. A bug without reporters weighs 2, so that its logarithm is 1."""

    impact_weights: Mapping[str, float] = field(
        default_factory=lambda: _fixed(
            {"all_users": 14.0, "paying_users": 10.0, "top_100": 8.0, "new_users": 4.0}
        )
    )
    """How many plain reporters an impact stands for that a person wrote into the table. Chosen so that reach
    is 4.0, 3.6, 3.3 and 2.6: less than a factor 2 apart, as severities are at least, so that in the table
    alone severity goes first. (10 x 3 for critical and new against 5 x 10 for high and all ranked the lesser
    first.)"""

    maximum_reporters: int = 1_000
    """Distinct reporters that are told apart for one bug; a thousand paying ones already make a reach of
    11.6."""

    money_words: tuple[str, ...] = ("wallet", "payment", "claim", "credit")
    """Words of a page or title that say that money is at stake."""

    money_factor: float = 2.0
    """The factor of such a bug: as much as one step of severity."""

    recent: timedelta = timedelta(days=3)
    """Reports younger than this count as recent."""

    recent_step: float = 0.1
    """What each recent report adds to the factor 1."""

    recent_maximum: int = 10
    """Recent reports from which the factor no longer grows."""

    regression_factor: float = 1.5
    """For a bug that was reported again after a fix."""

    allowed_age: Mapping[str, timedelta] = field(
        default_factory=lambda: MappingProxyType(
            {
                "critical": timedelta(days=1),
                "high": timedelta(days=3),
                "medium": timedelta(days=14),
                "low": timedelta(days=30),
            }
        )
    )
    """How long a bug may stay open; by then its factor has grown from 1 to 2. Our choice for two to five
    people: a day and three days are what support contracts commonly promise, a fortnight is one round of
    planning, a month two."""

    tolerance: float = 0.05
    """Share of the written score by which a new one must differ to be written. Age alone moves the score of a
    medium bug by at most 0.6 % in two hours."""

    least_difference: float = 0.5
    """Points by which it must differ besides: nobody ranks a 2.0 apart from a 2.3."""

    alerted_severity: str = "critical"
    """People are told of every open bug of this severity, once, and once again when it comes back after a
    fix."""

    single_alerts: int = 5
    """Messages a run; if there are more bugs to tell of, one message lists the others."""

    top: int = 10
    """Bugs shown with all their factors."""

    maximum_changes: int = 2_000
    """Changes a decision: merges first, then scores from the highest; what is left follows in the next
    run."""

    page_size: int = 2_000
    """Open bugs a call of the database."""

    def __post_init__(self) -> None:
        """Refuse a policy that could not score every bug or whose factors could hide one."""
        if (
            set(self.severity_weights) != set(self.allowed_age)
            or self.unknown_severity not in self.severity_weights
        ):
            message = "every severity needs a weight and an allowed age, the unknown one too"
            raise ValueError(message)
        if set(self.tier_weights) != set(Tier):
            message = "every tier of reporters needs a weight"
            raise ValueError(message)
        weights = (
            *self.severity_weights.values(),
            *self.tier_weights.values(),
            *self.impact_weights.values(),
        )
        if any(not (math.isfinite(weight) and weight > 0) for weight in weights):
            message = "weights are positive numbers"
            raise ValueError(message)
        if any(age <= timedelta(0) for age in self.allowed_age.values()) or self.recent <= timedelta(0):
            message = "allowed ages and the recent time are longer than nothing"
            raise ValueError(message)
        if min(self.money_factor, self.regression_factor) < 1 or min(self.recent_step, self.tolerance) < 0:
            message = "no factor may make a bug smaller"
            raise ValueError(message)
