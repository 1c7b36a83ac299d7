"""Word what was judged: a sentence for each counter, the headline, what the reader may do. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from app.post_audit.formats import count, ist, rupees
from app.post_audit.step import Number, Reason, ReasonCode
from app.post_audit.steps.live_fomo.facts import AirdropFacts, LeaderboardFacts, LiveFomoFacts, RowDifference
from app.post_audit.steps.live_fomo.judge import (
    CounterJudgement,
    Finding,
    Judgement,
    LeaderboardJudgement,
    Verdict,
)
from app.post_audit.steps.live_fomo.policy import LiveFomoPolicy

__all__ = ["counter_reason", "headline", "leaderboard_reasons", "next_step", "reasons_beside"]

TRUE_COUNTER: Final = ReasonCode(
    "live_fomo.true_counter",
    "{name} shows {shown}; {rows} verified {rows:claim gives|claims give} {recomputed}.",
)
FIRST_SHOWN: Final = ReasonCode(
    "live_fomo.first_shown",
    "{name}: {rows} verified {rows:claim gives|claims give} {recomputed}; from now on that is shown.",
)
BEHIND: Final = ReasonCode(
    "live_fomo.behind",
    "{name} shows {shown}, which was true until {missing_since_at}; {rows} verified"
    " {rows:claim gives|claims give} {recomputed} now.",
)
STUCK: Final = ReasonCode(
    "live_fomo.stuck",
    "{name} shows {shown} since {shown_at} and has stopped; {rows} verified {rows:claim gives|claims give}"
    " {recomputed}.",
)
FALSE_COUNTER: Final = ReasonCode(
    "live_fomo.false_counter",
    "{name} shows {shown}; {rows} verified {rows:claim gives|claims give} {recomputed}.",
)
UNPROVABLE: Final = ReasonCode(
    "live_fomo.unprovable", "{name} cannot be proved: {problem}. It is not shown; that is not zero."
)
NOTHING_SHOWN: Final = ReasonCode(
    "live_fomo.nothing_shown", "{name}: {problem}; nothing is shown, and nothing is wrong."
)
NOT_WRITABLE: Final = ReasonCode(
    "live_fomo.not_writable",
    "{name} shows {shown}, the ledger gives {recomputed}, and its table can only be read here; it is not"
    " shown.",
)
DECLINED: Final = ReasonCode(
    "live_fomo.declined",
    "{name} shows {shown}, the ledger gives {recomputed}; that repair was declined until "
    "{until_at}, so it is not shown.",
)
OTHER_COUNTERS: Final = ReasonCode(
    "live_fomo.other_counters", "No ledger belongs to these counters, so they are left alone: {names}."
)
TRUE_LEADERBOARD: Final = ReasonCode(
    "live_fomo.true_leaderboard",
    "Leaderboard: the totals of {users} {users:user|users} are {shown_paise}; {rows}"
    " {rows:earning gives|earnings give} {recomputed_paise}, each to its user.",
)
FALSE_LEADERBOARD: Final = ReasonCode(
    "live_fomo.false_leaderboard",
    "Leaderboard: {wrong} of {users} rows {wrong:is|are} not what {rows} {rows:earning gives|earnings give}"
    " ({kinds}); {repaired} {repaired:is|are} set right now.",
)
LATE_LEADERBOARD: Final = ReasonCode(
    "live_fomo.late_leaderboard",
    "Leaderboard: {behind} {behind:total waits|totals wait} for earnings that came since, and"
    " {behind:is|are} brought up to date.",
)
SETTLING: Final = ReasonCode(
    "live_fomo.settling",
    "Leaderboard: {settling} {settling:total lacks|totals lack} earnings of the last {seconds} s; those are"
    " being written.",
)
LOST_LEDGER: Final = ReasonCode(
    "live_fomo.lost_ledger",
    "Leaderboard: {phantoms} of {users} shown users have no earnings at all; the ledger is likelier to be"
    " lost than they to be false.",
)
IN_TOP: Final = ReasonCode(
    "live_fomo.in_top", "Leaderboard: {left} of the rows that are shown stay wrong, so it is not shown."
)
_ROW: Final[Mapping[str, ReasonCode]] = {
    "absent": ReasonCode(
        "live_fomo.absent",
        "{user} is missing; {rows} {rows:earning gives|earnings give} {true_paise}, place {place}.",
    ),
    "phantom": ReasonCode("live_fomo.phantom", "{user} shows {shown_paise} and has no earnings at all."),
    "total": ReasonCode(
        "live_fomo.total",
        "{user} shows {shown_paise}; {rows} {rows:earning gives|earnings give} {true_paise}.",
    ),
    "order": ReasonCode(
        "live_fomo.order", "{user} stands in the wrong place among equals; {true_paise} is place {place}."
    ),
    "rank": ReasonCode("live_fomo.rank", "{user} shows rank {shown_rank}; {true_paise} is place {place}."),
}
FUTURE_ROWS: Final = ReasonCode(
    "live_fomo.future_rows",
    "{future} {future:row|rows} of the ledgers {future:is|are} dated in the future and not counted.",
)

_NAMES: Final[Mapping[str, str]] = {
    "leaderboard": "Leaderboard",
    "airdrop_claims": "Airdrop claims",
    "airdrop_paise": "Airdrop value",
}
_COUNTER: Final[Mapping[Finding, ReasonCode]] = {
    Finding.TRUE: TRUE_COUNTER,
    Finding.FIRST_SHOWN: FIRST_SHOWN,
    Finding.SETTLING: BEHIND,
    Finding.BEHIND: BEHIND,
    Finding.STUCK: STUCK,
    Finding.FALSE: FALSE_COUNTER,
    Finding.NOT_WRITABLE: NOT_WRITABLE,
    Finding.DECLINED: DECLINED,
}
"""The sentence for a counter of the airdrop whose ledger could be read."""

_UNPROVED: Final[Mapping[Finding, ReasonCode]] = {
    Finding.UNPROVABLE: UNPROVABLE,
    Finding.NOTHING_SHOWN: NOTHING_SHOWN,
    Finding.NOT_THERE: NOTHING_SHOWN,
}
"""The sentence for one that has no ledger, or no row to show it."""

_MOMENT: Final[Mapping[Finding, str]] = {
    Finding.SETTLING: "missing_since_at",
    Finding.BEHIND: "missing_since_at",
    Finding.STUCK: "shown_at",
    Finding.DECLINED: "until_at",
}
"""The gap that a judgement's `moment` fills."""


