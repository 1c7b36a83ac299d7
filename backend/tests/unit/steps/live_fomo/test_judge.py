"""Tests of `app.post_audit.steps.live_fomo.judge`: every finding, its verdict, and what is then to be changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.live_fomo.facts import Hold, LeaderboardFacts, RowDifference, State
from app.post_audit.steps.live_fomo.judge import (
    CounterJudgement,
    Finding,
    LeaderboardJudgement,
    Verdict,
    judge_counters,
    judge_leaderboard,
)
from tests.unit.steps.live_fomo.examples import AS_OF, POLICY, board, counter, facts_of, row


def claims(**fields: Any) -> CounterJudgement:  # noqa: ANN401 - any field
    return judge_counters(facts_of(None, counter(**fields), counter("airdrop_paise")), POLICY)[0]


def whole(facts: LeaderboardFacts) -> LeaderboardJudgement:
    return judge_leaderboard(facts_of(facts), POLICY)


def hold(**undone: object) -> Hold:
    return Hold(undone=undone, until=AS_OF + timedelta(days=2), decision_id=4)


def test_what_agrees_with_its_ledger_is_true_and_left_alone() -> None:
    assert claims() == CounterJudgement(
        counter="airdrop_claims",
        finding=Finding.TRUE,
        verdict=Verdict.VERIFIED,
        state="verified",
        version=3,
        found=8,
        recomputed=8,
        ledger_rows=8,
        ledger_last_at=AS_OF - timedelta(days=1),
    )
    judgement = whole(board())
    assert (judgement.finding, judgement.verdict) == (Finding.TRUE, Verdict.VERIFIED)
    assert (judgement.found, judgement.recomputed, judgement.differences) == (1_650_000, 1_650_000, 0)
    assert not judgement.is_changed


@pytest.mark.parametrize(
    ("fields", "finding", "verdict", "hours_ago"),
    [
        ({"shown_value": 500}, Finding.FALSE, Verdict.REPAIRED, None),
        (
            {"missing_since": AS_OF, "shown_at": None, "state": "unknown"},
            Finding.FALSE,
            Verdict.REPAIRED,
            None,
        ),
        (
            {"missing_since": AS_OF - timedelta(hours=1), "shown_at": AS_OF - timedelta(hours=5)},
            Finding.STUCK,
            Verdict.REPAIRED,
            5,
        ),
        (
            {"missing_since": AS_OF - timedelta(hours=1), "shown_at": AS_OF - timedelta(hours=4)},
            Finding.BEHIND,
            Verdict.VERIFIED,
            1,
        ),
        ({"shown_value": None}, Finding.FIRST_SHOWN, Verdict.VERIFIED, None),
        ({"shown_value": 8, "state": "hidden"}, Finding.FIRST_SHOWN, Verdict.VERIFIED, None),
    ],
    ids=["false", "without a time", "stuck", "behind", "nothing was shown", "the truth was hidden"],
)
def test_a_counter_that_differs_is_set(
    fields: dict[str, Any], finding: Finding, verdict: Verdict, hours_ago: int | None
) -> None:
    judgement = claims(**{"shown_value": 7, **fields})
    assert (judgement.finding, judgement.verdict) == (finding, verdict)
    assert judgement.moment == (None if hours_ago is None else AS_OF - timedelta(hours=hours_ago))
    assert judgement.is_changed


@pytest.mark.parametrize(
    ("fields", "finding", "verdict"),
    [
        ({"missing_since": AS_OF}, Finding.SETTLING, Verdict.VERIFIED),
        ({"is_writable": False}, Finding.NOT_WRITABLE, Verdict.HIDDEN),
        ({"is_writable": False, "shown_value": 8, "state": "hidden"}, Finding.NOT_WRITABLE, Verdict.HIDDEN),
        ({"hold": hold(shown_value=8)}, Finding.DECLINED, Verdict.HIDDEN),
    ],
    ids=["being written", "read only", "the truth is hidden and read only", "declined"],
)
def test_a_counter_that_differs_and_is_left_alone_still_differs(
    fields: dict[str, Any], finding: Finding, verdict: Verdict
) -> None:
    judgement = claims(**{"shown_value": 7, **fields})
    assert (judgement.finding, judgement.verdict) == (finding, verdict)
    assert (judgement.is_changed, judgement.is_large, judgement.differences) == (False, False, 1)


def test_rows_of_two_seconds_ago_count() -> None:
    moment = AS_OF + timedelta(seconds=1)
    for seconds, finding in ((1.9, Finding.SETTLING), (2, Finding.BEHIND)):
        missing_since = moment - timedelta(seconds=seconds)
        assert claims(shown_value=7, missing_since=missing_since).finding is finding


def test_a_declined_repair_rests_only_for_that_very_value() -> None:
    assert claims(shown_value=500, hold=hold(shown_value=8)).moment == AS_OF + timedelta(days=2)
    assert claims(shown_value=500, hold=hold(shown_value=7)).finding is Finding.FALSE


@pytest.mark.parametrize(
    ("shown", "recomputed", "is_large"),
    [(1000, 1002, False), (1050, 1000, False), (951, 1000, True), (1060, 1000, True)],
)
def test_more_than_five_percent_is_large(shown: int, recomputed: int, is_large: bool) -> None:
    assert claims(shown_value=shown, recomputed=recomputed).is_large is is_large


@pytest.mark.parametrize(("difference", "is_large"), [(5_000_000, False), (5_000_001, True)])
def test_more_than_fifty_thousand_rupees_is_large(difference: int, is_large: bool) -> None:
    shown = 10_000_000_000
    money = counter("airdrop_paise", shown_value=shown, recomputed=shown - difference)
    assert judge_counters(facts_of(None, counter(), money), POLICY)[1].is_large is is_large
    assert not claims(shown_value=shown, recomputed=shown - difference).is_large


@pytest.mark.parametrize(
    ("fields", "finding", "verdict", "is_changed"),
    [
        ({}, Finding.UNPROVABLE, Verdict.HIDDEN, True),
        ({"is_writable": False}, Finding.UNPROVABLE, Verdict.HIDDEN, False),
        ({"shown_value": None}, Finding.UNPROVABLE, Verdict.HIDDEN, True),
        ({"shown_value": None, "state": "hidden"}, Finding.UNPROVABLE, Verdict.HIDDEN, False),
        ({"shown_value": None, "state": "unknown"}, Finding.NOTHING_SHOWN, Verdict.UNKNOWN, False),
    ],
    ids=["shown", "read only", "shown as nothing", "hidden already", "blank"],
)
def test_a_counter_without_a_proof_is_hidden_where_it_is_shown(
    fields: dict[str, Any], finding: Finding, verdict: Verdict, is_changed: bool
) -> None:
    judgement = claims(**{"recomputed": None, **fields})
    assert (judgement.finding, judgement.verdict) == (finding, verdict)
    assert (judgement.is_changed, judgement.is_large) == (is_changed, is_changed)
    assert (judgement.recomputed, judgement.ledger_rows, judgement.ledger_last_at) == (None, None, None)


def test_counters_without_a_row_are_judged_too() -> None:
    assert judge_counters(facts_of(None, counter()), POLICY)[1] == CounterJudgement(
        counter="airdrop_paise", finding=Finding.NOT_THERE, verdict=Verdict.UNKNOWN
    )


def test_the_rows_of_a_leaderboard_are_sorted_by_what_is_done_with_them() -> None:
    wrong = row("user_1")
    stopped = row("user_2", missing_since=AS_OF - timedelta(hours=5))
    absent = row("user_3", kind="absent", is_shown=False, missing_since=AS_OF - timedelta(hours=1))
    behind = row("user_4", missing_since=AS_OF - timedelta(hours=4))
    settling = row("user_5", missing_since=AS_OF)
    declined = row("user_6", hold=hold(total_paise=90_000), is_in_top=False)
    declined_before = row("user_7", hold=hold(total_paise=80_000))
    judgement = whole(board(wrong, stopped, absent, behind, settling, declined, declined_before))

    assert judgement.rows.wrong == (wrong, stopped, absent, declined_before)
    assert judgement.rows.behind == (behind,)
    assert judgement.rows.settling == (settling,)
    assert judgement.rows.declined == (declined,)
    assert judgement.set_right == (*judgement.rows.wrong, behind)
    assert (judgement.finding, judgement.verdict) == (Finding.FALSE, Verdict.REPAIRED)
    assert (judgement.differences, judgement.all_wrong, judgement.left) == (7, 5, 0)
    assert not judgement.is_switched


def test_late_rows_alone_leave_a_leaderboard_true() -> None:
    judgement = whole(board(row(missing_since=AS_OF - timedelta(hours=1))))
    assert (judgement.finding, judgement.verdict) == (Finding.TRUE, Verdict.VERIFIED)
    assert judgement.is_changed
    assert not judgement.is_large


@pytest.mark.parametrize(
    ("facts", "left", "set_right"),
    [
        (board(row(hold=hold(total_paise=90_000))), 1, 0),
        (board(row(), row("user_4"), writable=frozenset({"rank"})), 2, 0),
        (board(row(missing_since=AS_OF - timedelta(hours=1)), writable=frozenset()), 1, 0),
        (board(row(), differences_in_top=2), 1, 1),
    ],
    ids=["declined", "read only", "late and read only", "more than were listed"],
)
def test_shown_rows_that_stay_wrong_hide_the_leaderboard(
    facts: LeaderboardFacts, left: int, set_right: int
) -> None:
    judgement = whole(facts)
    assert (judgement.verdict, judgement.left, len(judgement.set_right)) == (Verdict.HIDDEN, left, set_right)
    assert judgement.is_switched
    assert judgement.is_large


def test_a_read_only_leaderboard_whose_wrong_rows_nobody_sees_stays() -> None:
    judgement = whole(board(row(is_in_top=False), writable=frozenset()))
    assert (judgement.finding, judgement.verdict, judgement.is_changed) == (
        Finding.FALSE,
        Verdict.VERIFIED,
        False,
    )


@pytest.mark.parametrize(("shown", "is_large"), [(90_001, False), (900_000, True), (None, True)])
def test_a_row_that_is_far_off_is_large(shown: int | None, is_large: bool) -> None:
    assert whole(board(row(shown_paise=shown))).is_large is is_large


@pytest.mark.parametrize(
    ("facts", "finding", "verdict"),
    [
        (board(source="unbound", problem="unbound"), Finding.UNPROVABLE, Verdict.HIDDEN),
        (
            board(source="unreadable", users_shown=0, state="unknown"),
            Finding.UNPROVABLE,
            Verdict.HIDDEN,
        ),
        (board(ledger_rows=0), Finding.UNPROVABLE, Verdict.HIDDEN),
        (board(ledger_rows=0, users_shown=0), Finding.NOTHING_SHOWN, Verdict.HIDDEN),
        (board(ledger_rows=0, users_shown=0, state="unknown"), Finding.NOTHING_SHOWN, Verdict.UNKNOWN),
        (board(users_shown=20, counts={"phantom": 11}), Finding.LOST_LEDGER, Verdict.HIDDEN),
        (board(users_shown=0, state="unknown", counts={"phantom": 10}), Finding.LOST_LEDGER, Verdict.UNKNOWN),
    ],
)
def test_a_leaderboard_without_a_proof_is_hidden_whole(
    facts: LeaderboardFacts, finding: Finding, verdict: Verdict
) -> None:
    judgement = whole(facts)
    assert (judgement.finding, judgement.verdict, judgement.set_right) == (finding, verdict, ())
    assert judgement.is_switched is (facts.state != verdict)
    assert judgement.is_large is (facts.state == "verified")


def test_nothing_is_known_of_a_leaderboard_that_cannot_be_read() -> None:
    judgement = whole(board(source="unreadable"))
    assert (judgement.found, judgement.recomputed) == (None, None)
    assert (judgement.ledger_rows, judgement.ledger_last_at) == (None, None)
    empty = whole(board(ledger_rows=0))
    assert (empty.found, empty.recomputed, empty.ledger_rows) == (1_650_000, None, 0)


def test_some_phantoms_are_no_lost_ledger() -> None:
    few = [row(f"ghost_{n}", kind="phantom", is_in_top=False, true_paise=0) for n in range(10)]
    assert whole(board(*few, users_shown=20)).finding is Finding.FALSE
    assert whole(board(*few[:9], users_shown=10)).finding is Finding.FALSE
    assert whole(board(*few, users_shown=19)).finding is Finding.LOST_LEDGER


def test_a_leaderboard_that_can_be_proved_is_shown_unless_that_was_declined() -> None:
    hidden = board(state="hidden")
    assert whole(hidden).is_switched
    assert not whole(replace(hidden, hold=hold(state="verified"))).is_switched
    assert whole(replace(hidden, hold=hold(state="hidden"))).is_switched
    assert not whole(board(state="repaired")).is_switched


@given(
    shown=st.none() | st.integers(0, 10**6),
    recomputed=st.none() | st.integers(0, 10**6),
    state=st.sampled_from(["verified", "repaired", "hidden", "unknown"]),
    missing_hours=st.none() | st.integers(0, 48),
    is_writable=st.booleans(),
)
def test_only_what_is_proved_or_about_to_be_is_called_true(
    shown: int | None, recomputed: int | None, state: State, missing_hours: int | None, is_writable: bool
) -> None:
    judgement = claims(
        shown_value=shown,
        recomputed=recomputed,
        state=state,
        missing_since=None if missing_hours is None else AS_OF - timedelta(hours=missing_hours),
        is_writable=is_writable,
    )
    assert is_writable or not judgement.is_changed
    if judgement.verdict in {Verdict.VERIFIED, Verdict.REPAIRED}:
        assert recomputed is not None
        assert judgement.is_changed or state in {"verified", "repaired"}
    if recomputed is None:
        assert judgement.verdict in {Verdict.HIDDEN, Verdict.UNKNOWN}


@given(
    hours=st.lists(st.none() | st.integers(0, 48), max_size=8),
    is_declined=st.booleans(),
    is_writable=st.booleans(),
)
def test_every_listed_row_has_one_place(
    hours: list[int | None], is_declined: bool, is_writable: bool
) -> None:
    listed: list[RowDifference] = [
        row(
            f"user_{n}",
            missing_since=None if age is None else AS_OF - timedelta(hours=age),
            hold=hold(total_paise=90_000) if is_declined else None,
        )
        for n, age in enumerate(hours)
    ]
    judgement = whole(board(*listed, writable=frozenset({"total_paise"}) if is_writable else frozenset()))
    rows = judgement.rows
    placed = (*rows.wrong, *rows.behind, *rows.settling, *rows.declined)
    assert sorted(each.user_id for each in placed) == [each.user_id for each in listed]
    assert judgement.left == len(listed) - len(judgement.set_right) - len(rows.settling)
