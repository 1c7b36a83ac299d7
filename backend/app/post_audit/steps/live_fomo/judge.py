"""Judge each public counter: what it shows against what its ledger says, to the paisa.

Four verdicts. verified: shown and ledger agree, or the shown number only waits for rows that came since, and is
brought up to date. repaired: a number that was not true, or that stopped, is set to what the ledger says. hidden: it
cannot be proved, so it is not shown. unknown: it cannot be proved, and nothing is shown.

When most of the shown users have no ledger rows at all, the ledger is the likelier loss, and the leaderboard is
hidden, not emptied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.post_audit.steps.live_fomo.facts import (
    CounterFacts,
    LeaderboardFacts,
    LiveFomoFacts,
    RowDifference,
    State,
)
from app.post_audit.steps.live_fomo.policy import LiveFomoPolicy

__all__ = [
    "CounterJudgement",
    "Finding",
    "Judgement",
    "LeaderboardJudgement",
    "SortedRows",
    "Verdict",
    "judge_counters",
    "judge_leaderboard",
]


class Verdict(StrEnum):
    """What a check says of a counter."""

    VERIFIED = "verified"
    REPAIRED = "repaired"
    HIDDEN = "hidden"
    UNKNOWN = "unknown"


class Finding(StrEnum):
    """What the comparison with the ledger came to: why a counter has its verdict."""

    TRUE = "true"
    FIRST_SHOWN = "first_shown"
    """It was not shown, and can be proved."""
    SETTLING = "settling"
    """It lacks only rows that are being written; left to the marketplace."""
    BEHIND = "behind"
    """It was true until rows came that it lacks."""
    STUCK = "stuck"
    """As behind, and shown for so long that it has stopped."""
    FALSE = "false"
    """It was not true when it was shown."""
    NOT_WRITABLE = "not_writable"
    """It would have to be set, and its table can only be read."""
    DECLINED = "declined"
    """It would have to be set, and a person has declined this very value."""
    UNPROVABLE = "unprovable"
    """Its ledger cannot be read, is empty or is not complete."""
    LOST_LEDGER = "lost_ledger"
    """Its ledger knows so few of those shown that it is likelier to be lost than they to be false."""
    NOTHING_SHOWN = "nothing_shown"
    """It cannot be proved, and shows nothing."""
    NOT_THERE = "not_there"
    """No row shows it."""


_VERDICTS: Final[Mapping[Finding, Verdict]] = {
    Finding.TRUE: Verdict.VERIFIED,
    Finding.FIRST_SHOWN: Verdict.VERIFIED,
    Finding.SETTLING: Verdict.VERIFIED,
    Finding.BEHIND: Verdict.VERIFIED,
    Finding.STUCK: Verdict.REPAIRED,
    Finding.FALSE: Verdict.REPAIRED,
    Finding.NOT_WRITABLE: Verdict.HIDDEN,
    Finding.DECLINED: Verdict.HIDDEN,
}
"""The verdict on a counter of the airdrop whose ledger could be read."""

_SET: Final = frozenset({Finding.FIRST_SHOWN, Finding.BEHIND, Finding.STUCK, Finding.FALSE})
"""What is found of a counter that is then set to its ledger's value."""

_LEFT_WRONG: Final = frozenset({Finding.NOT_WRITABLE, Finding.DECLINED})
"""What is found of a counter that stays as it is although it differs, be it in nothing but its state."""

