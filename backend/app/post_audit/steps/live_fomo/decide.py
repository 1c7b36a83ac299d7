"""Judge each public counter: what it shows against what its ledger says, to the paisa.

Four verdicts. verified: shown and ledger agree, or the shown number only waits for rows that came since, and is
brought up to date. repaired: a number that was not true, or that stopped, is set to what the ledger says. hidden: it
cannot be proved, so it is not shown. unknown: it cannot be proved, and nothing is shown.

A large difference is repaired like a small one, and people are told at once. Asking first would leave a false
number in public until somebody answers, and the ledger is the only proof there is; but a large one means
that something writes past the ledger, and that is for people to find. One exception: when most of the shown users
have no ledger rows at all, the ledger is the likelier loss, and the leaderboard is hidden, not emptied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.post_audit.formats import count, ist, rupees
from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Number, Outcome, Reason, ReasonCode
from app.post_audit.steps.live_fomo.facts import (
    AirdropFacts,
    CounterFacts,
    LeaderboardFacts,
    LiveFomoFacts,
    RowDifference,
    State,
)
from app.post_audit.steps.live_fomo.policy import LiveFomoPolicy

__all__ = ["Verdict", "decide"]

TRUE_COUNTER: Final = ReasonCode(
    "live_fomo.true_counter", "{name} shows {shown}; {rows} verified claims give {recomputed}."
)
FIRST_SHOWN: Final = ReasonCode(
    "live_fomo.first_shown", "{name}: {rows} verified claims give {recomputed}; from now on that is shown."
)
BEHIND: Final = ReasonCode(
    "live_fomo.behind",
    "{name} shows {shown}, which was true until {missing_since_at}; {rows} verified claims give {recomputed} now.",
)
STUCK: Final = ReasonCode(
    "live_fomo.stuck",
    "{name} shows {shown} since {shown_at} and has stopped; {rows} verified claims give {recomputed}.",
)
FALSE_COUNTER: Final = ReasonCode(
    "live_fomo.false_counter", "{name} shows {shown}; {rows} verified claims give {recomputed}."
)
UNPROVABLE: Final = ReasonCode(
    "live_fomo.unprovable", "{name} cannot be proved: {problem}. It is not shown; that is not zero."
)
NOTHING_SHOWN: Final = ReasonCode(
    "live_fomo.nothing_shown", "{name}: {problem}; nothing is shown, and nothing is wrong."
)
NOT_WRITABLE: Final = ReasonCode(
    "live_fomo.not_writable",
    "{name} shows {shown}, the ledger gives {recomputed}, and its table can only be read here; it is not shown.",
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
    "Leaderboard: the totals of {users} users are {shown_paise}; {rows} earnings give "
    "{recomputed_paise}, each to its user.",
)
FALSE_LEADERBOARD: Final = ReasonCode(
    "live_fomo.false_leaderboard",
    "Leaderboard: {wrong} of {users} rows are not what {rows} earnings give ({kinds}); {repaired} are set right now.",
)
LATE_LEADERBOARD: Final = ReasonCode(
    "live_fomo.late_leaderboard",
    "Leaderboard: {behind} totals wait for earnings that came since, and are brought up to date.",
)
SETTLING: Final = ReasonCode(
    "live_fomo.settling",
    "Leaderboard: {settling} totals lack earnings of the last {seconds} s; those are being written.",
)
LOST_LEDGER: Final = ReasonCode(
    "live_fomo.lost_ledger",
    "Leaderboard: {phantoms} of {users} shown users have no earnings at all; the ledger is likelier to be lost than"
    " they to be false.",
)
IN_TOP: Final = ReasonCode(
    "live_fomo.in_top", "Leaderboard: {left} of the rows that are shown stay wrong, so it is not shown."
)
_ROW: Final[Mapping[str, ReasonCode]] = {
    "absent": ReasonCode(
        "live_fomo.absent", "{user} is missing; {rows} earnings give {true_paise}, place {place}."
    ),
    "phantom": ReasonCode("live_fomo.phantom", "{user} shows {shown_paise} and has no earnings at all."),
    "total": ReasonCode("live_fomo.total", "{user} shows {shown_paise}; {rows} earnings give {true_paise}."),
    "order": ReasonCode(
        "live_fomo.order", "{user} stands in the wrong place among equals; {true_paise} is place {place}."
    ),
    "rank": ReasonCode("live_fomo.rank", "{user} shows rank {shown_rank}; {true_paise} is place {place}."),
}
FUTURE_ROWS: Final = ReasonCode(
    "live_fomo.future_rows", "{future} rows of the ledgers are dated in the future and not counted."
)

_NAMES: Final[Mapping[str, str]] = {
    "leaderboard": "Leaderboard",
    "airdrop_claims": "Airdrop claims",
    "airdrop_paise": "Airdrop value",
}
_SHOWN: Final[frozenset[State]] = frozenset({"verified", "repaired"})
_FINAL: Final = "taking it back would show a false number"
_SUBJECT: Final = "live_fomo"
_TOLD_REASONS: Final = 12
"""Sentences in one message: Telegram cuts at 4,096 characters, and a sentence has at most about 200."""


class Verdict(StrEnum):
    """What a check says of a counter."""

    VERIFIED = "verified"
    REPAIRED = "repaired"
    HIDDEN = "hidden"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the log of evidence has to hold of one counter; values are None where they are not known."""

    counter: str
    found: int | None = None
    recomputed: int | None = None
    version: int = 0
    ledger_rows: int | None = None
    ledger_last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    """One counter: its verdict and why, and what changes."""

    seen: _Seen
    verdict: Verdict
    reasons: tuple[Reason, ...]
    differences: int = 0
    changes: tuple[Change, ...] = ()
    is_large: bool = False
    rows: tuple[RowDifference, ...] = ()


