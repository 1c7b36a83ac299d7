"""The marketplace as a whole: the same for the same seed, and all of a piece."""

from __future__ import annotations

import pytest

from app.post_audit.demonstration.market import DEFAULT_SEED, Market, generate
from app.post_audit.demonstration.tables import AS_OF, NOW, iso

SUPPLIER_COLUMNS = (
    "public.invites_ab_test",
    "public.claim_airdrop_log",
    "public.invites_sent",
    "post_audit.opt_out_log",
    "post_audit.earnings_ledger",
)


def test_one_seed_makes_one_marketplace_to_the_byte(market: Market) -> None:
    assert market.seed == DEFAULT_SEED
    assert market.digest() == generate(DEFAULT_SEED).digest()


def test_another_seed_makes_another_marketplace(market: Market) -> None:
    assert market.digest() != generate(DEFAULT_SEED + 1).digest()


def test_ids_count_from_one(market: Market) -> None:
    for table in market.tables:
        if "id" in table.columns:
            assert table.column("id") == tuple(range(1, len(table.rows) + 1)), table.relation


@pytest.mark.parametrize("relation", SUPPLIER_COLUMNS)
def test_what_hangs_on_a_supplier_hangs_on_one_that_is_there(market: Market, relation: str) -> None:
    suppliers = set(market.table("public.suppliers").column("id"))
    assert set(market.table(relation).column("supplier_id")) <= suppliers


def test_nothing_is_dated_later_than_its_clock(market: Market) -> None:
    assert market.as_of == AS_OF
    for table in market.tables:
        for name in table.columns:
            if name.endswith("_at"):
                assert max((str(moment) for moment in table.column(name) if moment), default="") <= iso(NOW)


def test_a_subject_has_one_label_of_a_kind_and_is_there(market: Market) -> None:
    labels = [(label.kind, label.subject) for label in market.labels]
    assert len(set(labels)) == len(labels)
    there = {
        *(f"supplier:{number}" for number in market.table("public.suppliers").column("id")),
        *(f"bug:{number}" for number in market.table("public.bugs").column("id")),
        *(
            f"counter:{name}"
            for name in market.table("public.leaderboard_tickertape_views").column("counter")
        ),
        *(f"leaderboard:{user}" for user in market.table("public.earnings_leaderboard").column("user_id")),
        *(f"leaderboard:{user}" for user in market.table("post_audit.earnings_ledger").column("user_id")),
        *(f"experiment:{number}" for number in market.table("public.ab_test_config").column("id")),
        *(f"capacity:{name}" for name in market.table("public.infrastructure_config").column("channel")),
    }
    assert {subject for _, subject in labels} <= there


def test_who_has_a_verified_claim_is_claimed(market: Market) -> None:
    claims, suppliers = market.table("public.claim_airdrop_log"), market.table("public.suppliers")
    status = dict(zip(suppliers.column("id"), suppliers.column("claim_status"), strict=True))
    for supplier, state in zip(claims.column("supplier_id"), claims.column("status"), strict=True):
        assert (
            status[supplier]
            == {"verified": "claimed", "pending": "pending", "rejected": "unclaimed"}[str(state)]
        )
