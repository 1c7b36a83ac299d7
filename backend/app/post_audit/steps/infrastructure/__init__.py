"""Step `infrastructure`: whether today's SMS and WhatsApp capacity will last.

It raises a channel's daily quota and n8n batch size by half once 80 % of the quota is used or waiting, each
channel by itself, and tells n8n and Telegram what it did, what that costs and how to take it back.

It never lowers a quota, never goes above the maximum, and never reads missing records as zero: a channel that
has been silent through half an hour of sending hours is unknown. It stops no message: a burst of unwanted
ones needs a cap per sender, for a larger quota sends them all.
"""

from __future__ import annotations

from datetime import datetime

from app.post_audit.ports import Database
from app.post_audit.step import Step, parse_facts
from app.post_audit.steps.infrastructure.decide import decide
from app.post_audit.steps.infrastructure.facts import InfrastructureFacts
from app.post_audit.steps.infrastructure.policy import InfrastructurePolicy

__all__ = ["STEP", "InfrastructureFacts", "InfrastructurePolicy", "decide", "gather"]


def gather(database: Database, policy: InfrastructurePolicy, as_of: datetime) -> InfrastructureFacts:
    """Read every channel's capacity and use as they stand at `as_of` (UTC)."""
    answer = database.call(
        "post_audit_read_infrastructure",
        as_of=as_of,
        day_zone=policy.day_zone,
        queue_days=policy.queue_days,
        former_days=policy.former_days,
    )
    return parse_facts(InfrastructureFacts, answer)


STEP = Step(
    name="infrastructure",
    title="Capacity",
    question="Will today's SMS and WhatsApp capacity last?",
    policy=InfrastructurePolicy(),
    gather=gather,
    decide=decide,
)