def decide(facts: LiveFomoFacts, policy: LiveFomoPolicy) -> Decision:
    """Judge every counter by itself; one that cannot be proved stops none that can."""
    judgements = [
        _judge_leaderboard(facts.leaderboard, facts, policy),
        *(_judge_counter(counter, facts.airdrop, facts, policy) for counter in facts.airdrop.counters),
        *_counters_not_there(facts.airdrop),
    ]
    reasons = tuple(reason for judgement in judgements for reason in judgement.reasons) + _beside(facts)
    changes = tuple(change for judgement in judgements for change in judgement.changes)
    outcome = Outcome.ACT if changes else Outcome.NOTHING
    if not changes and any(j.verdict in {Verdict.HIDDEN, Verdict.UNKNOWN} for j in judgements):
        outcome = Outcome.UNKNOWN
    headline = _headline(judgements)
    return Decision(
        outcome=outcome,
        headline=headline,
        reasons=reasons,
        numbers=_numbers(judgements, facts, policy),
        changes=changes,
        messages=_messages(judgements, headline, reasons),
        next=_next(judgements),
        independent=True,
        final_because=_FINAL if changes else "",
    )


def _judge_counter(
    counter: CounterFacts, airdrop: AirdropFacts, facts: LiveFomoFacts, policy: LiveFomoPolicy
) -> _Judgement:
    """Judge one counter of the airdrop."""
    seen = _seen_counter(counter, airdrop)
    recomputed = counter.recomputed
    if recomputed is None:
        return _unprovable_counter(counter, _why_unprovable(airdrop), facts)
    is_money = counter.counter.endswith("_paise")
    numbers: dict[str, Number] = {
        "name": _name(counter.counter),
        "shown_paise" if is_money else "shown": counter.shown_value,
        "recomputed_paise" if is_money else "recomputed": recomputed,
        "rows": airdrop.ledger_rows,
    }
    is_shown = counter.state in _SHOWN
    if counter.shown_value == recomputed and is_shown:
        return _Judgement(seen=seen, verdict=Verdict.VERIFIED, reasons=(_because(TRUE_COUNTER, **numbers),))
    missing_since = counter.missing_since
    if is_shown and missing_since is not None and missing_since > facts.moment - policy.settle:
        reason = _because(BEHIND, **numbers, missing_since_at=missing_since.isoformat())
        return _Judgement(seen=seen, verdict=Verdict.VERIFIED, reasons=(reason,), differences=1)
    if not counter.is_writable:
        reason = _because(NOT_WRITABLE, **numbers)
        return _Judgement(seen=seen, verdict=Verdict.HIDDEN, reasons=(reason,), differences=1)
    if counter.hold is not None and counter.hold.undone.get("shown_value") == recomputed:
        reason = _because(DECLINED, **numbers, until_at=counter.hold.until.isoformat())
        return _Judgement(seen=seen, verdict=Verdict.HIDDEN, reasons=(reason,), differences=1)

    verdict, reason = _differing_counter(counter, facts, policy, numbers)
    return _Judgement(
        seen=seen,
        verdict=verdict,
        reasons=(reason,),
        differences=int(counter.shown_value != recomputed),
        changes=(_counter_change(counter, recomputed, verdict.value, facts),),
        is_large=verdict is Verdict.REPAIRED
        and _is_large(counter.shown_value or 0, recomputed, policy, is_money=is_money),
    )


