"""Two independent strong families quarantine, one asks a person; and real suppliers survive."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.fake_data.evidence import Verdict, judge
from app.post_audit.steps.fake_data.facts import Supplier
from app.post_audit.steps.fake_data.policy import FakeDataPolicy
from app.post_audit.steps.fake_data.signals import Weight

POLICY = FakeDataPolicy()
NAMES = Path(__file__).parents[6] / "shared/data/suppliers/real_organisation_names.csv"

SIGNS: dict[str, dict[str, str]] = {
    "identity": {"gstin": "09ABCDE541227X1Z4"},
    "naming": {"name": "Mock Supplier 12"},
    "contact": {"email": "mail@example.com"},
    "provenance": {"seed": "name_email"},
}


@pytest.mark.parametrize("first", SIGNS)
@pytest.mark.parametrize("second", SIGNS)
def test_two_families_quarantine_and_one_does_not(first: str, second: str) -> None:
    expected = Verdict.REVIEW if first == second else Verdict.QUARANTINE
    assert judge(Supplier(**SIGNS[first] | SIGNS[second]), POLICY).verdict is expected


def test_two_signs_of_one_family_are_one() -> None:
    supplier = Supplier(email="mail@example.com", phone="9999999999", website="shop.test")
    judgement = judge(supplier, POLICY)
    assert (judgement.verdict, len(judgement.evidence)) == (Verdict.REVIEW, 3)


def test_a_registered_row_with_both_contacts_is_enough() -> None:
    assert judge(Supplier(seed="name_email_phone"), POLICY).verdict is Verdict.QUARANTINE


@pytest.mark.parametrize(
    ("supplier", "verdict"),
    [
        (Supplier(phone="+91 58971 28659"), Verdict.KEEP),
        (Supplier(city="Pune", state="Kerala"), Verdict.KEEP),
        (Supplier(phone="+91 58971 28659", city="Pune", state="Kerala"), Verdict.REVIEW),
        (
            Supplier(phone="+91 58971 28659", city="Pune", state="Kerala", name="Test Company", seed="name"),
            Verdict.REVIEW,
        ),
        (
            Supplier(email="mail@example.com", phone="+91 58971 28659", city="Pune", state="Kerala"),
            Verdict.REVIEW,
        ),
    ],
)
def test_weak_signs_lead_no_further_than_to_a_person(supplier: Supplier, verdict: Verdict) -> None:
    assert judge(supplier, POLICY).verdict is verdict


@pytest.mark.parametrize(
    "name",
    ["Test Valley Ltd", "Demo Technologies", "Sample Tools", "Mock & Co", "Testo India", "Dummy Engineering"],
)
@pytest.mark.parametrize("email", ["sales@firm.in", "mail@example.com"])
@pytest.mark.parametrize("phone", ["+91 98200 12345", "9.1E+11", "910000000000", "91E10"])
def test_real_firms_that_sound_like_tests_survive(name: str, email: str, phone: str) -> None:
    supplier = Supplier(
        name=name, email=email, phone=phone, city="Pune", state="Maharashtra", gstin="27AAPFU0939F1ZV"
    )
    verdict = judge(supplier, POLICY).verdict
    assert verdict is (Verdict.REVIEW if "example" in email else Verdict.KEEP)


@given(
    st.builds(
        Supplier,
        name=st.sampled_from(["", "Gupta Mills", "Mock Supplier 12", "Test Company"]),
        email=st.sampled_from(["", "a@gupta.in", "a@example.com"]),
        phone=st.sampled_from(["", "9999999999", "+91 58971 28659"]),
        state=st.sampled_from(["", "Kerala", "Maharashtra"]),
        city=st.sampled_from(["", "Pune"]),
        gstin=st.sampled_from(["", "27AAPFU0939F1ZV", "27AAPFU0939F1ZX", "27AAPFU0939F1Z"]),
        seed=st.sampled_from(["", "name", "name_email"]),
    )
)
def test_quarantine_always_shows_two_strong_families(supplier: Supplier) -> None:
    judgement = judge(supplier, POLICY)
    strong = {item.family for item in judgement.evidence if item.weight > Weight.WEAK}
    assert (judgement.verdict is Verdict.QUARANTINE) == (len(strong) >= 2)
    assert (judgement.verdict is Verdict.KEEP) <= (not strong)


@pytest.mark.skipif(
    not NAMES.is_file(), reason="the public list of organisations (../shared/data) is not here"
)
def test_no_real_organisation_is_quarantined() -> None:
    with NAMES.open(encoding="utf-8", newline="") as file:
        suppliers = [Supplier(name=r["name"], city=r["city"], state=r["state"]) for r in csv.DictReader(file)]
    verdicts = [judge(supplier, POLICY).verdict for supplier in suppliers]
    assert len(verdicts) > 2_000
    assert set(verdicts) == {Verdict.KEEP}
