"""Examples of what the step knows: a quiet day at 14:00 in India, and channels in any state."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from app.post_audit.steps.infrastructure.facts import Capacity, ChannelFacts, Hold, InfrastructureFacts
from app.post_audit.steps.infrastructure.policy import InfrastructurePolicy

POLICY = InfrastructurePolicy()
MIDNIGHT = datetime(2025, 11, 11, 18, 30, tzinfo=UTC)
"""00:00 IST on 12 November."""


def at(hours: float) -> datetime:
    """Give a moment of the day by its hours since midnight in India."""
    return MIDNIGHT + timedelta(hours=hours)


def channel(name: str = "sms", **fields: Any) -> ChannelFacts:  # noqa: ANN401 - any of its fields
    """Give a channel at 14:00 IST: sending since 10:00, 5,000 of 20,000 used, the last a minute ago."""
    defaults: dict[str, Any] = {
        "channel": name,
        "daily_quota": 20_000,
        "maximum_daily_quota": 100_000,
        "batch_size": 500,
        "maximum_batch_size": 5_000,
        "rate_millipaise": 18_000 if name == "sms" else 86_310,
        "version": 3,
        "used_today": 5_000,
        "queued": 0,
        "first_sent_at": at(10),
        "last_sent_at": at(14) - timedelta(minutes=1),
    }
    return ChannelFacts(**(defaults | fields))


def facts(
    *channels: ChannelFacts, as_of: datetime | None = None, alerted: frozenset[str] = frozenset()
) -> InfrastructureFacts:
    """Give the facts at 14:00 IST with a quiet channel for each that is not named."""
    named = {each.channel for each in channels}
    quiet = tuple(channel(name) for name in ("sms", "whatsapp") if name not in named)
    return InfrastructureFacts(
        as_of=as_of or at(14),
        day=date(2025, 11, 12),
        day_started_at=MIDNIGHT,
        day_ends_at=at(24),
        channels=(*channels, *quiet),
        alerted=alerted,
    )


@st.composite
def any_channel(draw: st.DrawFn, name: str = "sms") -> ChannelFacts:
    """Draw a channel in any state, consistent with itself."""
    ages = st.none() | st.integers(0, 60 * 24 * 30).map(lambda minutes: at(14) - timedelta(minutes=minutes))
    last_sent_at = draw(ages)
    is_today = last_sent_at is not None and last_sent_at >= MIDNIGHT
    counts = st.integers(0, 300_000)
    maximum_batch_size = draw(st.integers(1, 9_000))
    holds = st.builds(
        Hold,
        undone=st.builds(Capacity, daily_quota=counts, batch_size=st.integers(1, 9_000)),
        until=st.sampled_from([at(13), at(24)]),
        decision_id=st.just(1),
    )
    return channel(
        name,
        daily_quota=draw(counts),
        maximum_daily_quota=draw(counts),
        batch_size=draw(st.integers(1, 9_000)),
        maximum_batch_size=maximum_batch_size,
        rate_millipaise=draw(st.integers(0, 200_000)),
        used_today=draw(counts) if is_today else 0,
        queued=draw(counts),
        first_sent_at=draw(st.sampled_from([MIDNIGHT, last_sent_at])) if is_today else None,
        last_sent_at=last_sent_at,
        hold=draw(st.none() | holds),
    )


any_facts = st.builds(facts, any_channel(), any_channel("whatsapp"))
