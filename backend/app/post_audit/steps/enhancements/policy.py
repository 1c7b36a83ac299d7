"""How soon a finding is to be fixed, when an audit is too old, and how large a report may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

__all__ = ["EnhancementsPolicy"]


def _days_to_fix() -> dict[str, int]:
    return {"critical": 7, "high": 30, "medium": 90, "low": 120}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhancementsPolicy:
    """Thresholds of step `enhancements`."""

    days_to_fix: Mapping[str, int] = field(default_factory=_days_to_fix)
    """Days from the first sight of a finding until it is late, by priority. DefectDojo's defaults."""

    stale_after: timedelta = timedelta(days=45)
    """Age of the newest audit beyond which nobody knows what is open. Audits are monthly at best; half a month of
    grace."""

    audits_per_decision: int = 20
    """Received audits that one decision takes up; each is previewed within the read's two seconds."""

    refused_days: int = 7
    """Days for which a file that could not be read is named in every decision."""

    maximum_bytes: int = 64_000_000
    """A longer report is refused before it is read. 100,000 findings of SARIF have 42 MB. The most hostile ones of
    this size (loose numbers, results that passed) take up to two seconds of work to refuse."""

    maximum_findings: int = 120_000
    """Different findings of one report. An import is one transaction of two seconds at most: 10,000 new ones take
    0.7 s, 20,000 of which half close and half change 1.8 s (two busy cores)."""

    maximum_reported: int = 150_000
    """Findings of one report, repeated ones counted. They are held in memory, about 1 kB each."""

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
        """Refuse a policy that could take in nothing, or that forgets a priority."""
        if set(self.days_to_fix) != {"critical", "high", "medium", "low"}:
            message = "days to fix are given for critical, high, medium and low"
            raise ValueError(message)
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
        if min(sizes) < 1 or self.stale_after <= timedelta(0):
            message = "limits are above zero"
            raise ValueError(message)
