"""What counts as late, as large and as lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

__all__ = ["LiveFomoPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFomoPolicy:
    """Thresholds of step `live_fomo`. Whether a number is true has none: it is, to the paisa, or it is not."""

    stale_after: timedelta = timedelta(hours=4)
    """Age, two intervals of the protocol, after which a display that lacks rows of its ledger is stuck, and a proof no
    longer lets the public see anything. A ledger without new rows makes nothing stale: a fixed hour of silence
    as alarm gave 94 false alarms in 30 days of a marketplace's nights."""

    settle: timedelta = timedelta(seconds=2)
    """Age of a ledger row before its absence from the display counts. A marketplace that writes both in two
    transactions is between them for milliseconds; a repair in between would be added to twice."""

    ahead: timedelta = timedelta(minutes=5)
    """How far in the future a row may be dated and still count: clocks of servers differ."""

    large_share: Decimal = Decimal("0.05")
    """Difference, as a share of the shown value, over which people are told at once."""

    large_paise: int = 5_000_000
    """Paise (Rs 50,000): the same for money, whatever its share."""

    shown_limit: int = 100
    """Rows of the leaderboard that the public sees: each of them has to be true, or none is shown."""

    difference_limit: int = 500
    """Rows repaired in one run, those that are shown first, so that a decision stays readable and its changes are
    one batch."""

    lost_share: Decimal = Decimal("0.50")
    """Share of the shown users without one row in the ledger over which the ledger, and not the display, is
    taken to be wrong: quarantine takes some, a lost table all."""

    lost_users: int = 10
    """The least number of such users for that."""

    named_rows: int = 20
    """Differing rows that a decision names one by one; all are in its changes."""

    def __post_init__(self) -> None:
        """Refuse limits that would leave shown rows unchecked."""
        if not 0 < self.shown_limit <= self.difference_limit:
            message = "at least as many differences are read as rows are shown"
            raise ValueError(message)
        if min(self.settle, self.ahead, self.stale_after) < timedelta(0):
            message = "lengths of time are not negative"
            raise ValueError(message)
