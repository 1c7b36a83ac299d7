"""What forbids believing the numbers: nothing is switched, and the sentence says why."""

from __future__ import annotations

from datetime import timedelta

from app.post_audit.step import Outcome
from app.post_audit.steps.conversions.decide import decide
from app.post_audit.steps.conversions.facts import Block, Counts
from tests.unit.steps.conversions.examples import (
    AS_OF,
    CLEAR,
    POLICY,
    MakeExperiment,
    MakeFacts,
    codes,
    numbers,
    words,
)


def test_totals_that_contradict_the_hours_need_a_person(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    blocks = tuple(
        Block(
            hour=AS_OF - timedelta(hours=90 - epoch),
            epoch=epoch,
            counts={
                "variant_a": Counts(units=a[0], converted=a[1]),
                "variant_b": Counts(units=b[0], converted=b[1]),
            },
        )
        for epoch, a, b in [(1, (20_000, 1_600), (1_000, 110)), (2, (10_000, 370), (20_000, 940))]
    )
    decision = decide(make_facts(make_experiment(blocks=blocks)), POLICY)
    assert decision.outcome is Outcome.BLOCKED
    assert decision.headline == "Nothing switched: totals and hours disagree."
    assert words(decision) == (
        "Invite message: within the same hours 50 Inquiries Focus is better, yet its total of 5.00 % is not"
        " above the 6.57 % of Rs 5,000 Credit Airdrop; a person has to look."
    )


def test_shares_that_are_not_kept_block_and_are_told(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    shares = {"variant_a": 5_000, "variant_b": 5_000}
    skewed = make_experiment(
        CLEAR,
        assigned={1: {"variant_a": 5_000, "variant_b": 6_000}, 2: {"variant_a": 9, "variant_b": 1}},
        epoch_allocations={1: shares},
    )
    decision = decide(make_facts(skewed), POLICY)
    assert (decision.outcome, codes(decision)) == (Outcome.BLOCKED, ["mismatch"])
    assert decision.headline == "Nothing switched: shares are not kept."
    assert "Rs 5,000 Credit Airdrop got 5,000 suppliers where 5,500 were due" in words(decision)
    assert numbers(decision)["word"] == "blocked: shares are not kept"
    kept = make_experiment(
        CLEAR, assigned={1: {"variant_a": 6_000, "variant_b": 6_010}}, epoch_allocations={1: shares}
    )
    assert decide(make_facts(kept), POLICY).outcome is Outcome.ACT


def test_shares_are_judged_before_anybody_is_mature(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    young = make_experiment(
        {"variant_a": (0, 0), "variant_b": (0, 0)},
        immature={"variant_a": 5_000, "variant_b": 6_000},
        assigned={1: {"variant_a": 5_000, "variant_b": 6_000}},
        epoch_allocations={1: {"variant_a": 5_000, "variant_b": 5_000}},
    )
    assert codes(decide(make_facts(young), POLICY)) == ["mismatch"]


def test_several_messages_to_one_supplier_block(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    assigned = {1: {"variant_a": 6_000, "variant_b": 6_000}}
    decision = decide(make_facts(make_experiment(CLEAR, assigned=assigned, exposed_to_several=121)), POLICY)
    assert (decision.outcome, codes(decision)) == (Outcome.BLOCKED, ["exposed"])
    assert "121 of 12,000 suppliers got several messages; the rule allows 1.00 % of them." in words(decision)
    fine = make_experiment(CLEAR, assigned=assigned, exposed_to_several=120)
    assert decide(make_facts(fine), POLICY).outcome is Outcome.ACT


def test_stale_data_block(make_facts: MakeFacts, make_experiment: MakeExperiment) -> None:
    stale = make_experiment(CLEAR, last_invite_at=AS_OF - timedelta(hours=49))
    decision = decide(make_facts(stale), POLICY)
    assert (decision.outcome, codes(decision)) == (Outcome.BLOCKED, ["stale"])
    assert decision.headline == "Nothing switched: no new invites."
    assert "nobody new was invited since 7 Nov, 13:30 IST" in words(decision)
