"""What is shown agrees with the ledger, but for the planted errors."""

from __future__ import annotations

from collections import Counter

from app.post_audit.demonstration.market import Market


def ledger_totals(market: Market) -> Counter[str]:
    ledger = market.table("post_audit.earnings_ledger")
    totals: Counter[str] = Counter()
    for user, amount in zip(ledger.column("user_id"), ledger.column("amount_paise"), strict=True):
        totals[str(user)] += int(amount or 0)
    return totals


def labels(market: Market, kind: str) -> dict[str, str]:
    return {label.subject.partition(":")[2]: label.truth for label in market.labels if label.kind == kind}


def test_just_the_planted_totals_are_wrong(market: Market) -> None:
    board = market.table("public.earnings_leaderboard")
    shown = dict(zip(board.column("user_id"), board.column("total_paise"), strict=True))
    totals = ledger_totals(market)
    wrong = {str(user) for user in {*shown, *totals} if shown.get(user) != totals.get(str(user))}
    planted = labels(market, "leaderboard")
    assert wrong == set(planted)
    assert {user: int(truth) for user, truth in planted.items()} == {user: totals[user] for user in planted}


def test_one_is_a_phantom_one_is_missing_and_two_are_swapped(market: Market) -> None:
    board = market.table("public.earnings_leaderboard")
    shown = dict(zip(board.column("user_id"), board.column("total_paise"), strict=True))
    planted = labels(market, "leaderboard")
    totals = ledger_totals(market)
    assert sum(user not in totals for user in planted) == 1
    assert sum(user not in shown for user in planted) == 1
    swapped = [
        user
        for user in planted
        if any(shown.get(user) == totals[other] for other in planted if other != user)
    ]
    assert len(swapped) == 2


def test_the_number_of_claims_is_true_and_their_value_is_not(market: Market) -> None:
    claims = market.table("public.claim_airdrop_log")
    counters = market.table("public.leaderboard_tickertape_views")
    shown = dict(zip(counters.column("counter"), counters.column("shown_value"), strict=True))
    shown_at = str(counters.column("shown_at")[0])
    verified = [
        (int(amount or 0), str(at))
        for amount, at in zip(claims.column("amount_paise"), claims.column("verified_at"), strict=True)
        if at is not None
    ]
    assert shown["airdrop_claims"] == sum(at <= shown_at for _, at in verified)
    value = sum(amount for amount, _ in verified)
    assert labels(market, "counter") == {"airdrop_paise": str(value)}
    assert int(shown["airdrop_paise"] or 0) > value


def test_airdrops_of_the_ledger_are_those_of_the_claims(market: Market) -> None:
    claims, ledger = market.table("public.claim_airdrop_log"), market.table("post_audit.earnings_ledger")
    gifts = Counter(
        row[claims.columns.index("claimed_by")]
        for row in claims.rows
        if row[claims.columns.index("verified_at")] and row[claims.columns.index("amount_paise")]
    )
    paid = Counter(
        row[ledger.columns.index("user_id")]
        for row in ledger.rows
        if row[ledger.columns.index("benefit_type")] == "airdrop"
    )
    assert gifts == paid