def counter_reason(judgement: CounterJudgement, airdrop: AirdropFacts) -> Reason:
    """Say of one counter of the airdrop what it shows, what its ledger gives and what comes of it."""
    name = _name(judgement.counter)
    if judgement.finding in _UNPROVED:
        is_there = judgement.finding is not Finding.NOT_THERE
        problem = _why_unprovable(airdrop) if is_there else airdrop.display_problem or "no row shows it"
        return _because(_UNPROVED[judgement.finding], name=name, problem=problem)
    is_money = judgement.counter.endswith("_paise")
    numbers: dict[str, Number] = {
        "name": name,
        "shown_paise" if is_money else "shown": judgement.found,
        "recomputed_paise" if is_money else "recomputed": judgement.recomputed,
        "rows": judgement.ledger_rows,
    }
    if judgement.moment is not None:
        numbers[_MOMENT[judgement.finding]] = judgement.moment.isoformat()
    return _because(_COUNTER[judgement.finding], **numbers)


def _why_unprovable(airdrop: AirdropFacts) -> str:
    if airdrop.source != "readable":
        return airdrop.problem
    if airdrop.claims == 0:
        return "the ledger of claims has no row"
    return f"{count(airdrop.without_amount)} verified claims have no amount"


def leaderboard_reasons(
    judgement: LeaderboardJudgement, board: LeaderboardFacts, policy: LiveFomoPolicy
) -> tuple[Reason, ...]:
    """Say of the leaderboard why it cannot be proved, or what differs, row by row, and what comes of it."""
    if judgement.finding is Finding.LOST_LEDGER:
        return (_because(LOST_LEDGER, phantoms=board.counts.get("phantom", 0), users=board.users_shown),)
    if judgement.finding in _UNPROVED:
        problem = board.problem if board.source != "readable" else "the ledger of earnings has no row"
        return (_because(_UNPROVED[judgement.finding], name=_name(judgement.counter), problem=problem),)

    rows = judgement.rows
    reasons: list[Reason] = []
    if judgement.all_wrong:
        kinds = ", ".join(f"{count(number)} {kind}" for kind, number in sorted(board.counts.items()))
        reasons.append(
            _because(
                FALSE_LEADERBOARD,
                wrong=judgement.all_wrong,
                users=board.users_shown,
                rows=board.ledger_rows,
                kinds=kinds,
                repaired=len(rows.wrong) if judgement.set_right else 0,
            )
        )
        reasons += [_row_reason(row) for row in (*rows.wrong, *rows.declined)[: policy.named_rows]]
    else:
        reasons.append(
            _because(
                TRUE_LEADERBOARD,
                users=board.users_shown,
                shown_paise=board.shown_paise,
                rows=board.ledger_rows,
                recomputed_paise=board.recomputed_paise,
            )
        )
    if rows.behind:
        reasons.append(_because(LATE_LEADERBOARD, behind=len(rows.behind)))
    if rows.settling:
        seconds = int(policy.settle.total_seconds())
        reasons.append(_because(SETTLING, settling=len(rows.settling), seconds=seconds))
    if judgement.left:
        reasons.append(_because(IN_TOP, left=judgement.left))
    return tuple(reasons)


