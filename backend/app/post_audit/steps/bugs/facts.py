"""What step `bugs` knows: every open bug, with all that was reported about it and about its repeats.

A bug is one row of role `bugs` that is open; rows that were merged into it (its repeats) are counted in it.
Ids are texts, whatever the marketplace's type. Moments are in UTC and none is later than `as_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["BugFacts", "BugsFacts", "Hold", "Reporter", "Tier"]


class Tier(StrEnum):
    """What a reporter is to the marketplace."""

    PAYING = "paying"
    TOP_100 = "top_100"
    NEW = "new"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """One distinct reporter of a bug. Everybody without a name is one reporter, whose id is empty."""

    id: str
    tier: Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A change that a person took back or declined, and until when it is respected."""

    undone: Mapping[str, object]
    until: datetime
    decision_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BugFacts:
    """One open bug.

    `title`, `page`, `error_code`, `status` and the overrides are the row's own. Over the row and its repeats
    go: `severities` and `impacts` (distinct, in lower case; impacts only of rows that no report made, for
    there a person chose them), `reporters` (distinct, the weightiest first, cut off by the database at a
    limit), `reports` and `recent_reports` (a row that no report made is one report of its own),
    `first_reported_at`, `reopened_at` (a report that came after a fix) and `alerted_at`.

    `description` is there only where it may be needed for a fingerprint. `separated_from` names bugs that a
    person took apart from this one.
    """

    id: str
    title: str
    status: str
    page: str | None = None
    error_code: str | None = None
    description: str | None = None
    fingerprint: str | None = None
    severities: tuple[str, ...] = ()
    impacts: tuple[str, ...] = ()
    severity_override: str | None = None
    score_override: float | None = None
    override_by: str | None = None
    priority_score: float | None = None
    score_factors: object = None
    reporters: tuple[Reporter, ...] = ()
    reports: int = 1
    recent_reports: int = 0
    repeats: int = 0
    first_reported_at: datetime | None = None
    reopened_at: datetime | None = None
    alerted_at: datetime | None = None
    separated_from: frozenset[str] = frozenset()
    hold: Hold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BugsFacts:
    """All open bugs at one moment."""

    as_of: datetime
    bugs: tuple[BugFacts, ...] = ()
