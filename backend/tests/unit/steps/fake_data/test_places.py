from __future__ import annotations

import pytest

from app.post_audit.steps.fake_data.places import codes_of_state, place_evidence
from app.post_audit.steps.fake_data.signals import Weight


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        ("Maharashtra", {"27"}),
        ("Orissa", {"21"}),
        ("Jammu & Kashmir", {"01"}),
        ("Jammu and Kashmir", {"01"}),
        ("Andaman and Nicobar Islands", {"35"}),
        ("TN", {"33"}),
        ("Ladakh", {"01", "38"}),
        ("", set()),
        ("Bavaria", set()),
    ],
)
def test_a_state_is_known_by_its_names(state: str, codes: set[str]) -> None:
    assert codes_of_state(state) == codes


@pytest.mark.parametrize(
    ("city", "state", "differs"),
    [
        ("Pune", "Maharashtra", False),
        ("Pune ", "Kerala", True),
        ("Hyderabad", "Andhra Pradesh", False),
        ("Aurangabad", "Bihar", False),
        ("Pune", "", False),
        ("", "Kerala", False),
    ],
)
def test_a_large_city_in_another_state_is_a_weak_sign(city: str, state: str, *, differs: bool) -> None:
    found = place_evidence(city, state)
    assert [(item.signal, item.weight) for item in found] == (
        [("city_other_state", Weight.WEAK)] if differs else []
    )
