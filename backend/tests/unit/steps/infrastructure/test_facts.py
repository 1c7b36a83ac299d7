"""Tests of `app.post_audit.steps.infrastructure.facts` and of the step's `gather`: the answer's shape."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.ports import JSON
from app.post_audit.step import Outcome
from app.post_audit.steps.infrastructure import STEP, InfrastructurePolicy, gather
from app.post_audit.steps.infrastructure.facts import Capacity, FormerDay, Hold

AS_OF = datetime(2025, 11, 12, 8, 30, tzinfo=UTC)

CHANNEL: dict[str, JSON] = {
    "channel": "sms",
    "daily_quota": 20_000,
    "maximum_daily_quota": 100_000,
    "batch_size": 500,
    "maximum_batch_size": 5_000,
    "rate_millipaise": 18_000,
    "version": 0,
    "used_today": 16_000,
    "queued": 12,
    "first_sent_at": "2025-11-12T04:30:00+00:00",
    "last_sent_at": "2025-11-12T08:29:00.123456+00:00",
    "former_days": [{"day": "2025-11-11", "used": 9, "used_by_this_time": 4}],
    "hold": {
        "undone": {"daily_quota": 30_000, "batch_size": 750},
        "until": "2025-11-12T18:30:00+00:00",
        "decision_id": 4,
    },
}


class RecordedDatabase:
    """A database that has one answer, and remembers what it was asked."""

    def __init__(self, channel: dict[str, JSON]) -> None:
        self.channel = channel
        self.asked: list[tuple[str, dict[str, object]]] = []

    def call(self, function: str, **arguments: object) -> JSON:
        self.asked.append((function, arguments))
        return {
            "as_of": "2025-11-12T08:30:00+00:00",
            "day": "2025-11-12",
            "day_started_at": "2025-11-11T18:30:00+00:00",
            "day_ends_at": "2025-11-12T18:30:00+00:00",
            "channels": [self.channel],
            "alerted": ["capacity:cost:spent"],
        }

    def describe(self) -> str:
        return "recorded"

    def close(self) -> None:
        """There is nothing to give back."""


def test_gather_asks_with_the_policy_and_reads_the_answer() -> None:
    database = RecordedDatabase(CHANNEL)
    facts = gather(database, InfrastructurePolicy(day_zone="Asia/Colombo"), AS_OF)

    assert database.asked == [
        (
            "post_audit_read_infrastructure",
            {"as_of": AS_OF, "day_zone": "Asia/Colombo", "queue_days": 7, "former_days": 7},
        )
    ]
    assert facts.as_of == AS_OF
    assert facts.day == date(2025, 11, 12)
    assert facts.alerted == {"capacity:cost:spent"}
    (channel,) = facts.channels
    assert channel.former_days == (FormerDay(day=date(2025, 11, 11), used=9, used_by_this_time=4),)
    assert channel.hold == Hold(
        undone=Capacity(daily_quota=30_000, batch_size=750),
        until=datetime(2025, 11, 12, 18, 30, tzinfo=UTC),
        decision_id=4,
    )


def test_the_step_decides_on_what_it_gathers() -> None:
    database = RecordedDatabase(CHANNEL | {"hold": None, "former_days": []})

    assert STEP.run(database, AS_OF).outcome is Outcome.ACT


@pytest.mark.parametrize(
    "unusable", [{"used_today": None}, {"last_sent_at": "yesterday"}, {"hold": {"undone": {}}}]
)
def test_an_answer_of_another_shape_is_refused(unusable: dict[str, JSON]) -> None:
    with pytest.raises(UnexpectedAnswer, match=r"channels\.0\."):
        gather(RecordedDatabase(CHANNEL | unusable), InfrastructurePolicy(), AS_OF)
