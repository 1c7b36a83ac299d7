"""Step `enhancements`: what the audit found, as a queue of tasks.

It brings the findings of every audit that arrived into the queue of tasks, closes what a complete audit of the same
scope no longer reports, reopens what came back, and counts what is open and late.

It never reads a file (that is done before, by `importing` and `inbox`), never closes anything outside an audit's own
scope, never closes more than half of a scope without a person, and never reopens what a person has cancelled,
accepted, merged or called a false positive. What was completed and is reported again it reopens. It fixes nothing.
"""

from __future__ import annotations

from datetime import datetime

from app.post_audit.ports import Database
from app.post_audit.step import Step, parse_facts
from app.post_audit.steps.enhancements.decide import decide
from app.post_audit.steps.enhancements.facts import EnhancementsFacts
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

__all__ = ["STEP", "EnhancementsFacts", "EnhancementsPolicy", "decide", "gather"]


def gather(database: Database, policy: EnhancementsPolicy, as_of: datetime) -> EnhancementsFacts:
    """Read the audits that arrived and the state of the queue as they stand at `as_of` (UTC)."""
    answer = database.call(
        "post_audit_read_enhancements",
        as_of=as_of,
        days_to_fix=dict(policy.scoring.days_to_fix),
        audits_limit=policy.audits_per_decision,
        refused_days=policy.refused_days,
    )
    return parse_facts(EnhancementsFacts, answer)


# One import a transaction: one of 10,000 findings takes a good part of the two seconds that a call has.
STEP = Step(
    name="enhancements",
    title="Audit findings",
    question="What did the audit find?",
    policy=EnhancementsPolicy(),
    gather=gather,
    decide=decide,
    batch_size=1,
)
