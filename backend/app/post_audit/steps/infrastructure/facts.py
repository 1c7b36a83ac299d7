"""What step `infrastructure` knows: each channel's capacity, what it has sent and what waits.

Counts are billed units: segments of an SMS, messages of WhatsApp. Quotas are units a day; a day begins at
midnight of the policy's zone and is given by its two ends, so that nothing here needs a time zone. Rates are
millipaise a unit (1/1000 paise). Moments are in UTC and none is later than `as_of`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

__all__ = ["Capacity", "ChannelFacts", "FormerDay", "Hold", "InfrastructureFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Units a day and messages an n8n cycle: what a decision sets, and what it sets back."""

    daily_quota: int
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A change that a person took back or declined, and until when it is respected."""

    undone: Capacity
    until: datetime
    decision_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerDay:
    """What one former day used in all and by the same time of day. A day without a record is not listed."""

    day: date
    used: int
    used_by_this_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFacts:
    """One channel's capacity and use.

    `used_today` is what was recorded since midnight: at least so much was used, and only a recent
    `last_sent_at` (the last message of any day, None when there never was one) says that it is all.
    """

    channel: str
    daily_quota: int
    maximum_daily_quota: int
    batch_size: int
    maximum_batch_size: int
    rate_millipaise: int
    version: int
    used_today: int
    queued: int
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    former_days: tuple[FormerDay, ...] = ()
    hold: Hold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InfrastructureFacts:
    """All channels at one moment. `alerted` names the subjects that Telegram has been told of today."""

    as_of: datetime
    day: date
    day_started_at: datetime
    day_ends_at: datetime
    channels: tuple[ChannelFacts, ...]
    alerted: frozenset[str] = frozenset()
