"""When a channel's daily quota grows, by how much and how far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

__all__ = ["InfrastructurePolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InfrastructurePolicy:
    """The step's thresholds. Shares are decimals, so that 80 % of 35 is 28 and not a little more."""

    channels: tuple[str, ...] = ("sms", "whatsapp")
    """The channels that must have a capacity; each is judged by itself."""

    day_zone: str = "Asia/Kolkata"
    """Where a quota's day begins at midnight: the carriers' day in India."""

    scale_at: Decimal = Decimal("0.80")
    """Share of the quota, used and waiting, from which it grows. The marketplace's own rule."""

    scale_by: Decimal = Decimal("0.50")
    """Share of the quota by which it grows, once a decision. The marketplace's own rule."""

    maximum_daily_quota: int = 100_000
    """Units a channel and day, whatever the database allows: the largest WhatsApp tier with a limit."""

    maximum_batch_size: int = 5_000
    """Messages an n8n cycle, whatever the database allows."""

    cost_alert_paise: int = 1_000_000
    """Paise a day over all channels (Rs 10,000) from which people are told."""

    stale_after: timedelta = timedelta(minutes=30)
    """Silence, counted in sending hours only, after which a channel's use is unknown. A silent channel is
    either idle or its records are missing; read as zero, 36 such hours cost ten times the messages that
    holding still costs (1.45 % lost against 0.14 %, backtest on demand traces)."""

    sending_from: timedelta = timedelta(hours=10)
    """Since midnight. Promotional SMS may be sent from 10:00 to 21:00 in India (carriers' rules)."""

    sending_until: timedelta = timedelta(hours=21)
    """Since midnight."""

    pace_after: timedelta = timedelta(minutes=30)
    """Time since the day's first message before a pace is read from it."""

    queue_days: int = 7
    """Days. What has waited longer was forgotten rather than delayed, and does not count."""

    former_days: int = 7
    """Days shown beside today."""

    def __post_init__(self) -> None:
        """Refuse a policy that could lower a quota or could never find a silence."""
        if not (0 < self.scale_at <= 1 and self.scale_by > 0):
            message = "a quota grows by a positive share, from a share above 0 and up to 1"
            raise ValueError(message)
        if not timedelta(0) <= self.sending_from < self.sending_until <= timedelta(days=1):
            message = "sending hours begin before they end, within one day"
            raise ValueError(message)