def _differing_counter(
    counter: CounterFacts, facts: LiveFomoFacts, policy: LiveFomoPolicy, numbers: Mapping[str, Number]
) -> tuple[Verdict, Reason]:
    """Tell a number that is late from one that stopped and from one that is not true."""
    if counter.shown_value is None or counter.shown_value == counter.recomputed:
        return Verdict.VERIFIED, _because(FIRST_SHOWN, **numbers)
    if counter.missing_since is None or counter.shown_at is None:
        return Verdict.REPAIRED, _because(FALSE_COUNTER, **numbers)
    if facts.as_of - counter.shown_at > policy.stale_after:
        return Verdict.REPAIRED, _because(STUCK, **numbers, shown_at=counter.shown_at.isoformat())
    return Verdict.VERIFIED, _because(BEHIND, **numbers, missing_since_at=counter.missing_since.isoformat())


def _why_unprovable(airdrop: AirdropFacts) -> str:
    if airdrop.source != "readable":
        return airdrop.problem
    if airdrop.claims == 0:
        return "the ledger of claims has no row"
    return f"{count(airdrop.without_amount)} verified claims have no amount"


def _unprovable_counter(counter: CounterFacts, problem: str, facts: LiveFomoFacts) -> _Judgement:
    """Hide what has no source; leave alone what never showed anything."""
    name = _name(counter.counter)
    seen = _Seen(counter=counter.counter, found=counter.shown_value, version=counter.version)
    if counter.shown_value is None and counter.state == "unknown":
        reason = _because(NOTHING_SHOWN, name=name, problem=problem)
        return _Judgement(seen=seen, verdict=Verdict.UNKNOWN, reasons=(reason,))
    is_hidden = counter.shown_value is None and counter.state == "hidden"
    is_to_change = counter.is_writable and not is_hidden
    return _Judgement(
        seen=seen,
        verdict=Verdict.HIDDEN,
        reasons=(_because(UNPROVABLE, name=name, problem=problem),),
        changes=(_counter_change(counter, None, "hidden", facts),) if is_to_change else (),
        is_large=is_to_change,
    )


def _counters_not_there(airdrop: AirdropFacts) -> list[_Judgement]:
    """Name the counters that have no row to show them in."""
    problem = airdrop.display_problem or "no row shows it"
    present = {counter.counter for counter in airdrop.counters}
    return [
        _Judgement(
            seen=_Seen(counter=name),
            verdict=Verdict.UNKNOWN,
            reasons=(_because(NOTHING_SHOWN, name=_name(name), problem=problem),),
        )
        for name in ("airdrop_claims", "airdrop_paise")
        if name not in present
    ]


def _counter_change(counter: CounterFacts, value: int | None, state: str, facts: LiveFomoFacts) -> Change:
    return Change(
        subject=f"counter:{counter.counter}",
        before={"shown_value": counter.shown_value, "state": counter.state, "version": counter.version},
        after={"shown_value": value, "state": state, "shown_at": facts.moment.isoformat()},
    )


