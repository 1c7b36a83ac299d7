"""What is told of bugs: the headline, the sentences behind it, and the alerts, each critical bug once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.post_audit.formats import count, counted, ist
from app.post_audit.step import Change, Channel, Message, Reason, ReasonCode
from app.post_audit.steps.bugs.facts import BugFacts
from app.post_audit.steps.bugs.policy import BugsPolicy
from app.post_audit.steps.bugs.ranking import Ranked
from app.post_audit.steps.bugs.redaction import clean_line

__all__ = [
    "alerts_of",
    "headline_of",
    "next_step",
    "reasons_of_merges",
    "reasons_of_rank",
    "reasons_of_scores",
]

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


def headline_of(ranked: Sequence[Ranked], merges: int, scores: int) -> str:
    """Say in a dozen words which bug hurts most, and what was done."""
    title = _short(ranked[0].own.title)
    if merges:
        return f"“{title}” hurts most; {counted(merges, 'repeat')} merged."
    if scores:
        return f"“{title}” hurts most; {counted(scores, 'score')} updated."
    return f"“{title}” hurts most of {counted(len(ranked), 'open bug')}."


def reasons_of_rank(ranked: Sequence[Ranked]) -> list[Reason]:
    """Say why the first is the first, and how far the second is behind."""
    top = ranked[0]
    reasons = [
        HURTS_MOST(
            bug=top.own.id,
            score=top.score.value,
            open=len(ranked),
            open_in_words=counted(len(ranked), "open bug"),
        ),
        *(factor.reason for factor in top.score.factors),
    ]
    if len(ranked) > 1:
        reasons.append(RUNNER_UP(bug=ranked[1].own.id, score=ranked[1].score.value))
    return reasons


def reasons_of_merges(ranked: Sequence[Ranked]) -> list[Reason]:
    """Say what was merged, the largest groups by name, and what was left apart."""
    merged = sorted((bug for bug in ranked if bug.merged), key=lambda bug: -len(bug.merged))
    shown, others = merged[:_REASONS_OF_MERGES], merged[_REASONS_OF_MERGES:]
    reasons = [
        MERGED(bug=bug.own.id, repeats=len(bug.merged), repeats_in_words=counted(len(bug.merged), "repeat"))
        for bug in shown
    ]
    if others:
        repeats = sum(len(bug.merged) for bug in others)
        reasons.append(
            MERGED_MORE(bugs=len(others), repeats=repeats, repeats_in_words=counted(repeats, "repeat"))
        )
    apart = sum(bug.kept_apart for bug in ranked)
    if apart:
        reasons.append(KEPT_APART(repeats=apart, repeats_in_words=counted(apart, "repeat")))
    return reasons


def reasons_of_scores(scores: int, held: int, later: int, policy: BugsPolicy) -> list[Reason]:
    """Say how many scores are written, rest, or follow in the next run."""
    reasons = []
    if scores:
        reasons.append(
            SCORES(
                scores=scores,
                scores_in_words=counted(scores, "score")
                + (" is new or differs" if scores == 1 else " are new or differ"),
                tolerance=policy.least_difference,
                share=f"{policy.tolerance * 100:g}\N{NO-BREAK SPACE}%",
            )
        )
    if held:
        words = counted(held, "score") + (" rests: it was" if held == 1 else " rest: they were")
        reasons.append(SCORES_HELD(scores=held, scores_in_words=words))
    if later:
        words = counted(later, "change") + (" follows" if later == 1 else " follow")
        reasons.append(LATER(changes=later, changes_in_words=words, maximum=policy.maximum_changes))
    return reasons


def alerts_of(ranked: Sequence[Ranked], policy: BugsPolicy) -> tuple[Message, ...]:
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
        lines = [f"{counted(len(others), 'more bug')} of severity {policy.alerted_severity}:"]
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


def _alert_text(bug: Ranked, policy: BugsPolicy) -> str:
    whole = bug.whole
    reporters = counted(len(whole.reporters), "reporter") if whole.reporters else "no named reporter"
    since = ist(whole.first_reported_at) if whole.first_reported_at else "not known"
    return "\n".join(
        [
            f"{policy.alerted_severity.capitalize()} bug: {clean_line(bug.own.title)}",
            f"Page: {clean_line(bug.own.page) if bug.own.page else 'not known'}",
            f"Reported: {counted(whole.reports, 'time')}, {reporters}"
            + (", again after a fix" if whole.reopened_at else ""),
            f"Since: {since}",
            f"Bug {bug.own.id}, {bug.score.value:.1f} points",
        ]
    )


def next_step(merges: Sequence[Change], ranked: Sequence[Ranked]) -> str:
    """Say what the reader may do now."""
    if merges:
        return "To take one merge apart: post-audit undo {decision} --subject bug:ID"
    return f"Begin with bug {ranked[0].own.id}."


def _short(title: str) -> str:
    """Cut a title so that a headline stays within a dozen words."""
    cleaned = clean_line(title)
    words = cleaned.split()[:_TITLE_WORDS]
    short = " ".join(words)[:_TITLE_LENGTH].rstrip()
    return short if short == cleaned else f"{short}…"
