from __future__ import annotations

import pytest

from app.post_audit.steps.fake_data.facts import Supplier
from app.post_audit.steps.fake_data.provenance import SeedRows, provenance_evidence
from app.post_audit.steps.fake_data.signals import Weight

SEEDS = SeedRows(
    [
        Supplier(name="Modern Foods Ltd.", email="ravi@modernfoods.in", phone="+91 98200 12345"),
        Supplier(name="Modern Foods Ltd", email="other@modernfoods.in"),
        Supplier(name=""),
    ]
)


@pytest.mark.parametrize(
    ("supplier", "match"),
    [
        (
            Supplier(name="MODERN foods-ltd", email=" RAVI@modernfoods.in", phone="098200-12345"),
            "name_email_phone",
        ),
        (Supplier(name="Modern Foods Ltd", email="other@modernfoods.in", phone="9820099999"), "name_email"),
        (Supplier(name="Modern Foods Ltd", phone="9820012345"), "name_phone"),
        (Supplier(name="Modern Foods Ltd", email="", phone="12"), "name"),
        (Supplier(name="Modern Food", email="ravi@modernfoods.in", phone="9820012345"), ""),
        (Supplier(name="--"), ""),
    ],
)
def test_the_row_that_agrees_most_is_matched(supplier: Supplier, match: str) -> None:
    assert SEEDS.match(supplier) == match


@pytest.mark.parametrize(
    ("seed", "weight"),
    [
        ("name", Weight.WEAK),
        ("name_email", Weight.ONE),
        ("name_phone", Weight.ONE),
        ("name_email_phone", Weight.TWO),
    ],
)
def test_only_both_contacts_count_for_two(seed: str, weight: Weight) -> None:
    assert [item.weight for item in provenance_evidence(seed)] == [weight]


def test_no_match_is_no_sign() -> None:
    assert provenance_evidence("") == ()
