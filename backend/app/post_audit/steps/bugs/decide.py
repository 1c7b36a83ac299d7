"""Which bug hurts most now, and which reports are repeats of another.

Bugs with the same fingerprint become one: the others are marked as its duplicates, with all that was reported
about them counted in it. Then every bug has a score, and a score that differs by more than the tolerance is
written. The score of a merged bug is that of the whole, so the next look at the same facts finds nothing to
change.

What a person did stands: a bug that somebody works on or has scored is never merged away, two bugs that were
taken apart stay apart, and a score that was taken back rests until something other than its age has changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from app.post_audit.ports import JSON
from app.post_audit.step import Change, Decision, Outcome, ReasonCode
from app.post_audit.steps.bugs.facts import BugFacts, BugsFacts
from app.post_audit.steps.bugs.policy import BugsPolicy
from app.post_audit.steps.bugs.ranking import Ranked, ranked_bugs
from app.post_audit.steps.bugs.redaction import clean_line
from app.post_audit.steps.bugs.wording import (
    alerts_of,
    headline_of,
    next_step,
    reasons_of_merges,
    reasons_of_rank,
    reasons_of_scores,
)

__all__ = ["decide"]

NO_BUGS: Final = ReasonCode("bugs.none_open", "No bug is open, so none can hurt.")
_MERGES_SHOWN: Final = 50


def decide(facts: BugsFacts, policy: BugsPolicy) -> Decision:
    """Merge what is the same, score what is open, and tell people of what is critical."""
    if not facts.bugs:
        return Decision(
            outcome=Outcome.NOTHING,
            headline="No bug is open.",
            reasons=(NO_BUGS(),),
            numbers={"open": 0, "by_severity": dict.fromkeys(policy.severity_weights, 0), "top": []},
        )

    ranked = ranked_bugs(facts, policy)
    merges = [_merge(repeat, into=bug.own) for bug in ranked for repeat in bug.merged]
    rescored = [(bug, change) for bug in ranked if (change := _rescore(bug, policy)) is not None]
    held = sum(_is_held(bug, policy) for bug, _ in rescored)
    scores = [change for bug, change in rescored if not _is_held(bug, policy)]

    changes = (*merges, *scores)[: policy.maximum_changes]
    later = len(merges) + len(scores) - len(changes)
    merges = merges[: policy.maximum_changes]
    scored = len(changes) - len(merges)
    # told is what is done now, not what will follow
    subjects = {change.subject for change in merges}
    told = [
        replace(bug, merged=tuple(repeat for repeat in bug.merged if _subject(repeat) in subjects))
        for bug in ranked
    ]
    return Decision(
        outcome=Outcome.ACT if changes else Outcome.NOTHING,
        headline=headline_of(told, len(merges), scored),
        reasons=(
            *reasons_of_rank(told),
            *reasons_of_merges(told),
            *reasons_of_scores(scored, held, later, policy),
        ),
        numbers=_numbers(told, len(merges), scored, policy),
        changes=changes,
        messages=alerts_of(ranked, policy),
        next=next_step(merges, ranked),
        independent=True,
    )


def _subject(bug: BugFacts) -> str:
    return f"bug:{bug.id}"


def _merge(bug: BugFacts, *, into: BugFacts) -> Change:
    return Change(
        subject=_subject(bug),
        before={"status": bug.status, "duplicate_of": None},
        after={"status": "duplicate", "duplicate_of": into.id},
    )


def _rescore(bug: Ranked, policy: BugsPolicy) -> Change | None:
    """Write the score where it is missing or has moved, and the fingerprint where there is none."""
    before: dict[str, JSON] = {}
    after: dict[str, JSON] = {}
    if _differs(bug.own.priority_score, bug.score.value, policy) or bug.own.score_factors is None:
        before |= {"priority_score": bug.own.priority_score, "score_factors": _as_json(bug.own.score_factors)}
        after |= {
            "priority_score": bug.score.value,
            "score_factors": [factor.as_json() for factor in bug.score.factors],
        }
    if bug.own.fingerprint is None:
        before["fingerprint"] = None
        after["fingerprint"] = bug.fingerprint
    return Change(subject=_subject(bug.own), before=before, after=after) if after else None


def _differs(stored: float | None, wanted: float, policy: BugsPolicy) -> bool:
    return stored is None or abs(stored - wanted) > max(
        policy.least_difference, policy.tolerance * abs(stored)
    )


def _is_held(bug: Ranked, policy: BugsPolicy) -> bool:
    """A score that was taken back rests while nothing but the bug's age has changed since."""
    undone = bug.own.hold.undone if bug.own.hold else {}
    if "priority_score" not in undone:
        return False
    values = {factor.name: factor.value for factor in bug.score.factors}
    return not _differs(
        _without_age(_stored_values(undone.get("score_factors"))), _without_age(values) or 0, policy
    )


def _without_age(values: Mapping[str, float]) -> float | None:
    return math.prod(value for name, value in values.items() if name != "age") if values else None


def _stored_values(factors: object) -> dict[str, float]:
    if not isinstance(factors, list):
        return {}
    return {
        str(factor["factor"]): float(factor["value"])
        for factor in factors
        if isinstance(factor, dict) and isinstance(factor.get("value"), int | float) and "factor" in factor
    }


def _numbers(ranked: Sequence[Ranked], merges: int, scores: int, policy: BugsPolicy) -> dict[str, JSON]:
    by_severity = dict.fromkeys(policy.severity_weights, 0)
    for bug in ranked:
        by_severity[bug.score.severity] += 1
    return {
        "open": len(ranked),
        "by_severity": by_severity,
        "merged": merges,
        "rescored": scores,
        "merges": [{"bug": repeat.id, "into": bug.own.id} for bug in ranked for repeat in bug.merged][
            :_MERGES_SHOWN
        ],
        "top": [
            {
                "id": bug.own.id,
                "title": clean_line(bug.own.title),
                "page": clean_line(bug.own.page) if bug.own.page else None,
                "status": bug.own.status,
                "severity": bug.score.severity,
                "score": bug.score.value,
                "is_set_by_person": bug.score.is_set,
                "reporters": len(bug.whole.reporters),
                "reports": bug.whole.reports,
                "repeats": bug.whole.repeats,
                "since": bug.whole.first_reported_at.isoformat() if bug.whole.first_reported_at else None,
                "factors": [factor.as_json() for factor in bug.score.factors],
            }
            for bug in ranked[: policy.top]
        ],
    }


def _as_json(value: object) -> JSON:
    """What came from the database as JSON is JSON; the type checker cannot know."""
    json: JSON = value  # type: ignore[assignment]
    return json
