"""A message that does harm is stopped, a winner that wore out is reverted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from app.post_audit.step import Outcome
from app.post_audit.steps.conversions.decide import decide
from app.post_audit.steps.conversions.facts import Experiment, Hold
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


def harmful(experiment: Experiment, **events: tuple[int, int]) -> Experiment:
    """Give one event in each block per variant: {variant: (opt_outs, failed)}."""
    return replace(
        experiment,
        blocks=tuple(
            replace(
                block,
                counts={
                    name: replace(counts, opt_outs=events[name][0], failed=events[name][1])
                    for name, counts in block.counts.items()
                },
            )
            for block in experiment.blocks
        ),
    )


def test_a_harmful_message_is_stopped_though_it_converts(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    experiment = harmful(
        make_experiment(CLEAR, active_variant="variant_b", winner="variant_b"),
        variant_a=(2, 0),
        variant_b=(12, 0),
    )
    decision = decide(make_facts(experiment), POLICY)
    assert decision.headline == "50 Inquiries Focus is stopped: it does harm."
    assert "opt-outs for 50 Inquiries Focus are 2.00 %, 0.33 % for the rest" in words(decision)
    after = decision.changes[0].after
    assert after == {
        "active_variant": "variant_a",
        "winner": None,
        "allocation_basis_points": {"variant_a": 10_000, "variant_b": 0},
        "allocation_epoch": 2,
    }
    done = replace(
        experiment,
        active_variant="variant_a",
        winner=None,
        allocation_basis_points={"variant_a": 10_000, "variant_b": 0},
    )
    assert decide(make_facts(done), POLICY).outcome is Outcome.NOTHING
    kept = Hold(subject="experiment:1", undone=after, until=AS_OF + timedelta(days=1), decision_id=2)
    assert decide(make_facts(experiment, holds=(kept,)), POLICY).outcome is Outcome.NOTHING


def test_the_rest_keeps_its_shares_where_one_of_three_is_stopped(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    shares = {"variant_a": 2_000, "variant_b": 4_000, "variant_c": 4_000}
    totals = dict.fromkeys(shares, (6000, 240))
    experiment = harmful(
        make_experiment(totals, allocation_basis_points=shares, winner="variant_a"),
        variant_a=(0, 1),
        variant_b=(0, 1),
        variant_c=(0, 14),
    )
    after = decide(make_facts(experiment), POLICY).changes[0].after
    assert (after["active_variant"], after["winner"]) == ("variant_a", "variant_a")
    assert after["allocation_basis_points"] == {"variant_a": 3_334, "variant_b": 6_666, "variant_c": 0}


def test_where_each_does_harm_the_best_one_goes_on(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    experiment = harmful(
        make_experiment(CLEAR, allocation_basis_points={}), variant_a=(14, 1), variant_b=(1, 14)
    )
    after = decide(make_facts(experiment), POLICY).changes[0].after
    assert after["active_variant"] == "variant_a" or after["active_variant"] == "variant_b"
    assert after["allocation_basis_points"] == {"variant_a": 0, "variant_b": 10_000}


def worn(make_experiment: MakeExperiment, **fields: object) -> Experiment:
    """B won in the first epoch, and is behind in the second."""
    before = make_experiment(CLEAR).blocks
    after = tuple(
        replace(block, epoch=2)
        for block in make_experiment({"variant_a": (1_000, 80), "variant_b": (19_000, 760)}).blocks
    )
    settings: dict[str, Any] = {
        "blocks": before + after,
        "active_variant": "variant_b",
        "winner": "variant_b",
        "allocation_basis_points": {"variant_a": 500, "variant_b": 9_500},
        "allocation_epoch": 2,
    }
    return make_experiment(CLEAR, **(settings | fields))


def test_a_winner_that_wore_out_is_reverted(make_facts: MakeFacts, make_experiment: MakeExperiment) -> None:
    experiment = worn(make_experiment)
    decision = decide(make_facts(experiment), POLICY)
    assert decision.headline == "Rs 5,000 Credit Airdrop becomes active again: the winner wore out."
    assert codes(decision) == ["worn"]
    assert "brings 4.00 % (760 of 19,000)" in words(decision)
    assert "8.00 % (80 of 1,000)" in words(decision)
    after = decision.changes[0].after
    assert after == {
        "active_variant": "variant_a",
        "winner": None,
        "allocation_basis_points": {"variant_a": 5_000, "variant_b": 5_000},
        "allocation_epoch": 3,
    }
    hold = Hold(subject="experiment:1", undone=after, until=AS_OF + timedelta(days=1), decision_id=2)
    held = decide(make_facts(experiment, holds=(hold,)), POLICY)
    assert (held.outcome, codes(held)) == (Outcome.BLOCKED, ["held", "worn"])
    fresh = worn(
        make_experiment, active_variant="variant_a", winner=None, allocation_epoch=3, judged_from_epoch=2
    )
    again = decide(make_facts(fresh), POLICY)
    assert numbers(again)["word"] in {"reverted", "ready to switch"}


def test_a_winner_that_holds_tells_what_it_brought(
    make_facts: MakeFacts, make_experiment: MakeExperiment
) -> None:
    before = make_experiment(CLEAR).blocks
    later = before
    for after, more in (((19_000, 1_330), "more"), ((100, 7), "")):
        later = make_experiment({"variant_a": (1_000, 40), "variant_b": after}).blocks
        blocks = before + tuple(replace(block, epoch=2) for block in later)
        decision = decide(make_facts(worn(make_experiment, blocks=blocks)), POLICY)
        assert codes(decision)[:3] == ["already", "rates", "evidence"]
        assert not more or f"conversions {more} than even ones" in words(decision)
    gained = worn(make_experiment, blocks=(*before, *(replace(b, epoch=2) for b in later)))
    assert "conversions less than even ones" in words(decide(make_facts(gained), POLICY))
