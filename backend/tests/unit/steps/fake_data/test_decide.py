"""What is moved, what waits, what is only shown; and that every sentence has its numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.codec import encode
from app.post_audit.step import Decision, Outcome
from app.post_audit.steps.fake_data.decide import decide
from app.post_audit.steps.fake_data.facts import FakeDataFacts, SupplierColumns
from app.post_audit.steps.fake_data.policy import FakeDataPolicy

AS_OF = datetime(2025, 11, 9, 6, 30, tzinfo=UTC)
POLICY = FakeDataPolicy()
ROOMY = FakeDataPolicy(approval_share=Decimal(1))
"""A policy under which a small table is no reason to wait."""


def facts(
    *,
    real: int = 0,
    fakes: int = 0,
    reviews: int = 0,
    claimed: int = 0,
    claims: int = 0,
    earnings: int = 0,
    held: int = 0,
    held_until: datetime = AS_OF + timedelta(days=7),
    **others: object,
) -> FakeDataFacts:
    """So many suppliers of each kind, in this order; the first fakes are claimed, have claims, earn, are held."""
    size = real + fakes + reviews
    is_fake = [False] * real + [True] * fakes + [False] * reviews
    place = [index - real if fake else size for index, fake in enumerate(is_fake)]
    columns = SupplierColumns(
        id=tuple(str(index + 1) for index in range(size)),
        name=tuple(f"Mock Supplier {i}" if fake else "Gupta Mills" for i, fake in enumerate(is_fake)),
        email=tuple("a@gupta.in" if i < real else "a@example.com" for i in range(size)),
        phone=(None,) * size,
        website=(None,) * size,
        city=(None,) * size,
        state=(None,) * size,
        gstin=(None,) * size,
        seed=(None,) * size,
        digest=tuple(f"d{index}" for index in range(size)),
        claims=tuple(2 if p < claims else 0 for p in place),
        earnings=tuple(3 if p < earnings else 0 for p in place),
        claimed=tuple(p < claimed for p in place),
        held_until=tuple(held_until if fakes - held <= p < fakes else None for p in place),
    )
    return replace(FakeDataFacts(as_of=AS_OF, suppliers=columns, quarantined=9, seeds=5), **others)  # type: ignore[arg-type]


def codes(decision: Decision) -> list[str]:
    return [reason.code.removeprefix("fake_data.") for reason in decision.reasons]


def test_no_supplier_at_all_is_unknown() -> None:
    decision = decide(facts(), POLICY)
    assert (decision.outcome, decision.headline) == (Outcome.UNKNOWN, "Suppliers cannot be judged.")
    assert codes(decision) == ["no_suppliers"]


def test_real_suppliers_are_left_alone() -> None:
    decision = decide(facts(real=10), POLICY)
    assert (decision.outcome, decision.headline, decision.next) == (
        Outcome.NOTHING,
        "Nothing quarantined.",
        "",
    )
    assert [reason.text for reason in decision.reasons] == [
        "None of 10 suppliers newly shows 2 independent signs of being invented."
    ]
    assert (decision.changes, decision.messages, decision.undo_messages) == ((), (), ())
    assert decision.numbers["keep"] == 10


def test_one_sign_is_for_a_person_to_look_at() -> None:
    decision = decide(facts(real=10, reviews=250), POLICY)
    assert (decision.outcome, decision.headline) == (Outcome.NOTHING, "Nothing quarantined; 250 to look at.")
    assert codes(decision) == ["none", "review"]
    assert decision.next.startswith("Look at the suppliers listed")
    reviews = decision.numbers["reviews"]
    assert isinstance(reviews, list)
    assert (decision.numbers["review"], len(reviews)) == (250, 200)
    assert reviews[0]["supplier"] == "11"


def test_two_signs_move_a_supplier_to_quarantine() -> None:
    decision = decide(facts(real=197, fakes=2, reviews=1), POLICY)
    assert (decision.outcome, decision.headline) == (Outcome.ACT, "2 suppliers moved to quarantine.")
    assert [reason.text for reason in decision.reasons] == [
        "2 of 200 suppliers show at least 2 independent signs of being invented.",
        "Most often: numbered name + reserved email domain (2 suppliers).",
        "1 of 200 suppliers shows fewer signs than 2: for a person to look at.",
    ]
    change = decision.changes[0]
    assert change.subject == "supplier:198"
    assert change.before == {"state": "live", "digest": "d197", "claims": 0, "earnings": 0}
    assert (change.after["state"], change.after["digest"]) == ("quarantined", "d197")
    assert change.needs_approval is None
    assert decision.independent
    assert decision.next.startswith("To bring one back")
    assert [(m.subject, m.alert) for m in decision.messages] == [("fake_data", False)]
    assert [m.subject for m in decision.undo_messages] == ["fake_data"]
    numbers = {name: value for name, value in decision.numbers.items() if name != "reviews"}
    assert numbers == {
        "suppliers": 200,
        "quarantine": 2,
        "waiting": 0,
        "held": 0,
        "review": 1,
        "keep": 197,
        "quarantined_before": 9,
        "seeds": 5,
        "share": 0.01,
        "approval_share": 0.01,
        "approval_rows": 500,
        "families": {"contact": 2, "naming": 2},
    }


@pytest.mark.parametrize("kind", ["claimed", "claims", "earnings"])
def test_claimed_and_paid_suppliers_wait(kind: str) -> None:
    decision = decide(facts(real=100, fakes=27, **{kind: 4}), ROOMY)  # type: ignore[arg-type]
    assert decision.headline == "23 suppliers moved to quarantine; 4 wait for you."
    assert codes(decision) == ["quarantine", "signs", "many_in_use"]
    assert [change.needs_approval is not None for change in decision.changes] == [True] * 4 + [False] * 23
    assert [(m.subject.partition(":")[0], m.alert) for m in decision.messages] == [
        ("fake_data", False),
        ("fake_data", True),
    ]
    assert decision.next.startswith("See them and agree")
    reason = decision.changes[0].needs_approval
    assert reason is not None
    assert reason.numbers == {"claims": 2 * (kind == "claims"), "earnings": 3 * (kind == "earnings")}


@pytest.mark.parametrize(
    ("real", "fakes", "code"),
    [
        (99, 1, None),
        (98, 2, "large_share"),
        (1_980, 20, None),
        (2_079, 21, "many_rows"),
        (10, 21, "many_rows"),
    ],
)
def test_an_unusual_amount_waits_as_a_whole(real: int, fakes: int, code: str | None) -> None:
    decision = decide(facts(real=real, fakes=fakes), FakeDataPolicy(approval_rows=20))
    asked = {change.needs_approval.code if change.needs_approval else None for change in decision.changes}
    assert asked == {f"fake_data.{code}" if code else None}
    assert decision.numbers["waiting"] == (fakes if code else 0)
    assert (code in codes(decision)) == (code is not None)


def test_the_share_is_told_with_its_limit() -> None:
    decision = decide(facts(real=98, fakes=2), POLICY)
    assert decision.headline == "2 suppliers wait for you before quarantine."
    told = next(reason for reason in decision.reasons if reason.code == "fake_data.large_share")
    assert (
        told.text
        == "2 of 100 suppliers are 2.0\N{NO-BREAK SPACE}%; above 1.0\N{NO-BREAK SPACE}% a person has to agree."
    )


def test_one_supplier_is_spoken_of_in_the_singular() -> None:
    assert decide(facts(fakes=1), POLICY).headline == "1 supplier waits for you before quarantine."
    assert (
        decide(facts(real=1, fakes=2, claims=1), ROOMY).headline
        == "1 supplier moved to quarantine; 1 waits for you."
    )


def test_reasons_speak_of_one_in_the_singular() -> None:
    decision = decide(facts(real=9, fakes=2, reviews=1, held=1), POLICY)
    assert [reason.text for reason in decision.reasons] == [
        "1 of 12 suppliers shows at least 2 independent signs of being invented.",
        "Most often: numbered name + reserved email domain (1 supplier).",
        "1 of 12 suppliers is 8.3\N{NO-BREAK SPACE}%; above 1.0\N{NO-BREAK SPACE}% a person has to agree.",
        "1 of 12 suppliers shows fewer signs than 2: for a person to look at.",
        "1 was restored or declined and has not changed since; the first hold ends 16 Nov, 12:00 IST.",
    ]
    in_use = decide(replace(facts(fakes=1), suppliers=_with_one_claim(facts(fakes=1))), ROOMY)
    reason = in_use.changes[0].needs_approval
    assert reason is not None
    assert (
        reason.text
        == "1 claim and 0 earnings hang on this supplier, or it is claimed: a person has to agree."
    )
    assert "1 of them is claimed or paid; those always wait for a person." in {r.text for r in in_use.reasons}


def _with_one_claim(seen: FakeDataFacts) -> SupplierColumns:
    return replace(seen.suppliers, claims=(1,))


def test_the_same_list_is_told_of_once_and_a_longer_one_again() -> None:
    known = decide(facts(real=10, fakes=2), POLICY).messages[0].subject
    assert decide(facts(real=10, fakes=2, alerted=frozenset({known})), POLICY).messages == ()
    assert len(decide(facts(real=10, fakes=3, alerted=frozenset({known})), POLICY).messages) == 1


def test_a_hold_is_respected_until_it_ends() -> None:
    decision = decide(facts(real=10, fakes=3, held=2), ROOMY)
    assert [change.subject for change in decision.changes] == ["supplier:11"]
    held = next(reason for reason in decision.reasons if reason.code == "fake_data.held")
    assert held.text == (
        "2 were restored or declined and have not changed since; the first hold ends 16 Nov, 12:00 IST."
    )
    assert decision.numbers["keep"] == 10
    assert decide(facts(real=10, fakes=3, held=3), ROOMY).outcome is Outcome.NOTHING
    assert len(decide(facts(real=10, fakes=3, held=3, held_until=AS_OF), ROOMY).changes) == 3


def test_what_could_not_come_back_is_not_taken() -> None:
    decision = decide(facts(real=10, fakes=3, obstacle="public.shown is not a table"), ROOMY)
    assert (decision.outcome, decision.headline) == (Outcome.BLOCKED, "3 suppliers cannot be quarantined.")
    assert (
        decision.reasons[0].text
        == "public.shown is not a table, so nothing could be brought back from quarantine."
    )
    assert decide(facts(real=10, obstacle="public.shown is not a table"), ROOMY).outcome is Outcome.NOTHING


@given(
    numbers=st.fixed_dictionaries(
        {
            "real": st.integers(0, 30),
            "fakes": st.integers(0, 30),
            "reviews": st.integers(0, 5),
            "claims": st.integers(0, 5),
            "held": st.integers(0, 5),
        }
    ),
    share=st.sampled_from([Decimal("0.01"), Decimal("0.5"), Decimal(1)]),
)
def test_nobody_in_use_and_no_unusual_amount_goes_unasked(numbers: dict[str, int], share: Decimal) -> None:
    seen = facts(**numbers)  # type: ignore[arg-type]
    policy = FakeDataPolicy(approval_share=share, approval_rows=20)
    decision = decide(seen, policy)
    assert decision == decide(seen, policy)
    assert encode(decision)
    assert len(decision.headline.split()) <= 12
    unasked = [change for change in decision.changes if change.needs_approval is None]
    assert all(change.before["claims"] == 0 for change in unasked)
    if unasked:
        assert len(decision.changes) <= 20
        assert len(decision.changes) <= share * len(seen.suppliers)
    assert len(decision.changes) == max(0, numbers["fakes"] - numbers["held"])
