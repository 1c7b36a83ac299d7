"""What step `live_fomo` knows: what the public counters show and what their ledgers say, in one snapshot.

Money is integer paise, `airdrop_claims` counts claims. Moments are in UTC. A recomputed value is None where its
source is missing, and never 0 for that reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = [
    "AirdropFacts",
    "CounterFacts",
    "Hold",
    "LeaderboardFacts",
    "LiveFomoFacts",
    "RowDifference",
    "Source",
    "State",
]

Source = Literal["readable", "unbound", "unreadable"]
"""Whether a table could be read at all."""

State = Literal["verified", "repaired", "hidden", "unknown"]
"""What a display says of itself: the first two are shown to the public, the others are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A change that a person declined, and until when that is respected."""

    undone: Mapping[str, object]
    until: datetime
    decision_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterFacts:
    """One counter of the airdrop.

    `missing_since` is None when the shown value never was true since `shown_at`; else it was, and this is when the
    first claim came that it lacks.
    """

    counter: str
    shown_value: int | None
    state: State
    version: int
    shown_at: datetime | None
    recomputed: int | None
    missing_since: datetime | None
    is_writable: bool
    last_proved_at: datetime | None = None
    hold: Hold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AirdropFacts:
    """The airdrop's counters and the claims behind them; `ledger_rows` are the verified ones of `claims`."""

    source: Source
    problem: str
    display: Source
    display_problem: str
    claims: int
    ledger_rows: int
    ledger_last_at: datetime | None
    without_amount: int
    future_rows: int
    counters: tuple[CounterFacts, ...]
    other_counters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDifference:
    """One user whose row is not what the ledger says.

    absent: in the ledger and not shown. phantom: shown, and no row of the ledger is theirs. total: another total.
    order: the right total, in the wrong place among equals. rank: the right total and a wrong stored rank.
    `missing_since` as in `CounterFacts`.
    """

    user_id: str
    kind: Literal["absent", "phantom", "total", "order", "rank"]
    is_shown: bool
    is_in_top: bool
    shown_paise: int | None
    shown_rank: int | None
    true_paise: int
    true_reached_at: datetime | None
    true_rank: int
    ledger_rows: int
    missing_since: datetime | None = None
    hold: Hold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardFacts:
    """The whole leaderboard against the ledger of earnings.

    `counts` are all differences by kind, `differences` the first of them: those among the rows that are shown
    come first, then the largest. Numbers are 0 where `source` is not readable, and say nothing then.
    """

    source: Source
    problem: str
    state: State
    version: int
    writable: frozenset[str] = frozenset()
    users_shown: int = 0
    users_in_ledger: int = 0
    shown_paise: int = 0
    recomputed_paise: int = 0
    ledger_rows: int = 0
    ledger_last_at: datetime | None = None
    future_rows: int = 0
    is_ranked: bool = False
    differences_in_top: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    differences: tuple[RowDifference, ...] = ()
    last_proved_at: datetime | None = None
    hold: Hold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFomoFacts:
    """Everything at one moment: `as_of` is the run's clock, `moment` the snapshot's."""

    as_of: datetime
    moment: datetime
    snapshot: str
    leaderboard: LeaderboardFacts
    airdrop: AirdropFacts
