"""Bugs put together by what they are about, and ordered by how much they hurt.

What a person did stands: a bug that somebody works on or has scored is never merged away, and two bugs that were taken
apart stay apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.post_audit.steps.bugs.facts import BugFacts, BugsFacts
from app.post_audit.steps.bugs.fingerprint import fingerprint, is_current
from app.post_audit.steps.bugs.policy import BugsPolicy
from app.post_audit.steps.bugs.score import Score, distinct_reporters, score

__all__ = ["Ranked", "ranked_bugs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One bug with its repeats: `own` is its row as it is, `whole` what is known with the newly merged."""

    own: BugFacts
    whole: BugFacts
    fingerprint: str
    score: Score
    merged: tuple[BugFacts, ...]
    kept_apart: int


def ranked_bugs(facts: BugsFacts, policy: BugsPolicy) -> list[Ranked]:
    """Put bugs of one fingerprint together and order them, the one that hurts most first."""
    groups: dict[str, list[BugFacts]] = {}
    for bug in facts.bugs:
        groups.setdefault(_fingerprint(bug), []).append(bug)
    ranked = [
        one
        for key, group in groups.items()
        for one in _together(key, sorted(group, key=_seniority), facts.as_of, policy)
    ]
    return sorted(ranked, key=lambda one: (-one.score.value, _seniority(one.own)))


def _fingerprint(bug: BugFacts) -> str:
    """Return the stored one where it is ours: a title that was edited since does not make it another bug."""
    if bug.fingerprint is not None and is_current(bug.fingerprint):
        return bug.fingerprint
    return fingerprint(title=bug.title, page=bug.page, error_code=bug.error_code, description=bug.description)


def _seniority(bug: BugFacts) -> tuple[bool, float, int, str]:
    """Order the bugs of one fingerprint: what a person has in hand first, then the oldest."""
    first = bug.first_reported_at.timestamp() if bug.first_reported_at else math.inf
    return (not _is_in_hand(bug), first, len(bug.id), bug.id)


def _is_in_hand(bug: BugFacts) -> bool:
    return (
        bug.score_override is not None
        or bug.severity_override is not None
        or bug.status.strip().lower() == "in_progress"
    )


def _together(key: str, group: Sequence[BugFacts], as_of: datetime, policy: BugsPolicy) -> Iterable[Ranked]:
    """Merge a group into its first; what may not be merged stays a bug of its own."""
    first, *others = group
    merged = [bug for bug in others if _may_be_merged(bug, first)]
    apart = [bug for bug in others if not _may_be_merged(bug, first)]
    whole = _whole(first, merged, policy)
    yield Ranked(
        own=first,
        whole=whole,
        fingerprint=key,
        score=score(whole, as_of, policy),
        merged=tuple(merged),
        kept_apart=len(apart),
    )
    for bug in apart:
        yield Ranked(
            own=bug, whole=bug, fingerprint=key, score=score(bug, as_of, policy), merged=(), kept_apart=0
        )


def _may_be_merged(bug: BugFacts, into: BugFacts) -> bool:
    if _is_in_hand(bug) or into.id in bug.separated_from or bug.id in into.separated_from:
        return False
    return bug.hold is None or bug.hold.undone.get("status") != "duplicate"


def _whole(first: BugFacts, merged: Sequence[BugFacts], policy: BugsPolicy) -> BugFacts:
    """Know of the first what the database will know of it when the others are its repeats."""
    members = (first, *merged)
    return replace(
        first,
        severities=_distinct(bug.severities for bug in members),
        impacts=_distinct(bug.impacts for bug in members),
        reporters=distinct_reporters([bug.reporters for bug in members], policy),
        reports=sum(bug.reports for bug in members),
        recent_reports=sum(bug.recent_reports for bug in members),
        repeats=sum(bug.repeats for bug in members) + len(merged),
        first_reported_at=min(
            (bug.first_reported_at for bug in members if bug.first_reported_at), default=None
        ),
        reopened_at=max((bug.reopened_at for bug in members if bug.reopened_at), default=None),
        alerted_at=max((bug.alerted_at for bug in members if bug.alerted_at), default=None),
    )


def _distinct(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({text for group in groups for text in group}))
