"""Tests of `app.post_audit.steps.live_fomo.wording`: every sentence that people are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.post_audit.step import Reason
from app.post_audit.steps.live_fomo.facts import Hold, LeaderboardFacts, RowDifference
from app.post_audit.steps.live_fomo.judge import (
    Finding,
    Judgement,
    Verdict,
    judge_counters,
    judge_leaderboard,
)
from app.post_audit.steps.live_fomo.wording import (
    counter_reason,
    headline,
    leaderboard_reasons,
    next_step,
    reasons_beside,
)
from tests.unit.steps.live_fomo.examples import AS_OF, POLICY, board, counter, facts_of, row

HOUR_AGO = AS_OF - timedelta(hours=1)
DECLINED = Hold(
    undone={"shown_value": 8, "total_paise": 90_000}, until=AS_OF + timedelta(days=2), decision_id=4
)


def of_counter(name: str = "airdrop_claims", airdrop: dict[str, Any] | None = None, **fields: Any) -> Reason:  # noqa: ANN401 - any field
    facts = facts_of(None, counter(name, **fields), **(airdrop or {}))
    return counter_reason(judge_counters(facts, POLICY)[0], facts.airdrop)


def of_board(facts: LeaderboardFacts) -> list[Reason]:
    return list(leaderboard_reasons(judge_leaderboard(facts_of(facts), POLICY), facts, POLICY))


def codes(reasons: list[Reason]) -> list[str]:
    return [reason.code.removeprefix("live_fomo.") for reason in reasons]


def verdict(found: Verdict, *, is_changed: bool = False, is_large: bool = False) -> Judgement:
    return Judgement(
        counter="airdrop_claims",
        finding=Finding.FALSE,
        verdict=found,
        is_changed=is_changed,
        is_large=is_large,
    )


@pytest.mark.parametrize(
    ("fields", "code", "sentence"),
    [
        ({}, "true_counter", "Airdrop claims shows 8; 8 verified claims give 8."),
        ({"shown_value": 500}, "false_counter", "Airdrop claims shows 500; 8 verified claims give 8."),
        (
            {"shown_value": None, "state": "unknown"},
            "first_shown",
            "Airdrop claims: 8 verified claims give 8; from now on that is shown.",
        ),
        (
            {"shown_value": 7, "missing_since": HOUR_AGO},
            "behind",
            "Airdrop claims shows 7, which was true until 12 Nov, 13:30 IST; 8 verified claims give 8 now.",
        ),
        (
            {"shown_value": 7, "missing_since": AS_OF},
            "behind",
            "Airdrop claims shows 7, which was true until 12 Nov, 14:30 IST; 8 verified claims give 8 now.",
        ),
        (
            {"shown_value": 7, "missing_since": HOUR_AGO, "shown_at": AS_OF - timedelta(hours=5)},
            "stuck",
            "Airdrop claims shows 7 since 12 Nov, 09:30 IST and has stopped; 8 verified claims give 8.",
        ),
        (
            {"shown_value": None, "is_writable": False},
            "not_writable",
            "Airdrop claims shows nothing, the ledger gives 8, and its table can only be read here; it is not shown.",
        ),
        (
            {"shown_value": 500, "hold": DECLINED},
            "declined",
            (
                "Airdrop claims shows 500, the ledger gives 8; that repair was declined until 14 Nov, 14:30 IST, so "
                "it is not shown."
            ),
        ),
    ],
    ids=["true", "false", "first shown", "behind", "settling", "stuck", "read only", "declined"],
)
def test_each_finding_of_a_counter_has_its_sentence(fields: dict[str, Any], code: str, sentence: str) -> None:
    reason = of_counter(**fields)
    assert codes([reason]) == [code]
    assert reason.text == sentence


def test_money_is_told_in_rupees_and_kept_in_paise() -> None:
    reason = of_counter("airdrop_paise", shown_value=4_000_050)
    assert reason.text == "Airdrop value shows ₹40,000.50; 8 verified claims give ₹40,000."
    assert reason.numbers == {
        "name": "Airdrop value",
        "shown_paise": 4_000_050,
        "recomputed_paise": 4_000_000,
        "rows": 8,
    }


def test_a_moment_is_told_in_indian_time_and_kept_in_utc() -> None:
    reason = of_counter(shown_value=7, missing_since=HOUR_AGO)
    assert reason.numbers["missing_since_at"] == "2025-11-12T08:00:00+00:00"


@pytest.mark.parametrize(
    ("airdrop", "said"),
    [
        ({"source": "unbound", "problem": "no table is bound to claims"}, "no table is bound to claims"),
        ({"claims": 0}, "the ledger of claims has no row"),
        ({"without_amount": 2}, "2 verified claims have no amount"),
    ],
)
def test_what_has_no_proof_is_told_with_its_problem(airdrop: dict[str, Any], said: str) -> None:
    hidden = of_counter(airdrop=airdrop, recomputed=None)
    assert hidden.text == f"Airdrop claims cannot be proved: {said}. It is not shown; that is not zero."
    blank = of_counter(airdrop=airdrop, recomputed=None, shown_value=None, state="unknown")
    assert blank.text == f"Airdrop claims: {said}; nothing is shown, and nothing is wrong."


@pytest.mark.parametrize("problem", ["", "no table is bound to airdrop"])
def test_a_counter_without_a_row_is_told_with_the_problem_of_the_display(problem: str) -> None:
    facts = facts_of(None, counter(), display_problem=problem)
    reason = counter_reason(judge_counters(facts, POLICY)[1], facts.airdrop)
    assert reason.text == (
        f"Airdrop value: {problem or 'no row shows it'}; nothing is shown, and nothing is wrong."
    )


def test_a_counter_of_another_name_is_told_by_it() -> None:
    assert of_counter("visitors", shown_value=8, recomputed=8).text.startswith("visitors shows 8;")


def test_a_true_leaderboard_is_told_in_sums() -> None:
    (reason,) = of_board(board())
    assert reason.text == (
        "Leaderboard: the totals of 10 users are ₹16,500; 30 earnings give ₹16,500, each to its user."
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (row(), "user_3 shows ₹900.01; 3 earnings give ₹900."),
        (
            row(kind="absent", is_shown=False, shown_paise=None),
            "user_3 is missing; 3 earnings give ₹900, place 8.",
        ),
        (row(kind="phantom", true_paise=0), "user_3 shows ₹900.01 and has no earnings at all."),
        (row(kind="rank", shown_rank=1), "user_3 shows rank 1; ₹900 is place 8."),
        (row(kind="order"), "user_3 stands in the wrong place among equals; ₹900 is place 8."),
    ],
    ids=lambda value: value.kind if isinstance(value, RowDifference) else "",
)
def test_each_kind_of_false_row_is_named(found: RowDifference, said: str) -> None:
    whole, named = of_board(board(found))
    assert whole.text == (
        f"Leaderboard: 1 of 10 rows is not what 30 earnings give (1 {found.kind}); 1 is set right now."
    )
    assert named.text == said


def test_at_most_twenty_rows_are_named_those_that_are_repaired_first() -> None:
    declined = row("declined", hold=DECLINED, is_in_top=False)
    rows = [row(f"user_{n}") for n in range(30)]
    assert sum(code == "total" for code in codes(of_board(board(*rows)))) == 20
    named = of_board(board(declined, rows[0]))[1:]
    assert [reason.numbers["user"] for reason in named] == ["user_0", "declined"]


def test_rows_that_are_late_or_being_written_or_stay_wrong_are_told() -> None:
    late, settling = row(missing_since=HOUR_AGO), row("user_4", missing_since=AS_OF)
    assert [reason.text for reason in of_board(board(late, settling))[1:]] == [
        "Leaderboard: 1 total waits for earnings that came since, and is brought up to date.",
        "Leaderboard: 1 total lacks earnings of the last 2 s; those are being written.",
    ]
    read_only = of_board(board(row(), writable=frozenset()))
    assert read_only[0].text.endswith("; 0 are set right now.")
    assert read_only[-1].text == "Leaderboard: 1 of the rows that are shown stay wrong, so it is not shown."


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (
            board(source="unbound", problem="no table is bound to earnings"),
            "Leaderboard cannot be proved: no table is bound to earnings. It is not shown; that is not zero.",
        ),
        (
            board(ledger_rows=0),
            "Leaderboard cannot be proved: the ledger of earnings has no row. It is not shown; that is not zero.",
        ),
        (
            board(ledger_rows=0, users_shown=0, state="unknown"),
            "Leaderboard: the ledger of earnings has no row; nothing is shown, and nothing is wrong.",
        ),
        (
            board(users_shown=20, counts={"phantom": 11}),
            (
                "Leaderboard: 11 of 20 shown users have no earnings at all; the ledger is likelier to be lost than "
                "they to be false."
            ),
        ),
    ],
    ids=["unbound", "no ledger", "nothing shown", "a lost ledger"],
)
def test_a_leaderboard_without_a_proof_has_one_sentence(facts: LeaderboardFacts, sentence: str) -> None:
    assert [reason.text for reason in of_board(facts)] == [sentence]


def test_what_is_seen_and_not_judged_is_told() -> None:
    assert reasons_beside(facts_of()) == ()
    others, future = reasons_beside(
        facts_of(board(future_rows=1), future_rows=2, other_counters=("visitors", "likes"))
    )
    assert others.text == "No ledger belongs to these counters, so they are left alone: visitors, likes."
    assert future.text == "3 rows of the ledgers are dated in the future and not counted."


@pytest.mark.parametrize(
    ("judgements", "sentence"),
    [
        ([verdict(Verdict.VERIFIED)], "Leaderboard and airdrop counters are true."),
        (
            [verdict(Verdict.VERIFIED, is_changed=True)],
            "Leaderboard and airdrop counters are true and brought up to date.",
        ),
        ([verdict(Verdict.REPAIRED), verdict(Verdict.VERIFIED)], "1 counter repaired."),
        (
            [verdict(Verdict.REPAIRED), verdict(Verdict.REPAIRED), verdict(Verdict.HIDDEN)],
            "2 counters repaired, 1 hidden.",
        ),
        ([verdict(Verdict.UNKNOWN)], "1 counter not provable yet."),
    ],
)
def test_the_headline_counts_each_verdict(judgements: list[Judgement], sentence: str) -> None:
    assert headline(judgements) == sentence


@pytest.mark.parametrize(
    ("judgements", "begins"),
    [
        ([verdict(Verdict.UNKNOWN), verdict(Verdict.HIDDEN, is_large=True)], "Bring the ledger back"),
        (
            [verdict(Verdict.UNKNOWN), verdict(Verdict.REPAIRED, is_large=True)],
            "Find what writes past the ledger",
        ),
        ([verdict(Verdict.UNKNOWN), verdict(Verdict.REPAIRED)], "Bind the tables"),
    ],
)
def test_the_most_pressing_step_is_the_next(judgements: list[Judgement], begins: str) -> None:
    assert next_step(judgements).startswith(begins)


def test_there_is_no_next_step_where_all_is_well() -> None:
    assert next_step([verdict(Verdict.VERIFIED), verdict(Verdict.REPAIRED)]) == ""
