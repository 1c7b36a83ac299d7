"""Examples of what the step knows: true counters and a true leaderboard, any field of which may be another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.post_audit.steps.live_fomo.facts import (
    AirdropFacts,
    CounterFacts,
    LeaderboardFacts,
    LiveFomoFacts,
    RowDifference,
)
from app.post_audit.steps.live_fomo.policy import LiveFomoPolicy

AS_OF = datetime(2025, 11, 12, 9, 0, tzinfo=UTC)
POLICY = LiveFomoPolicy()
WRITABLE = frozenset({"total_paise", "reached_at", "rank"})


def counter(name: str = "airdrop_claims", **fields: Any) -> CounterFacts:  # noqa: ANN401 - any field
    value = 8 if name == "airdrop_claims" else 4_000_000
    facts = CounterFacts(
        counter=name,
        shown_value=value,
        state="verified",
        version=3,
        shown_at=AS_OF - timedelta(hours=1),
        recomputed=value,
        missing_since=None,
        is_writable=True,
    )
    return replace(facts, **fields)


def row(user: str = "user_3", **fields: Any) -> RowDifference:  # noqa: ANN401 - any field
    facts = RowDifference(
        user_id=user,
        kind="total",
        is_shown=True,
        is_in_top=True,
        shown_paise=90_001,
        shown_rank=None,
        true_paise=90_000,
        true_reached_at=AS_OF - timedelta(days=3),
        true_rank=8,
        ledger_rows=3,
    )
    return replace(facts, **fields)


def board(*rows: RowDifference, **fields: Any) -> LeaderboardFacts:  # noqa: ANN401 - any field
    counts: dict[str, int] = {}
    for found in rows:
        counts[found.kind] = counts.get(found.kind, 0) + 1
    facts = LeaderboardFacts(
        source="readable",
        problem="",
        state="verified",
        version=1,
        writable=WRITABLE,
        users_shown=10,
        users_in_ledger=10,
        shown_paise=1_650_000,
        recomputed_paise=1_650_000,
        ledger_rows=30,
        ledger_last_at=AS_OF - timedelta(days=3),
        differences_in_top=sum(found.is_in_top for found in rows),
        counts=counts,
        differences=rows,
    )
    return replace(facts, **fields)


def facts_of(
    leaderboard: LeaderboardFacts | None = None,
    *counters: CounterFacts,
    **airdrop: Any,  # noqa: ANN401 - any field
) -> LiveFomoFacts:
    claims = AirdropFacts(
        source="readable",
        problem="",
        display="readable",
        display_problem="",
        claims=10,
        ledger_rows=8,
        ledger_last_at=AS_OF - timedelta(days=1),
        without_amount=0,
        future_rows=0,
        counters=counters or (counter(), counter("airdrop_paise")),
    )
    return LiveFomoFacts(
        as_of=AS_OF,
        moment=AS_OF + timedelta(seconds=1),
        snapshot="9:9:",
        leaderboard=leaderboard or board(),
        airdrop=replace(claims, **airdrop),
    )
