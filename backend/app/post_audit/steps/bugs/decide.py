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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from app.post_audit.formats import count, ist
from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Outcome, Reason, ReasonCode
from app.post_audit.steps.bugs.facts import BugFacts, BugsFacts
from app.post_audit.steps.bugs.fingerprint import fingerprint, is_current
from app.post_audit.steps.bugs.policy import BugsPolicy
from app.post_audit.steps.bugs.redaction import clean_line
from app.post_audit.steps.bugs.score import Score, distinct_reporters, score

__all__ = ["decide"]

NO_BUGS: Final = ReasonCode("bugs.none_open", "No bug is open, so none can hurt.")
HURTS_MOST: Final = ReasonCode(
    "bugs.hurts_most", "Bug {bug} has {score:.1f} points, the most of {open_in_words}."
)
RUNNER_UP: Final = ReasonCode("bugs.runner_up", "The next is bug {bug} with {score:.1f} points.")
MERGED: Final = ReasonCode(
    "bugs.merged",
    "{repeats_in_words} merged into bug {bug}: same page, same error code, same title."
    " Nothing is deleted, and it can be taken back.",
)
MERGED_MORE: Final = ReasonCode(
    "bugs.merged_more", "{repeats_in_words} merged into {bugs} other {bugs:bug|bugs} in the same way."
)
KEPT_APART: Final = ReasonCode(
    "bugs.kept_apart",
    "{repeats_in_words} would be merged too, but a person works on them, has scored them or took them apart.",
)
SCORES: Final = ReasonCode("bugs.scores", "{scores_in_words} by more than {tolerance} points or {share}.")
SCORES_HELD: Final = ReasonCode(
    "bugs.scores_held", "{scores_in_words} taken back or declined before; that holds until the facts change."
)
LATER: Final = ReasonCode(
    "bugs.later", "{changes_in_words} in the next run; one run makes at most {maximum}."
)

_TITLE_WORDS: Final = 6
_TITLE_LENGTH: Final = 60
_REASONS_OF_MERGES: Final = 3
_ALERTED_LINES: Final = 10
_MERGES_SHOWN: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranked:
    """One bug with its repeats: `own` is its row as it is, `whole` what is known with the newly merged."""

    own: BugFacts
    whole: BugFacts
    fingerprint: str
    score: Score
    merged: tuple[BugFacts, ...]
    kept_apart: int


def decide(facts: BugsFacts, policy: BugsPolicy) -> Decision:
    """Merge what is the same, score what is open, and tell people of what is critical."""
    if not facts.bugs:
        return Decision(
            outcome=Outcome.NOTHING,
            headline="No bug is open.",
            reasons=(NO_BUGS(),),
            numbers={"open": 0, "by_severity": dict.fromkeys(policy.severity_weights, 0), "top": []},
        )

    ranked = _ranked(facts, policy)
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
        headline=_headline(told, len(merges), scored),
        reasons=(
            *_reasons_of_rank(told),
            *_reasons_of_merges(told),
            *_reasons_of_scores(scored, held, later, policy),
        ),
        numbers=_numbers(told, len(merges), scored, policy),
        changes=changes,
        messages=_alerts(ranked, policy),
        next=_next(merges, ranked),
        independent=True,
    )


def _ranked(facts: BugsFacts, policy: BugsPolicy) -> list[_Ranked]:
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


