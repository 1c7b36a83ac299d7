"""What forbids a switch, what stops a variant, and what a person has decided against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Final

from app.post_audit.steps.conversions.assessment import Breach, Obstacle
from app.post_audit.steps.conversions.coin import lead, lead_points
from app.post_audit.steps.conversions.facts import Experiment, Hold
from app.post_audit.steps.conversions.health import HARM_EXPECTED, HARMS, weigh_weeks
from app.post_audit.steps.conversions.ledger import Ledger
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = [
    "find_breaches",
    "find_hold",
    "find_obstacle",
    "has_decayed",
    "is_sent",
    "least_hours",
    "may_stay",
    "runs_long_enough",
    "wider_window",
]

_DAY_HOURS: Final = 24

_MARGIN: Final = 1.25
"""How much wider than the 99 % point of the claims a new window is: the last percent would differ by variant, and two
equal ones would be told apart by it in time."""

_CALM: Final = 0.75
"""Where 99 % of the claims come within this share of the window, none are missed after it."""


def find_hold(
    experiment: Experiment, as_of: datetime, holds: tuple[Hold, ...], **wanted: str | int | None
) -> Hold | None:
    """Find the hold under which this very change rests."""
    return next(
        (
            hold
            for hold in holds
            if hold.subject == experiment.subject
            and hold.until > as_of
            and all(key in hold.undone and hold.undone[key] == value for key, value in wanted.items())
        ),
        None,
    )


def may_stay(experiment: Experiment, as_of: datetime, holds: tuple[Hold, ...], variant: str) -> bool:
    """Whether a person decided that a harmful variant goes on."""
    for hold in holds:
        shares = hold.undone.get("allocation_basis_points")
        stopped = isinstance(shares, Mapping) and shares.get(variant) == 0
        if stopped and hold.subject == experiment.subject and hold.until > as_of:
            return True
    return False


def find_obstacle(
    experiment: Experiment, as_of: datetime, log_e: float, policy: ConversionsPolicy
) -> Obstacle | None:
    """Find what forbids believing the numbers, the gravest first."""
    if log_e >= -math.log(policy.mismatch_alpha):
        return Obstacle.MISMATCH
    everybody = sum(sum(counts.values()) for counts in experiment.assigned.values())
    if experiment.exposed_to_several > policy.maximum_exposed_share * everybody:
        return Obstacle.EXPOSED
    last = experiment.last_invite_at
    if last is not None and as_of - last > timedelta(hours=policy.stale_after_hours):
        return Obstacle.STALE
    return None


def wider_window(experiment: Experiment, policy: ConversionsPolicy) -> int | None:
    """Give the window that holds the slowest variant's claims, in whole days; None if it holds 99 % of them."""
    slowest = max(experiment.claim_hours.values(), default=0.0)
    days = math.ceil(slowest * _MARGIN / _DAY_HOURS)
    wanted = min(days * _DAY_HOURS, policy.maximum_window_hours)
    enough = slowest <= experiment.attribution_window_hours or wanted <= experiment.attribution_window_hours
    return None if enough else wanted


def find_breaches(experiment: Experiment, ledger: Ledger, policy: ConversionsPolicy) -> tuple[Breach, ...]:
    """Find the variants that have more of a harm than the others together."""
    names = [variant.id for variant in experiment.variants]
    needed = math.log(len(names) / policy.guardrail_alpha)
    points = lead_points(HARM_EXPECTED)
    totals = {name: ledger.total(name) for name in names}
    everybody = sum(total.units for total in totals.values())
    found: list[Breach] = []
    for what in HARMS:
        events = {name: int(getattr(total, what)) for name, total in totals.items()}
        for variant in experiment.variants:
            coin = ledger.harms.get((variant.id, what))
            if coin is not None and lead(coin, points) >= needed:
                units = totals[variant.id].units
                found.append(
                    Breach(
                        variant=variant,
                        what=what,
                        rate=events[variant.id] / units,
                        others=(sum(events.values()) - events[variant.id]) / (everybody - units),
                    )
                )
    return tuple(found)


def is_sent(experiment: Experiment, variant: str) -> bool:
    """Whether anybody may still get it."""
    return experiment.active_variant == variant or experiment.allocation_basis_points.get(variant, 0) > 0


def has_decayed(experiment: Experiment, ledger: Ledger, policy: ConversionsPolicy) -> bool:
    """Whether the holdout of the present allocation does better than the winner it was kept from."""
    winner = experiment.winner
    if winner is None or experiment.active_variant != winner or experiment.variant(winner) is None:
        return False
    points = lead_points(NormalDist(0.0, policy.log_ratio_deviation))
    return weigh_weeks([lead(coin, points) for _, coin in ledger.weeks]) >= -math.log(policy.alpha)


def least_hours(experiment: Experiment, policy: ConversionsPolicy) -> int:
    """Say how long an experiment has to run before anything is switched.

    Claims that still come near the end of the window may come after it too; how many is known when invites are
    two windows old.
    """
    window = experiment.attribution_window_hours
    if max(experiment.claim_hours.values(), default=0.0) > _CALM * window:
        return max(policy.minimum_runtime_hours, 2 * window)
    return policy.minimum_runtime_hours


def runs_long_enough(experiment: Experiment, as_of: datetime, policy: ConversionsPolicy) -> bool:
    """Whether the least running time is over."""
    started = experiment.started_at
    return started is None or as_of - started >= timedelta(hours=least_hours(experiment, policy))
