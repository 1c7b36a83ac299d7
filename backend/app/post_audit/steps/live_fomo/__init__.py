"""Step `live_fomo`: whether leaderboard and airdrop counters are live and true.

It recomputes each public number from its ledger, in one snapshot, and compares: every user's total and place
against role earnings, the airdrop's counters against the verified claims. What differs is repaired to what the ledger
says; what cannot be proved is hidden; each check leaves a row in a hash-chained log of evidence.

It never reads a missing source as zero, never deletes a row of the marketplace, never invents a number to
show, and offers no way back to a false one.

Why: Annexure 1(1) of India's Guidelines for Prevention and Regulation of Dark Patterns, 2023, names "showing false
popularity" of a product as false urgency. A counter that nobody checks drifts into exactly that.
"""

from __future__ import annotations

from datetime import datetime

from app.post_audit.ports import Database
from app.post_audit.step import Step, parse_facts
from app.post_audit.steps.live_fomo.decide import decide
from app.post_audit.steps.live_fomo.facts import LiveFomoFacts
from app.post_audit.steps.live_fomo.policy import LiveFomoPolicy

__all__ = ["STEP", "LiveFomoFacts", "LiveFomoPolicy", "decide", "gather"]


def gather(database: Database, policy: LiveFomoPolicy, as_of: datetime) -> LiveFomoFacts:
    """Read what is shown and what the ledgers say; `as_of` (UTC) is the run's clock."""
    answer = database.call(
        "post_audit_read_live_fomo",
        as_of=as_of,
        shown_limit=policy.shown_limit,
        difference_limit=policy.difference_limit,
        settle_seconds=int(policy.settle.total_seconds()),
        ahead_seconds=int(policy.ahead.total_seconds()),
    )
    return parse_facts(LiveFomoFacts, answer)


STEP = Step(
    name="live_fomo",
    title="Live counters",
    question="Are leaderboard and airdrop counters live and true?",
    policy=LiveFomoPolicy(),
    gather=gather,
    decide=decide,
)
