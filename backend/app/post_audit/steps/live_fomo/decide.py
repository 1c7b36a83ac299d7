"""From what each public counter was judged to be to a decision: what is set, who is told, what the log keeps.

A large difference is repaired like a small one, and people are told at once. Asking first would leave a false
number in public until somebody answers, and the ledger is the only proof there is; but a large one means
that something writes past the ledger, and that is for people to find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Outcome, Reason
from app.post_audit.steps.live_fomo.facts import LeaderboardFacts, LiveFomoFacts, RowDifference
from app.post_audit.steps.live_fomo.judge import (
    CounterJudgement,
    Judgement,
    LeaderboardJudgement,
    Verdict,
    judge_counters,
    judge_leaderboard,
)
from app.post_audit.steps.live_fomo.policy import LiveFomoPolicy
from app.post_audit.steps.live_fomo.wording import (
    counter_reason,
    headline,
    leaderboard_reasons,
    next_step,
    reasons_beside,
)

__all__ = ["decide"]

_FINAL: Final = "taking it back would show a false number"
_SUBJECT: Final = "live_fomo"
_TOLD_REASONS: Final = 12
"""Sentences in one message: Telegram cuts at 4,096 characters, and a sentence has at most about 200."""


def decide(facts: LiveFomoFacts, policy: LiveFomoPolicy) -> Decision:
    """Judge every counter by itself; one that cannot be proved stops none that can."""
    board = judge_leaderboard(facts, policy)
    counters = judge_counters(facts, policy)
    judgements = (board, *counters)
    reasons = (
        *leaderboard_reasons(board, facts.leaderboard, policy),
        *(counter_reason(counter, facts.airdrop) for counter in counters),
        *reasons_beside(facts),
    )
    changes = (
        *_leaderboard_changes(board, facts.leaderboard),
        *(_counter_change(counter, facts) for counter in counters if counter.is_changed),
    )
    outcome = Outcome.ACT if changes else Outcome.NOTHING
    if not changes and any(j.verdict in {Verdict.HIDDEN, Verdict.UNKNOWN} for j in judgements):
        outcome = Outcome.UNKNOWN
    said = headline(judgements)
    return Decision(
        outcome=outcome,
        headline=said,
        reasons=reasons,
        numbers=_numbers(board, judgements, facts, policy),
        changes=changes,
        messages=_messages(judgements, said, reasons),
        next=next_step(judgements),
        independent=True,
        final_because=_FINAL if changes else "",
    )


def _counter_change(judgement: CounterJudgement, facts: LiveFomoFacts) -> Change:
    """Set a counter of the airdrop to its ledger's value, or to none where that is not known."""
    return Change(
        subject=f"counter:{judgement.counter}",
        before={"shown_value": judgement.found, "state": judgement.state, "version": judgement.version},
        after={
            "shown_value": judgement.recomputed,
            "state": judgement.verdict.value,
            "shown_at": facts.moment.isoformat(),
        },
    )


def _leaderboard_changes(judgement: LeaderboardJudgement, board: LeaderboardFacts) -> tuple[Change, ...]:
    """Set the rows right one by one, then show or hide the leaderboard as a whole."""
    rows = tuple(_row_change(row, board) for row in judgement.set_right)
    if not judgement.is_switched:
        return rows
    whole = Change(
        subject="counter:leaderboard",
        before={"state": judgement.state, "version": judgement.version},
        after={"state": judgement.verdict.value},
    )
    return (*rows, whole)


def _row_change(row: RowDifference, board: LeaderboardFacts) -> Change:
    """Set one row right. A total without earnings becomes 0: the row stays, so that nothing is lost."""
    before: dict[str, JSON] = {"present": row.is_shown}
    after: dict[str, JSON] = {
        "present": True,
        "total_paise": row.true_paise,
        "reached_at": row.true_reached_at.isoformat() if row.true_reached_at else None,
    }
    if row.is_shown:
        before["total_paise"] = row.shown_paise
    if row.shown_rank is not None or (board.is_ranked and not row.is_shown):
        after["rank"] = row.true_rank
        if row.is_shown:
            before["rank"] = row.shown_rank
    return Change(subject=f"leaderboard:{row.user_id}", before=before, after=after)


def _evidence(judgement: Judgement) -> Mapping[str, JSON]:
    """List what `post_audit.finish_live_fomo` writes into the log, after it has looked again."""
    return {
        "counter": judgement.counter,
        "verdict": judgement.verdict.value,
        "found_value": judgement.found,
        "recomputed_value": judgement.recomputed,
        "version": judgement.version,
        "differences": judgement.differences,
        "ledger_rows": judgement.ledger_rows,
        "ledger_last_at": judgement.ledger_last_at.isoformat() if judgement.ledger_last_at else None,
    }


def _messages(judgements: Sequence[Judgement], said: str, reasons: Sequence[Reason]) -> tuple[Message, ...]:
    """Tell people of what was false or had to be hidden; what was only late is no news."""
    is_large = any(judgement.is_large for judgement in judgements)
    told = any(
        judgement.is_changed and judgement.verdict in {Verdict.REPAIRED, Verdict.HIDDEN}
        for judgement in judgements
    )
    if not (told or is_large):
        return ()
    text = "\n".join([said, *(reason.text for reason in reasons[:_TOLD_REASONS])])
    return (Message(channel=Channel.TELEGRAM, subject=_SUBJECT, payload={"text": text}, alert=is_large),)


def _numbers(
    judged: LeaderboardJudgement,
    judgements: Sequence[Judgement],
    facts: LiveFomoFacts,
    policy: LiveFomoPolicy,
) -> Mapping[str, JSON]:
    board = facts.leaderboard
    rows = (*judged.rows.wrong, *judged.rows.declined)
    return {
        "moment": facts.moment.isoformat(),
        "snapshot": facts.snapshot,
        "shown_limit": policy.shown_limit,
        "settle_seconds": int(policy.settle.total_seconds()),
        "ahead_seconds": int(policy.ahead.total_seconds()),
        "counters": [_evidence(judgement) for judgement in judgements],
        "leaderboard": {
            "users_shown": board.users_shown,
            "users_in_ledger": board.users_in_ledger,
            "differences": dict(board.counts),
            "differences_in_top": board.differences_in_top,
            "rows": [
                {
                    "user": row.user_id,
                    "kind": row.kind,
                    "shown_paise": row.shown_paise,
                    "true_paise": row.true_paise,
                    "shown_rank": row.shown_rank,
                    "true_rank": row.true_rank,
                }
                for row in rows[: policy.named_rows]
            ],
        },
    }