def _together(key: str, group: Sequence[BugFacts], as_of: datetime, policy: BugsPolicy) -> Iterable[_Ranked]:
    """Merge a group into its first; what may not be merged stays a bug of its own."""
    first, *others = group
    merged = [bug for bug in others if _may_be_merged(bug, first)]
    apart = [bug for bug in others if not _may_be_merged(bug, first)]
    whole = _whole(first, merged, policy)
    yield _Ranked(
        own=first,
        whole=whole,
        fingerprint=key,
        score=score(whole, as_of, policy),
        merged=tuple(merged),
        kept_apart=len(apart),
    )
    for bug in apart:
        yield _Ranked(
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


def _subject(bug: BugFacts) -> str:
    return f"bug:{bug.id}"


def _merge(bug: BugFacts, *, into: BugFacts) -> Change:
    return Change(
        subject=_subject(bug),
        before={"status": bug.status, "duplicate_of": None},
        after={"status": "duplicate", "duplicate_of": into.id},
    )


def _rescore(bug: _Ranked, policy: BugsPolicy) -> Change | None:
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


def _is_held(bug: _Ranked, policy: BugsPolicy) -> bool:
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


def _headline(ranked: Sequence[_Ranked], merges: int, scores: int) -> str:
    title = _short(ranked[0].own.title)
    if merges:
        return f"“{title}” hurts most; {_many(merges, 'repeat')} merged."
    if scores:
        return f"“{title}” hurts most; {_many(scores, 'score')} updated."
    return f"“{title}” hurts most of {_many(len(ranked), 'open bug')}."


def _reasons_of_rank(ranked: Sequence[_Ranked]) -> list[Reason]:
    top = ranked[0]
    reasons = [
        HURTS_MOST(
            bug=top.own.id,
            score=top.score.value,
            open=len(ranked),
            open_in_words=_many(len(ranked), "open bug"),
        ),
        *(factor.reason for factor in top.score.factors),
    ]
    if len(ranked) > 1:
        reasons.append(RUNNER_UP(bug=ranked[1].own.id, score=ranked[1].score.value))
    return reasons


def _reasons_of_merges(ranked: Sequence[_Ranked]) -> list[Reason]:
    merged = sorted((bug for bug in ranked if bug.merged), key=lambda bug: -len(bug.merged))
    shown, others = merged[:_REASONS_OF_MERGES], merged[_REASONS_OF_MERGES:]
    reasons = [
        MERGED(bug=bug.own.id, repeats=len(bug.merged), repeats_in_words=_many(len(bug.merged), "repeat"))
        for bug in shown
    ]
    if others:
        repeats = sum(len(bug.merged) for bug in others)
        reasons.append(
            MERGED_MORE(bugs=len(others), repeats=repeats, repeats_in_words=_many(repeats, "repeat"))
        )
    apart = sum(bug.kept_apart for bug in ranked)
    if apart:
        reasons.append(KEPT_APART(repeats=apart, repeats_in_words=_many(apart, "repeat")))
    return reasons


def _reasons_of_scores(scores: int, held: int, later: int, policy: BugsPolicy) -> list[Reason]:
    reasons = []
    if scores:
        reasons.append(
            SCORES(
                scores=scores,
                scores_in_words=_many(scores, "score")
                + (" is new or differs" if scores == 1 else " are new or differ"),
                tolerance=policy.least_difference,
                share=f"{policy.tolerance * 100:g}\N{NO-BREAK SPACE}%",
            )
        )
    if held:
        words = _many(held, "score") + (" rests: it was" if held == 1 else " rest: they were")
        reasons.append(SCORES_HELD(scores=held, scores_in_words=words))
    if later:
        words = _many(later, "change") + (" follows" if later == 1 else " follow")
        reasons.append(LATER(changes=later, changes_in_words=words, maximum=policy.maximum_changes))
    return reasons


def _numbers(ranked: Sequence[_Ranked], merges: int, scores: int, policy: BugsPolicy) -> dict[str, JSON]:
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


def _alerts(ranked: Sequence[_Ranked], policy: BugsPolicy) -> tuple[Message, ...]:
    """Tell of each critical bug once: a message each for the worst, one message for all others.

    `bugs` names those a message tells of; by that the next run knows them.
    """
    new = [
        bug for bug in ranked if bug.score.severity == policy.alerted_severity and not _was_alerted(bug.whole)
    ]
    singles, others = new[: policy.single_alerts], new[policy.single_alerts :]
    messages = [
        Message(
            channel=Channel.TELEGRAM,
            subject=f"bug_alert:{bug.own.id}",
            payload={"text": _alert_text(bug, policy), "bugs": [bug.own.id]},
            alert=True,
        )
        for bug in singles
    ]
    if others:
        lines = [f"{_many(len(others), 'more bug')} of severity {policy.alerted_severity}:"]
        lines += [f"Bug {bug.own.id}: {clean_line(bug.own.title)}" for bug in others[:_ALERTED_LINES]]
        if len(others) > _ALERTED_LINES:
            lines.append(f"and {count(len(others) - _ALERTED_LINES)} more.")
        messages.append(
            Message(
                channel=Channel.TELEGRAM,
                subject="bug_alert:more",
                payload={"text": "\n".join(lines), "bugs": [bug.own.id for bug in others]},
                alert=True,
            )
        )
    return tuple(messages)


def _was_alerted(bug: BugFacts) -> bool:
    return bug.alerted_at is not None and (bug.reopened_at is None or bug.alerted_at >= bug.reopened_at)


def _alert_text(bug: _Ranked, policy: BugsPolicy) -> str:
    whole = bug.whole
    reporters = _many(len(whole.reporters), "reporter") if whole.reporters else "no named reporter"
    since = ist(whole.first_reported_at) if whole.first_reported_at else "not known"
    return "\n".join(
        [
            f"{policy.alerted_severity.capitalize()} bug: {clean_line(bug.own.title)}",
            f"Page: {clean_line(bug.own.page) if bug.own.page else 'not known'}",
            f"Reported: {_many(whole.reports, 'time')}, {reporters}"
            + (", again after a fix" if whole.reopened_at else ""),
            f"Since: {since}",
            f"Bug {bug.own.id}, {bug.score.value:.1f} points",
        ]
    )


def _next(merges: Sequence[Change], ranked: Sequence[_Ranked]) -> str:
    if merges:
        return "To take one merge apart: post-audit undo {decision} --subject bug:ID"
    return f"Begin with bug {ranked[0].own.id}."


def _short(title: str) -> str:
    """Cut a title so that a headline stays within a dozen words."""
    cleaned = clean_line(title)
    words = cleaned.split()[:_TITLE_WORDS]
    short = " ".join(words)[:_TITLE_LENGTH].rstrip()
    return short if short == cleaned else f"{short}…"


def _many(number: int, thing: str) -> str:
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def _as_json(value: object) -> JSON:
    """What came from the database as JSON is JSON; the type checker cannot know."""
    json: JSON = value  # type: ignore[assignment]
    return json
