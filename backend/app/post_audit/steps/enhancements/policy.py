"""How soon a finding is to be fixed, when an audit is too old, and how large a report may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

__all__ = ["EnhancementsPolicy", "Scoring"]

_PRIORITIES = {"critical", "high", "medium", "low"}


def _days_to_fix() -> dict[str, int]:
    return {"critical": 7, "high": 30, "medium": 90, "low": 120}


def _points() -> dict[str, float]:
    return {"critical": 100, "high": 60, "medium": 30, "low": 10}


def _impact() -> dict[str, float]:
    return {
        "secrets": 2.0,
        "security": 1.6,
        "dependencies": 1.3,
        "database": 1.2,
        "deployment": 1.1,
        "documentation": 0.7,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How the queue is ordered: severity x impact + ageing + closeness to the day by which it has to be fixed.

    A new critical finding (100) stands above a high one (60) until that is two weeks late; a low one (10) that is
    long late (120) passes it in the end, so that nothing starves.
    """

    points: Mapping[str, float] = field(default_factory=_points)
    """Points of each priority."""

    impact: Mapping[str, float] = field(default_factory=_impact)
    """What the points of a category are multiplied by; 1 where it is not named. A leaked key or a hole reaches every
    user of the marketplace, a slip in a document few."""

    days_to_fix: Mapping[str, int] = field(default_factory=_days_to_fix)
    """Days from the first sight of a finding until it is late, by priority. DefectDojo's defaults."""

    age_points_per_day: float = 0.2
    age_points_most: float = 20.0
    """One point in five days, for a hundred days."""

    due_points: float = 30.0
    """What a task gains from half of its time to the end of it."""

    late_points_per_day: float = 1.0
    late_points_most: float = 60.0
    """What each day beyond that adds, for two months."""

    def __post_init__(self) -> None:
        """Refuse an order that forgets a priority or in which a task falls as it ages."""
        if set(self.days_to_fix) != _PRIORITIES or set(self.points) != _PRIORITIES:
            message = "points and days to fix are given for critical, high, medium and low"
            raise ValueError(message)
        numbers = (
            *self.points.values(),
            *self.impact.values(),
            self.age_points_per_day,
            self.age_points_most,
            self.due_points,
            self.late_points_per_day,
            self.late_points_most,
        )
        if min(numbers) < 0 or min(self.days_to_fix.values()) < 1:
            message = "points and impacts are not below zero, and a day is the least time to fix"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhancementsPolicy:
    """Thresholds of step `enhancements`."""

    scoring: Scoring = field(default_factory=Scoring)
    """The order of the queue, and by when a finding is to be fixed."""

    lease: timedelta = timedelta(minutes=15)
    """For how long a claimed task belongs to a worker that gives no sign of life."""

    stale_after: timedelta = timedelta(days=45)
    """Age of the newest audit beyond which nobody knows what is open. Audits are monthly at best; half a month of
    grace."""

    audits_per_decision: int = 20
    """Received audits that one decision takes up; each is previewed within the read's two seconds."""

    refused_days: int = 7
    """Days for which a file that could not be read is named in every decision."""

    maximum_bytes: int = 64_000_000
    """A longer report is refused before it is read. 100,000 findings of SARIF have 42 MB. The most hostile ones of
    this size (loose numbers, results that passed) take 1.3 to 1.8 seconds of work to refuse."""

    maximum_findings: int = 120_000
    """Different findings of one report. They are sent in parts and imported by one transaction: 100,000 new ones take
    2.0 s of it, 100,000 that all change 3.9 s (two busy cores); an import ends after 25 s."""

    maximum_reported: int = 150_000
    """Findings of one report, repeated ones counted; of SARIF results, those that passed too. They are held in
    memory, about 250 bytes each."""

    maximum_errors: int = 100
    """Entries of one report that cannot be read, after which it is refused as a whole."""

    maximum_text_bytes: int = 1_000_000
    """Bytes of one string in a report; the longest in 40 real reports has 60,000."""

    maximum_depth: int = 64
    """Levels of nesting; the deepest of 40 real reports has 15."""

    maximum_nodes: int = 50_000
    """Values inside one entry of a report; the largest of 40 real reports has 2,400."""

    findings_per_call: int = 5_000
    """Findings that are sent to the database in one call: about 3 MB of JSON."""

    def __post_init__(self) -> None:
        """Refuse a policy that could take in nothing."""
        sizes = (
            self.audits_per_decision,
            self.maximum_bytes,
            self.maximum_errors,
            self.maximum_findings,
            self.maximum_reported,
            self.maximum_text_bytes,
            self.maximum_depth,
            self.maximum_nodes,
            self.findings_per_call,
        )
        if min(sizes) < 1 or min(self.stale_after, self.lease) <= timedelta(0):
            message = "limits are above zero"
            raise ValueError(message)
