"""Judge each channel by itself: whether its quota lasts, what it grows to, and what the day costs.

A channel's need is what it has used today and what waits. From 80 % of its quota on the quota grows by half,
up to its maximum, and the n8n batch with it. Judged together, an uneven split would hide that one of the two
is full: the joint rule lost 25 % of all SMS in the backtest.

Use is only ever known to be at least what was recorded. So a recorded use of 80 % is evidence enough to
raise, whatever else is missing; less is "enough" only while records come in, and unknown otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final

from app.post_audit.steps.infrastructure.facts import Capacity, ChannelFacts, Hold, InfrastructureFacts
from app.post_audit.steps.infrastructure.policy import InfrastructurePolicy

__all__ = ["Cost", "CostAlert", "State", "Verdict", "judge", "judge_cost"]

_SIGNIFICANT_DIGITS: Final = 3


class State(StrEnum):
    """Where a channel stands."""

    RAISE = "raise"
    AT_MAXIMUM = "at_maximum"
    TAKEN_BACK = "taken_back"
    """It would be raised, and a person has said no to a raise that would do."""
    UNKNOWN = "unknown"
    ENOUGH = "enough"
    OFF = "off"


class CostAlert(StrEnum):
    """Which cost is over the policy's limit."""

    SPENT = "spent"
    PROJECTED = "projected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one channel came to; `target` is its capacity after this decision, the present one if it stays.

    `maximum` (units a day) is the lower of the channel's and the policy's; `hold` is the one that keeps a raise back.
    `runs_dry_at` is when the present quota is used up at the pace since the day's first message, `new_runs_dry_at`
    when the target's is: None if not today or not known. `has_pace` says whether that pace can be read.
    """

    facts: ChannelFacts
    state: State
    target: Capacity
    maximum: int
    has_pace: bool
    runs_dry_at: datetime | None
    new_runs_dry_at: datetime | None
    hold: Hold | None = None

    @property
    def present(self) -> Capacity:
        """The capacity as it stands before this decision."""
        return Capacity(daily_quota=self.facts.daily_quota, batch_size=self.facts.batch_size)

    @property
    def is_seen(self) -> bool:
        """Whether a sent message was ever recorded."""
        return self.facts.last_sent_at is not None

    @property
    def spent_paise(self) -> int:
        """What was recorded today has cost so much."""
        return self._paise(self.facts.used_today)

    @property
    def projected_paise(self) -> int:
        """What today costs if the target's quota is used up."""
        return self._paise(max(self.facts.used_today, self.target.daily_quota))

    def _paise(self, units: int) -> int:
        return round(Fraction(units * self.facts.rate_millipaise, 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the day costs over all channels, in paise; `spent_paise` is None where nothing was ever recorded."""

    spent_paise: int | None
    projected_paise: int
    alert: CostAlert | None


def judge(channel: ChannelFacts, facts: InfrastructureFacts, policy: InfrastructurePolicy) -> Verdict:
    """Judge one channel, on what is certain about its use."""
    maximum = min(channel.maximum_daily_quota, policy.maximum_daily_quota)
    state = _state(channel, maximum, facts, policy)
    target = Capacity(daily_quota=channel.daily_quota, batch_size=channel.batch_size)
    if state is State.RAISE:
        target = _raised(channel, maximum, policy)
    return Verdict(
        facts=channel,
        state=state,
        target=target,
        maximum=maximum,
        has_pace=_has_pace(channel, facts, policy),
        runs_dry_at=_runs_dry_at(channel, channel.daily_quota, facts, policy),
        new_runs_dry_at=_runs_dry_at(channel, target.daily_quota, facts, policy),
        hold=channel.hold if state is State.TAKEN_BACK else None,
    )


def judge_cost(verdicts: Sequence[Verdict], policy: InfrastructurePolicy) -> Cost:
    """Add up what the day costs, and judge whether that is over the limit.

    What all quotas together would cost is no alarm by itself: with a WhatsApp message at Rs 0.86 it is over the
    default limit on every single day. It becomes one when a raise leads there.
    """
    seen = [verdict.spent_paise for verdict in verdicts if verdict.is_seen]
    spent_paise = sum(seen) if seen else None
    projected_paise = sum(verdict.projected_paise for verdict in verdicts)
    alert = None
    if spent_paise is not None and spent_paise > policy.cost_alert_paise:
        alert = CostAlert.SPENT
    elif projected_paise > policy.cost_alert_paise and any(v.state is State.RAISE for v in verdicts):
        alert = CostAlert.PROJECTED
    return Cost(spent_paise=spent_paise, projected_paise=projected_paise, alert=alert)


def _state(
    channel: ChannelFacts, maximum: int, facts: InfrastructureFacts, policy: InfrastructurePolicy
) -> State:
    if channel.daily_quota == 0:
        return State.OFF
    if channel.last_sent_at is None:
        return State.UNKNOWN
    # What waits counts only while records come in: else it may have been sent already, or never will be.
    is_observed = _silence(channel.last_sent_at, facts, policy) <= policy.stale_after
    need = channel.used_today + (channel.queued if is_observed else 0)
    if need >= policy.scale_at * channel.daily_quota:
        return _state_of_a_full_one(channel, need, maximum, facts)
    return State.ENOUGH if is_observed else State.UNKNOWN


def _state_of_a_full_one(channel: ChannelFacts, need: int, maximum: int, facts: InfrastructureFacts) -> State:
    """Raise a channel that needs it, unless it is at its maximum or a person has said no today."""
    quota, hold = channel.daily_quota, channel.hold
    if quota >= maximum:
        return State.AT_MAXIMUM
    if hold is not None and hold.until > facts.as_of and quota < hold.undone.daily_quota >= need:
        return State.TAKEN_BACK
    return State.RAISE


def _silence(since: datetime, facts: InfrastructureFacts, policy: InfrastructurePolicy) -> timedelta:
    """Measure how long it has been silent, in sending hours only.

    Exact up to `stale_after`, and above it for sure where it is longer.
    So a quiet night is no silence, and a channel that fell silent in the afternoon still is at midnight.
    Former days are taken to have 24 hours, as India's have.
    """
    silence = timedelta(0)
    midnight = facts.day_started_at
    while silence <= policy.stale_after and midnight + policy.sending_until > since:
        begins = max(since, midnight + policy.sending_from)
        ends = min(facts.as_of, midnight + policy.sending_until)
        silence += max(timedelta(0), ends - begins)
        midnight -= timedelta(days=1)
    return silence


def _raised(channel: ChannelFacts, maximum: int, policy: InfrastructurePolicy) -> Capacity:
    """Grow the quota by one step and the batch in the same proportion, each up to its maximum, never down."""
    daily_quota = min(maximum, _round_up(channel.daily_quota * (1 + Fraction(policy.scale_by))))
    batch_size = _round_up(channel.batch_size * Fraction(daily_quota, channel.daily_quota))
    maximum_batch_size = min(channel.maximum_batch_size, policy.maximum_batch_size)
    return Capacity(
        daily_quota=daily_quota, batch_size=max(channel.batch_size, min(batch_size, maximum_batch_size))
    )


def _round_up(number: Fraction) -> int:
    """Round up to three digits that people can say: 1,688 becomes 1,690."""
    whole = math.ceil(number)
    step = int(10 ** max(0, len(str(whole)) - _SIGNIFICANT_DIGITS))
    return math.ceil(Fraction(whole, step)) * step


def _has_pace(channel: ChannelFacts, facts: InfrastructureFacts, policy: InfrastructurePolicy) -> bool:
    """Say whether sending has gone on for long enough today to read a pace from it."""
    return (
        channel.used_today > 0
        and channel.first_sent_at is not None
        and facts.as_of - channel.first_sent_at >= policy.pace_after
    )


def _runs_dry_at(
    channel: ChannelFacts, quota: int, facts: InfrastructureFacts, policy: InfrastructurePolicy
) -> datetime | None:
    """When a quota is used up at the pace since the day's first message; None if not today or not known."""
    if channel.last_sent_at is None:
        return None
    remaining = quota - channel.used_today
    if remaining <= 0:
        return facts.as_of
    if channel.used_today == 0 or channel.first_sent_at is None or not _has_pace(channel, facts, policy):
        return None
    elapsed = (facts.as_of - channel.first_sent_at).total_seconds()
    seconds = round(elapsed * remaining / channel.used_today)
    if seconds >= (facts.day_ends_at - facts.as_of).total_seconds():
        return None
    return facts.as_of + timedelta(seconds=seconds)
