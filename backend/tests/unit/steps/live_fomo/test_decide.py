"""Each verdict, each reason for it, and what no decision may ever do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.step import Channel, Decision, Outcome
from app.post_audit.steps.live_fomo.decide import decide
from app.post_audit.steps.live_fomo.facts import Hold, LeaderboardFacts, RowDifference, State
from tests.unit.steps.live_fomo.examples import AS_OF, POLICY, board, counter, facts_of, row


def judge(*args: Any, **airdrop: Any) -> Decision:  # noqa: ANN401 - as facts_of
    return decide(facts_of(*args, **airdrop), POLICY)


def codes(decision: Decision) -> list[str]:
    return [reason.code.removeprefix("live_fomo.") for reason in decision.reasons]


def verdicts(decision: Decision) -> dict[str, str]:
    evidence: Any = decision.numbers["counters"]
    return {entry["counter"]: entry["verdict"] for entry in evidence}


def of_claims(**fields: Any) -> Decision:  # noqa: ANN401 - any field
    return judge(None, counter(**fields), counter("airdrop_paise"))


def test_true_counters_are_verified_and_left_alone() -> None:
    decision = judge()
    assert decision.outcome is Outcome.NOTHING
    assert decision.headline == "Leaderboard and airdrop counters are true."
    assert set(verdicts(decision).values()) == {"verified"}
    assert (decision.changes, decision.messages, decision.final_because, decision.next) == ((), (), "", "")
    assert [reason.text for reason in decision.reasons] == [
        "Leaderboard: the totals of 10 users are ₹16,500; 30 earnings give ₹16,500, each to its user.",
        "Airdrop claims shows 8; 8 verified claims give 8.",
        "Airdrop value shows ₹40,000; 8 verified claims give ₹40,000.",
    ]


def test_a_false_counter_is_repaired_for_good() -> None:
    decision = of_claims(shown_value=500)
    assert decision.headline == "1 counter repaired."
    assert codes(decision)[1] == "false_counter"
    (change,) = decision.changes
    assert change.subject == "counter:airdrop_claims"
    assert change.before == {"shown_value": 500, "state": "verified", "version": 3}
    assert (change.after["shown_value"], change.after["state"]) == (8, "repaired")
    assert decision.independent
    assert "false number" in decision.final_because


@pytest.mark.parametrize(
    ("shown", "is_told_at_once"),
    [(1000, False), (1050, False), (951, True), (1060, True)],
)
def test_people_are_told_at_once_of_more_than_five_percent(shown: int, is_told_at_once: bool) -> None:
    (message,) = of_claims(shown_value=shown, recomputed=1002 if shown == 1000 else 1000).messages
    assert (message.channel, message.alert) == (Channel.TELEGRAM, is_told_at_once)


def test_people_are_told_at_once_of_more_than_fifty_thousand_rupees() -> None:
    shown = 10_000_000_000
    for difference, is_large in ((5_000_000, False), (5_000_001, True)):
        money = counter("airdrop_paise", shown_value=shown, recomputed=shown - difference)
        assert judge(None, counter(), money).messages[0].alert is is_large


def test_a_counter_that_stopped_is_told_from_a_late_one() -> None:
    since = AS_OF - timedelta(hours=1)
    stopped = of_claims(shown_value=7, missing_since=since, shown_at=AS_OF - timedelta(hours=5))
    assert (codes(stopped)[1], verdicts(stopped)["airdrop_claims"]) == ("stuck", "repaired")
    late = of_claims(shown_value=7, missing_since=since, shown_at=AS_OF - timedelta(hours=3))
    assert (codes(late)[1], verdicts(late)["airdrop_claims"]) == ("behind", "verified")
    assert late.headline == "Leaderboard and airdrop counters are true and brought up to date."
    assert late.changes[0].after["shown_value"] == 8
    assert late.messages == ()


def test_a_counter_without_a_time_is_false_and_not_late() -> None:
    assert (
        codes(of_claims(shown_value=7, missing_since=AS_OF, shown_at=None, state="unknown"))[1]
        == "false_counter"
    )


def test_a_claim_of_this_second_is_left_to_the_marketplace() -> None:
    decision = of_claims(shown_value=7, missing_since=AS_OF)
    assert (codes(decision)[1], decision.outcome) == ("behind", Outcome.NOTHING)


@pytest.mark.parametrize("state", ["unknown", "hidden"])
@pytest.mark.parametrize("shown", [None, 8])
def test_what_can_be_proved_is_shown(state: State, shown: int | None) -> None:
    decision = of_claims(shown_value=shown, state=state)
    assert (codes(decision)[1], verdicts(decision)["airdrop_claims"]) == ("first_shown", "verified")
    assert (decision.changes[0].after["shown_value"], decision.changes[0].after["state"]) == (8, "verified")


@pytest.mark.parametrize(
    ("airdrop", "said"),
    [
        ({"source": "unbound", "problem": "no table is bound to claims"}, "no table is bound to claims"),
        ({"claims": 0}, "the ledger of claims has no row"),
        ({"without_amount": 2}, "2 verified claims have no amount"),
    ],
)
def test_a_missing_source_hides_what_is_shown(airdrop: dict[str, Any], said: str) -> None:
    decision = judge(None, counter(recomputed=None), counter("airdrop_paise"), **airdrop)
    assert said in decision.reasons[1].text
    (change,) = decision.changes
    assert (change.after["shown_value"], change.after["state"]) == (None, "hidden")
    assert decision.messages[0].alert
    assert decision.headline == "1 counter hidden."
    assert decision.next.startswith("Bring the ledger back")


def test_a_missing_source_leaves_alone_what_is_hidden_blank_or_read_only() -> None:
    hidden = of_claims(recomputed=None, shown_value=None, state="hidden")
    assert (hidden.outcome, hidden.changes, verdicts(hidden)["airdrop_claims"]) == (
        Outcome.UNKNOWN,
        (),
        "hidden",
    )
    blank = of_claims(recomputed=None, shown_value=None, state="unknown")
    assert (blank.outcome, codes(blank)[1], verdicts(blank)["airdrop_claims"]) == (
        Outcome.UNKNOWN,
        "nothing_shown",
        "unknown",
    )
    assert blank.headline == "1 counter not provable yet."
    assert blank.next.startswith("Bind the tables")
    read_only = of_claims(recomputed=None, is_writable=False)
    assert (read_only.changes, verdicts(read_only)["airdrop_claims"]) == ((), "hidden")


def test_a_false_number_that_cannot_be_written_is_not_proved() -> None:
    decision = of_claims(shown_value=500, is_writable=False)
    assert (codes(decision)[1], verdicts(decision)["airdrop_claims"], decision.changes) == (
        "not_writable",
        "hidden",
        (),
    )


def test_a_declined_repair_rests_until_the_ledger_says_something_else() -> None:
    hold = Hold(
        undone={"shown_value": 8, "state": "repaired"}, until=AS_OF + timedelta(days=2), decision_id=4
    )
    declined = of_claims(shown_value=500, hold=hold)
    assert (codes(declined)[1], declined.changes, verdicts(declined)["airdrop_claims"]) == (
        "declined",
        (),
        "hidden",
    )
    assert of_claims(shown_value=500, hold=replace(hold, undone={"shown_value": 7})).changes


def test_counters_without_a_row_are_named() -> None:
    decision = judge(None, counter(), other_counters=("visitors",))
    assert verdicts(decision)["airdrop_paise"] == "unknown"
    assert "no row shows it" in decision.reasons[2].text
    assert decision.reasons[3].text.endswith("left alone: visitors.")
    unbound = decide(
        replace(
            facts_of(),
            airdrop=replace(
                facts_of().airdrop,
                display="unbound",
                display_problem="no table is bound to airdrop",
                counters=(),
            ),
        ),
        POLICY,
    )
    assert verdicts(unbound) == {
        "leaderboard": "verified",
        "airdrop_claims": "unknown",
        "airdrop_paise": "unknown",
    }
    assert "no table is bound to airdrop" in unbound.reasons[1].text


def test_rows_of_the_future_are_told() -> None:
    assert judge(board(future_rows=1), future_rows=2).reasons[-1].text.startswith("3 rows")


@pytest.mark.parametrize(
    ("found", "said", "before", "after"),
    [
        (
            row(),
            "user_3 shows ₹900.01; 3 earnings give ₹900.",
            {"present": True, "total_paise": 90_001},
            {"present": True, "total_paise": 90_000},
        ),
        (
            row(kind="absent", is_shown=False, shown_paise=None),
            "user_3 is missing; 3 earnings give ₹900, place 8.",
            {"present": False},
            {"present": True, "total_paise": 90_000, "rank": 8},
        ),
        (
            row(
                kind="phantom", true_paise=0, true_reached_at=None, ledger_rows=0, shown_rank=2, true_rank=11
            ),
            "user_3 shows ₹900.01 and has no earnings at all.",
            {"present": True, "total_paise": 90_001, "rank": 2},
            {"present": True, "total_paise": 0, "rank": 11},
        ),
        (
            row(kind="rank", shown_paise=90_000, shown_rank=1),
            "user_3 shows rank 1; ₹900 is place 8.",
            {"present": True, "total_paise": 90_000, "rank": 1},
            {"present": True, "total_paise": 90_000, "rank": 8},
        ),
        (
            row(kind="order", shown_paise=90_000),
            "user_3 stands in the wrong place among equals; ₹900 is place 8.",
            {"present": True, "total_paise": 90_000},
            {"present": True, "total_paise": 90_000},
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, RowDifference) else "",
)
def test_each_kind_of_false_row_is_named_and_set_right(
    found: RowDifference, said: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    decision = judge(board(found, is_ranked=True))
    (change,) = decision.changes
    reached_at = found.true_reached_at.isoformat() if found.true_reached_at else None
    assert decision.reasons[1].text == said
    assert change.subject == "leaderboard:user_3"
    assert change.before == before
    assert change.after == {**after, "reached_at": reached_at}
    assert verdicts(decision)["leaderboard"] == "repaired"


def test_large_rows_are_told_at_once_and_small_ones_when_they_are_repaired() -> None:
    assert not judge(board(row())).messages[0].alert
    large = judge(board(row(shown_paise=900_000)))
    assert large.messages[0].alert
    assert large.next.startswith("Find what writes past the ledger")


def test_late_totals_are_brought_up_to_date_in_silence() -> None:
    late = row(shown_paise=60_000, missing_since=AS_OF - timedelta(hours=1))
    decision = judge(board(late))
    assert (codes(decision)[:2], decision.messages) == (["true_leaderboard", "late_leaderboard"], ())
    assert (verdicts(decision)["leaderboard"], len(decision.changes)) == ("verified", 1)
    stopped = judge(board(replace(late, missing_since=AS_OF - timedelta(hours=5))))
    assert verdicts(stopped)["leaderboard"] == "repaired"


def test_a_total_of_this_second_is_left_to_the_marketplace() -> None:
    decision = judge(
        board(row(missing_since=AS_OF), row("user_4", kind="absent", is_shown=False, missing_since=AS_OF))
    )
    assert (codes(decision)[1], decision.changes, verdicts(decision)["leaderboard"]) == (
        "settling",
        (),
        "verified",
    )


def test_shown_rows_that_stay_wrong_hide_the_leaderboard() -> None:
    hold = Hold(undone={"total_paise": 90_000}, until=AS_OF + timedelta(days=2), decision_id=4)
    declined = judge(board(row(hold=hold)))
    assert (codes(declined)[2], verdicts(declined)["leaderboard"]) == ("in_top", "hidden")
    assert [change.subject for change in declined.changes] == ["counter:leaderboard"]
    assert declined.messages[0].alert
    read_only = judge(board(row(), writable=frozenset()))
    assert [change.after for change in read_only.changes] == [{"state": "hidden"}]
    too_many = judge(board(row(), differences_in_top=2))
    assert verdicts(too_many)["leaderboard"] == "hidden"
    assert len(too_many.changes) == 2


def test_a_declined_row_that_nobody_sees_hides_nothing() -> None:
    hold = Hold(undone={"total_paise": 90_000}, until=AS_OF + timedelta(days=2), decision_id=4)
    decision = judge(board(row(hold=hold, is_in_top=False)))
    assert (verdicts(decision)["leaderboard"], decision.changes) == ("verified", ())


@pytest.mark.parametrize(
    ("facts", "code", "verdict"),
    [
        (board(source="unbound", problem="no table is bound to earnings"), "unprovable", "hidden"),
        (board(ledger_rows=0), "unprovable", "hidden"),
        (board(users_shown=20, counts={"phantom": 11}), "lost_ledger", "hidden"),
    ],
)
def test_a_missing_ledger_hides_the_leaderboard(facts: LeaderboardFacts, code: str, verdict: str) -> None:
    decision = judge(facts)
    assert (codes(decision)[0], verdicts(decision)["leaderboard"]) == (code, verdict)
    assert [change.subject for change in decision.changes] == ["counter:leaderboard"]
    assert decision.messages[0].alert
    again = judge(replace(facts, state="hidden"))
    assert (again.outcome, again.changes, again.messages) == (Outcome.UNKNOWN, (), ())


def test_some_phantoms_are_no_lost_ledger() -> None:
    few = [row(f"ghost_{n}", kind="phantom", is_in_top=False, true_paise=0) for n in range(10)]
    assert codes(judge(board(*few, users_shown=20)))[0] == "false_leaderboard"
    assert codes(judge(board(*few[:9], users_shown=10)))[0] == "false_leaderboard"


def test_an_empty_leaderboard_without_a_ledger_is_unknown() -> None:
    decision = judge(board(ledger_rows=0, users_shown=0, state="unknown"))
    assert (codes(decision)[0], verdicts(decision)["leaderboard"]) == ("nothing_shown", "unknown")
    assert decision.outcome is Outcome.UNKNOWN


def test_a_leaderboard_that_can_be_proved_is_shown_unless_that_was_declined() -> None:
    hidden = board(state="hidden")
    assert judge(hidden).changes[0].after == {"state": "verified"}
    hold = Hold(undone={"state": "verified"}, until=AS_OF + timedelta(days=2), decision_id=4)
    assert judge(replace(hidden, hold=hold)).changes == ()
    assert judge(replace(hidden, hold=replace(hold, undone={"state": "hidden"}))).changes


def test_the_headline_counts_each_verdict() -> None:
    decision = judge(
        board(row()), counter(shown_value=500), counter("airdrop_paise", recomputed=None), without_amount=1
    )
    assert decision.headline == "2 counters repaired, 1 hidden."


def test_a_decision_names_at_most_twenty_rows_and_changes_all() -> None:
    rows = [row(f"user_{n}") for n in range(30)]
    decision = judge(board(*rows, users_shown=40))
    assert sum(code == "total" for code in codes(decision)) == 20
    assert len(decision.changes) == 30
    assert str(decision.messages[0].payload["text"]).count("\n") == 12


@given(
    shown=st.none() | st.integers(0, 10**6),
    recomputed=st.none() | st.integers(0, 10**6),
    state=st.sampled_from(["verified", "repaired", "hidden", "unknown"]),
    missing_hours=st.none() | st.integers(0, 48),
    is_writable=st.booleans(),
)
def test_no_counter_is_ever_set_to_anything_but_the_truth_or_nothing(
    shown: int | None, recomputed: int | None, state: State, missing_hours: int | None, is_writable: bool
) -> None:
    missing_since = None if missing_hours is None else AS_OF - timedelta(hours=missing_hours)
    decision = of_claims(
        shown_value=shown,
        recomputed=recomputed,
        state=state,
        missing_since=missing_since,
        is_writable=is_writable,
    )
    for change in decision.changes:
        assert is_writable
        assert change.after["shown_value"] == recomputed
        assert (change.after["state"] == "hidden") == (recomputed is None)
    if verdicts(decision)["airdrop_claims"] in {"verified", "repaired"}:
        assert recomputed is not None
        assert decision.changes or state in {"verified", "repaired"}


@given(
    kinds=st.lists(st.sampled_from(["absent", "phantom", "total", "order", "rank"]), max_size=8),
    shown=st.integers(0, 10**9),
    true=st.integers(0, 10**9),
)
def test_every_row_is_set_to_its_ledger_and_none_is_removed(kinds: list[Any], shown: int, true: int) -> None:
    rows = [
        row(f"user_{n}", kind=kind, is_shown=kind != "absent", shown_paise=shown, true_paise=true)
        for n, kind in enumerate(kinds)
    ]
    decision = judge(board(*rows))
    assert len(decision.changes) == len(rows)
    assert all(change.after["present"] and change.after["total_paise"] == true for change in decision.changes)