def _row_reason(row: RowDifference) -> Reason:
    return _because(
        _ROW[row.kind],
        user=row.user_id,
        rows=row.ledger_rows,
        shown_paise=row.shown_paise,
        shown_rank=row.shown_rank,
        true_paise=row.true_paise,
        place=row.true_rank,
    )


def reasons_beside(facts: LiveFomoFacts) -> tuple[Reason, ...]:
    """Say what was seen and not judged."""
    reasons: list[Reason] = []
    if facts.airdrop.other_counters:
        reasons.append(_because(OTHER_COUNTERS, names=", ".join(facts.airdrop.other_counters)))
    future = facts.airdrop.future_rows + facts.leaderboard.future_rows
    if future:
        reasons.append(_because(FUTURE_ROWS, future=future))
    return tuple(reasons)


def headline(judgements: Sequence[Judgement]) -> str:
    """Count the verdicts that need a word; when all are true, say that."""
    repaired = sum(judgement.verdict is Verdict.REPAIRED for judgement in judgements)
    hidden = sum(judgement.verdict is Verdict.HIDDEN for judgement in judgements)
    unknown = sum(judgement.verdict is Verdict.UNKNOWN for judgement in judgements)
    numbered = [(repaired, "repaired"), (hidden, "hidden"), (unknown, "not provable yet")]
    parts = [f"{number} {word}" for number, word in numbered if number]
    if not parts:
        is_late = any(judgement.is_changed for judgement in judgements)
        word = "true and brought up to date" if is_late else "true"
        return f"Leaderboard and airdrop counters are {word}."
    first, *others = parts
    number, word = first.split(" ", 1)
    return ", ".join([f"{number} {'counter' if number == '1' else 'counters'} {word}", *others]) + "."


def next_step(judgements: Sequence[Judgement]) -> str:
    """Say what the reader may do now; nothing where all is well."""
    verdicts = {judgement.verdict for judgement in judgements}
    if Verdict.HIDDEN in verdicts:
        return "Bring the ledger back, or bind it: post-audit bind; the next run shows the counters again."
    if any(judgement.is_large for judgement in judgements):
        return "Find what writes past the ledger; the rows are named above."
    if Verdict.UNKNOWN in verdicts:
        return "Bind the tables that hold the earnings and the claims: post-audit bind."
    return ""


def _because(code: ReasonCode, **numbers: Number) -> Reason:
    """Fill a sentence with numbers as people read them, and keep the numbers as they are.

    A gap `shown` is also filled by `shown_paise`, so that money and counts share a sentence.
    """
    told = {name: _as_read(name, value) for name, value in numbers.items()}
    gaps = {name.removesuffix("_paise"): value for name, value in told.items()} | told
    return Reason(code=code.code, text=code.worded(numbers).format(**gaps), numbers=numbers)


def _as_read(name: str, value: Number) -> str:
    """Write a number by what its name says that it is; nothing shown reads as such."""
    if value is None:
        return "nothing"
    if name.endswith("_at"):
        return ist(datetime.fromisoformat(str(value)))
    if isinstance(value, int):
        return rupees(value) if name.endswith("_paise") else count(value)
    return str(value)


def _name(counter: str) -> str:
    return _NAMES.get(counter, counter)