_SHOWN: Final[frozenset[State]] = frozenset({"verified", "repaired"})
_COUNTERS: Final = ("airdrop_claims", "airdrop_paise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One counter: its verdict and why, and what the log of evidence has to hold of it.

    `found` is shown, `recomputed` is the ledger's value: counts or paise, None where not known. `differences` counts
    what differs, `is_large` asks to tell people at once, and `is_changed` says whether the display is to be changed.
    """

    counter: str
    finding: Finding
    verdict: Verdict
    state: State = "unknown"
    version: int = 0
    found: int | None = None
    recomputed: int | None = None
    ledger_rows: int | None = None
    ledger_last_at: datetime | None = None
    differences: int = 0
    is_large: bool = False
    is_changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterJudgement(Judgement):
    """A counter of the airdrop.

    `moment` belongs to the finding: since when it lacks rows (settling, behind), since when it shows the same
    (stuck), until when its repair is declined.
    """

    moment: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedRows:
    """The differing rows by what is to be done with them: repaired, brought up to date, left alone twice."""

    wrong: tuple[RowDifference, ...] = ()
    behind: tuple[RowDifference, ...] = ()
    settling: tuple[RowDifference, ...] = ()
    declined: tuple[RowDifference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardJudgement(Judgement):
    """The leaderboard as a whole and its rows.

    `all_wrong` counts the rows that are not what the ledger gives, listed or not; those `set_right` are set to it now,
    and `left` of the rows that are shown stay wrong. `is_switched` says that the whole is shown or hidden from now on
    and was not.
    """

    rows: SortedRows = SortedRows()
    all_wrong: int = 0
    set_right: tuple[RowDifference, ...] = ()
    left: int = 0
    is_switched: bool = False


def judge_counters(facts: LiveFomoFacts, policy: LiveFomoPolicy) -> tuple[CounterJudgement, ...]:
    """Judge every counter of the airdrop by itself, and name those that have no row to show them in."""
    counters = facts.airdrop.counters
    present = {counter.counter for counter in counters}
    return (
        *(_judge_counter(counter, facts, policy) for counter in counters),
        *(
            CounterJudgement(counter=name, finding=Finding.NOT_THERE, verdict=Verdict.UNKNOWN)
            for name in _COUNTERS
            if name not in present
        ),
    )


def _judge_counter(counter: CounterFacts, facts: LiveFomoFacts, policy: LiveFomoPolicy) -> CounterJudgement:
    recomputed = counter.recomputed
    if recomputed is None:
        return _unprovable_counter(counter)
    finding, moment = _compare(counter, recomputed, facts, policy)
    is_money = counter.counter.endswith("_paise")
    return CounterJudgement(
        counter=counter.counter,
        finding=finding,
        verdict=_VERDICTS[finding],
        state=counter.state,
        version=counter.version,
        found=counter.shown_value,
        recomputed=recomputed,
        ledger_rows=facts.airdrop.ledger_rows,
        ledger_last_at=facts.airdrop.ledger_last_at,
        differences=int(counter.shown_value != recomputed or finding in _LEFT_WRONG),
        is_large=_VERDICTS[finding] is Verdict.REPAIRED
        and _is_large(counter.shown_value or 0, recomputed, policy, is_money=is_money),
        is_changed=finding in _SET,
        moment=moment,
    )


def _compare(
    counter: CounterFacts, recomputed: int, facts: LiveFomoFacts, policy: LiveFomoPolicy
) -> tuple[Finding, datetime | None]:
    """Tell what is true from what differs, and what differs and is left alone from what is set."""
    is_shown = counter.state in _SHOWN
    if counter.shown_value == recomputed and is_shown:
        return Finding.TRUE, None
    missing_since = counter.missing_since
    if is_shown and missing_since is not None and missing_since > facts.moment - policy.settle:
        return Finding.SETTLING, missing_since
    if not counter.is_writable:
        return Finding.NOT_WRITABLE, None
    if counter.hold is not None and counter.hold.undone.get("shown_value") == recomputed:
        return Finding.DECLINED, counter.hold.until
    return _compare_to_set(counter, recomputed, facts, policy)


def _compare_to_set(
    counter: CounterFacts, recomputed: int, facts: LiveFomoFacts, policy: LiveFomoPolicy
) -> tuple[Finding, datetime | None]:
    """Tell a number that is late from one that stopped and from one that is not true."""
    if counter.shown_value is None or counter.shown_value == recomputed:
        return Finding.FIRST_SHOWN, None
    if counter.missing_since is None or counter.shown_at is None:
        return Finding.FALSE, None
    if facts.as_of - counter.shown_at > policy.stale_after:
        return Finding.STUCK, counter.shown_at
    return Finding.BEHIND, counter.missing_since


def _unprovable_counter(counter: CounterFacts) -> CounterJudgement:
    """Hide what has no source; leave alone what never showed anything."""
    is_blank = counter.shown_value is None and counter.state == "unknown"
    is_hidden = counter.shown_value is None and counter.state == "hidden"
    is_to_hide = counter.is_writable and not is_hidden and not is_blank
    return CounterJudgement(
        counter=counter.counter,
        finding=Finding.NOTHING_SHOWN if is_blank else Finding.UNPROVABLE,
        verdict=Verdict.UNKNOWN if is_blank else Verdict.HIDDEN,
        state=counter.state,
        version=counter.version,
        found=counter.shown_value,
        is_large=is_to_hide,
        is_changed=is_to_hide,
    )


def judge_leaderboard(facts: LiveFomoFacts, policy: LiveFomoPolicy) -> LeaderboardJudgement:
    """Judge the leaderboard as a whole; its rows are repaired one by one."""
    board = facts.leaderboard
    phantoms = board.counts.get("phantom", 0)
    if board.source != "readable":
        return _judgement_of(board, Finding.UNPROVABLE, Verdict.HIDDEN)
    is_blank = board.users_shown == 0 and board.state == "unknown"
    unproved = Verdict.UNKNOWN if is_blank else Verdict.HIDDEN
    if board.ledger_rows == 0:
        finding = Finding.UNPROVABLE if board.users_shown else Finding.NOTHING_SHOWN
        return _judgement_of(board, finding, unproved)
    if phantoms >= policy.lost_users and phantoms > policy.lost_share * board.users_shown:
        return _judgement_of(board, Finding.LOST_LEDGER, unproved)

    rows = _sort_rows(board, facts, policy)
    all_wrong = sum(board.counts.values()) - len(rows.behind) - len(rows.settling)
    is_writable = "total_paise" in board.writable
    left = board.differences_in_top - sum(row.is_in_top for row in board.differences)
    left += sum(row.is_in_top for row in rows.declined)
    if not is_writable:
        left += sum(row.is_in_top for row in (*rows.wrong, *rows.behind))
    verdict = Verdict.REPAIRED if rows.wrong and is_writable else Verdict.VERIFIED
    if left:
        verdict = Verdict.HIDDEN
    set_right = (*rows.wrong, *rows.behind) if is_writable else ()
    judged = _judgement_of(board, Finding.FALSE if all_wrong else Finding.TRUE, verdict)
    return replace(
        judged,
        is_large=judged.is_large
        or any(_is_large(row.shown_paise or 0, row.true_paise, policy, is_money=True) for row in rows.wrong),
        is_changed=judged.is_changed or bool(set_right),
        rows=rows,
        all_wrong=all_wrong,
        set_right=set_right,
        left=left,
    )


def _judgement_of(board: LeaderboardFacts, finding: Finding, verdict: Verdict) -> LeaderboardJudgement:
    """Put down the leaderboard as a whole; of a source that cannot be read no number is known."""
    is_readable = board.source == "readable"
    is_switched = _is_switched(board, verdict)
    return LeaderboardJudgement(
        counter="leaderboard",
        finding=finding,
        verdict=verdict,
        state=board.state,
        version=board.version,
        found=board.shown_paise if is_readable else None,
        recomputed=board.recomputed_paise if is_readable and board.ledger_rows else None,
        ledger_rows=board.ledger_rows if is_readable else None,
        ledger_last_at=board.ledger_last_at if is_readable else None,
        differences=sum(board.counts.values()),
        is_large=verdict is Verdict.HIDDEN and board.state in _SHOWN,
        is_changed=is_switched,
        is_switched=is_switched,
    )


def _is_switched(board: LeaderboardFacts, verdict: Verdict) -> bool:
    """Say whether the whole is to be shown or hidden: where it is not so already and that was not declined."""
    is_to_show = verdict in {Verdict.VERIFIED, Verdict.REPAIRED}
    is_so = board.state in _SHOWN if is_to_show else board.state == verdict.value
    is_declined = board.hold is not None and board.hold.undone.get("state") == verdict.value
    return not (is_so or is_declined)


def _sort_rows(board: LeaderboardFacts, facts: LiveFomoFacts, policy: LiveFomoPolicy) -> SortedRows:
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
    return SortedRows(
        wrong=tuple(wrong), behind=tuple(behind), settling=tuple(settling), declined=tuple(declined)
    )


def _is_large(shown: int, recomputed: int, policy: LiveFomoPolicy, *, is_money: bool) -> bool:
    difference = abs(shown - recomputed)
    return difference > policy.large_share * abs(shown) or (is_money and difference > policy.large_paise)
