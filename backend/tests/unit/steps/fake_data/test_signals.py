from __future__ import annotations

from app.post_audit.steps.fake_data.signals import Evidence, Family, Weight


def test_a_weak_sign_counts_for_no_family_and_a_sign_is_strong_unless_it_says_otherwise() -> None:
    assert [int(weight) for weight in Weight] == [0, 1, 2]
    assert Evidence(family=Family.PLACE, signal="x", detail="y").weight is Weight.ONE