def _judge_leaderboard(board: LeaderboardFacts, facts: LiveFomoFacts, policy: LiveFomoPolicy) -> _Judgement:
    """Judge the leaderboard as a whole; its rows are repaired one by one."""
    phantoms = board.counts.get("phantom", 0)
    if board.source != "readable":
        return _unprovable_leaderboard(board, _because(UNPROVABLE, name="Leaderboard", problem=board.problem))
    if board.ledger_rows == 0:
        code = UNPROVABLE if board.users_shown else NOTHING_SHOWN
        return _unprovable_leaderboard(
            board, _because(code, name="Leaderboard", problem="the ledger of earnings has no row")
        )
    if phantoms >= policy.lost_users and phantoms > policy.lost_share * board.users_shown:
        return _unprovable_leaderboard(
            board, _because(LOST_LEDGER, phantoms=phantoms, users=board.users_shown)
        )

    rows = _sort_rows(board, facts, policy)
    is_writable = "total_paise" in board.writable
    left = board.differences_in_top - sum(row.is_in_top for row in board.differences)
    left += sum(row.is_in_top for row in rows.declined)
    if not is_writable:
        left += sum(row.is_in_top for row in (*rows.wrong, *rows.behind))
    verdict = Verdict.REPAIRED if rows.wrong and is_writable else Verdict.VERIFIED
    if left:
        verdict = Verdict.HIDDEN
    repaired = (*rows.wrong, *rows.behind) if is_writable else ()
    return _Judgement(
        seen=_seen_leaderboard(board),
        verdict=verdict,
        reasons=_leaderboard_reasons(board, rows, policy, left),
        differences=sum(board.counts.values()),
        changes=tuple(_row_change(row, board) for row in repaired) + _leaderboard_change(board, verdict),
        is_large=any(_is_large_row(row, policy) for row in rows.wrong)
        or (verdict is Verdict.HIDDEN and board.state in _SHOWN),
        rows=(*rows.wrong, *rows.declined),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SortedRows:
    """The differing rows by what is to be done with them: repaired, brought up to date, left alone twice."""

    wrong: tuple[RowDifference, ...]
    behind: tuple[RowDifference, ...]
    settling: tuple[RowDifference, ...]
    declined: tuple[RowDifference, ...]


def _sort_rows(board: LeaderboardFacts, facts: LiveFomoFacts, policy: LiveFomoPolicy) -> _SortedRows:
    wrong: list[RowDifference] = []
    behind: list[RowDifference] = []
    settling: list[RowDifference] = []
    declined: list[RowDifference] = []
    for row in board.differences:
        if row.missing_since is not None and row.missing_since > facts.moment - policy.settle:
            settling.append(row)
        elif row.hold is not None and row.hold.undone.get("total_paise") == row.true_paise:
            declined.append(row)
        elif (
            row.is_shown
            and row.missing_since is not None
            and facts.as_of - row.missing_since <= policy.stale_after
        ):
            behind.append(row)
        else:
            wrong.append(row)
    return _SortedRows(
        wrong=tuple(wrong), behind=tuple(behind), settling=tuple(settling), declined=tuple(declined)
    )


def _leaderboard_reasons(
    board: LeaderboardFacts, rows: _SortedRows, policy: LiveFomoPolicy, left: int
) -> tuple[Reason, ...]:
    reasons: list[Reason] = []
    wrong = sum(board.counts.values()) - len(rows.behind) - len(rows.settling)
    if wrong:
        kinds = ", ".join(f"{count(number)} {kind}" for kind, number in sorted(board.counts.items()))
        repaired = len(rows.wrong) if "total_paise" in board.writable else 0
        sums: dict[str, Number] = {"users": board.users_shown, "rows": board.ledger_rows}
        reasons.append(_because(FALSE_LEADERBOARD, wrong=wrong, **sums, kinds=kinds, repaired=repaired))
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
    if left:
        reasons.append(_because(IN_TOP, left=left))
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


def _unprovable_leaderboard(board: LeaderboardFacts, reason: Reason) -> _Judgement:
    is_blank = board.source == "readable" and board.users_shown == 0 and board.state == "unknown"
    verdict = Verdict.UNKNOWN if is_blank else Verdict.HIDDEN
    return _Judgement(
        seen=_seen_leaderboard(board),
        verdict=verdict,
        reasons=(reason,),
        differences=sum(board.counts.values()),
        changes=_leaderboard_change(board, verdict),
        is_large=board.state in _SHOWN,
    )


def _leaderboard_change(board: LeaderboardFacts, verdict: Verdict) -> tuple[Change, ...]:
    """Show or hide the leaderboard as a whole, where it is not so already or was declined."""
    is_to_show = verdict in {Verdict.VERIFIED, Verdict.REPAIRED}
    is_so = board.state in _SHOWN if is_to_show else board.state == verdict.value
    is_declined = board.hold is not None and board.hold.undone.get("state") == verdict.value
    if is_so or is_declined:
        return ()
    return (
        Change(
            subject="counter:leaderboard",
            before={"state": board.state, "version": board.version},
            after={"state": verdict.value},
        ),
    )


def _is_large(shown: int, recomputed: int, policy: LiveFomoPolicy, *, is_money: bool) -> bool:
    difference = abs(shown - recomputed)
    return difference > policy.large_share * abs(shown) or (is_money and difference > policy.large_paise)


def _is_large_row(row: RowDifference, policy: LiveFomoPolicy) -> bool:
    return _is_large(row.shown_paise or 0, row.true_paise, policy, is_money=True)


def _seen_counter(counter: CounterFacts, airdrop: AirdropFacts) -> _Seen:
    return _Seen(
        counter=counter.counter,
        found=counter.shown_value,
        recomputed=counter.recomputed,
        version=counter.version,
        ledger_rows=airdrop.ledger_rows,
        ledger_last_at=airdrop.ledger_last_at,
    )


def _seen_leaderboard(board: LeaderboardFacts) -> _Seen:
    if board.source != "readable":
        return _Seen(counter="leaderboard", version=board.version)
    return _Seen(
        counter="leaderboard",
        found=board.shown_paise,
        recomputed=board.recomputed_paise if board.ledger_rows else None,
        version=board.version,
        ledger_rows=board.ledger_rows,
        ledger_last_at=board.ledger_last_at,
    )


def _evidence(judgement: _Judgement) -> Mapping[str, JSON]:
    """List what `post_audit.finish_live_fomo` writes into the log, after it has looked again."""
    seen = judgement.seen
    return {
        "counter": seen.counter,
        "verdict": judgement.verdict.value,
        "found_value": seen.found,
        "recomputed_value": seen.recomputed,
        "version": seen.version,
        "differences": judgement.differences,
        "ledger_rows": seen.ledger_rows,
        "ledger_last_at": seen.ledger_last_at.isoformat() if seen.ledger_last_at else None,
    }


def _beside(facts: LiveFomoFacts) -> tuple[Reason, ...]:
    reasons: list[Reason] = []
    if facts.airdrop.other_counters:
        reasons.append(_because(OTHER_COUNTERS, names=", ".join(facts.airdrop.other_counters)))
    future = facts.airdrop.future_rows + facts.leaderboard.future_rows
    if future:
        reasons.append(_because(FUTURE_ROWS, future=future))
    return tuple(reasons)


def _headline(judgements: Sequence[_Judgement]) -> str:
    """Count the verdicts that need a word; when all are true, say that."""
    repaired = sum(judgement.verdict is Verdict.REPAIRED for judgement in judgements)
    hidden = sum(judgement.verdict is Verdict.HIDDEN for judgement in judgements)
    unknown = sum(judgement.verdict is Verdict.UNKNOWN for judgement in judgements)
    numbered = [(repaired, "repaired"), (hidden, "hidden"), (unknown, "not provable yet")]
    parts = [f"{number} {word}" for number, word in numbered if number]
    if not parts:
        is_late = any(judgement.changes for judgement in judgements)
        word = "true and brought up to date" if is_late else "true"
        return f"Leaderboard and airdrop counters are {word}."
    first, *others = parts
    number, word = first.split(" ", 1)
    return ", ".join([f"{number} {'counter' if number == '1' else 'counters'} {word}", *others]) + "."


def _messages(
    judgements: Sequence[_Judgement], headline: str, reasons: Sequence[Reason]
) -> tuple[Message, ...]:
    """Tell people of what was false or had to be hidden; what was only late is no news."""
    is_large = any(judgement.is_large for judgement in judgements)
    told = any(
        judgement.changes and judgement.verdict in {Verdict.REPAIRED, Verdict.HIDDEN}
        for judgement in judgements
    )
    if not (told or is_large):
        return ()
    text = "\n".join([headline, *(reason.text for reason in reasons[:_TOLD_REASONS])])
    return (Message(channel=Channel.TELEGRAM, subject=_SUBJECT, payload={"text": text}, alert=is_large),)


def _next(judgements: Sequence[_Judgement]) -> str:
    verdicts = {judgement.verdict for judgement in judgements}
    if Verdict.HIDDEN in verdicts:
        return "Bring the ledger back, or bind it: post-audit bind; the next run shows the counters again."
    if any(judgement.is_large for judgement in judgements):
        return "Find what writes past the ledger; the rows are named above."
    if Verdict.UNKNOWN in verdicts:
        return "Bind the tables that hold the earnings and the claims: post-audit bind."
    return ""


def _numbers(
    judgements: Sequence[_Judgement], facts: LiveFomoFacts, policy: LiveFomoPolicy
) -> Mapping[str, JSON]:
    board = facts.leaderboard
    rows = [row for judgement in judgements for row in judgement.rows]
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


def _because(code: ReasonCode, **numbers: Number) -> Reason:
    """Fill a sentence with numbers as people read them, and keep the numbers as they are.

    A gap `shown` is also filled by `shown_paise`, so that money and counts share a sentence.
    """
    told = {name: _as_read(name, value) for name, value in numbers.items()}
    gaps = {name.removesuffix("_paise"): value for name, value in told.items()} | told
    return Reason(code=code.code, text=code.sentence.format(**gaps), numbers=numbers)


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
