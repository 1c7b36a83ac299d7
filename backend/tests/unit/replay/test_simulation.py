from __future__ import annotations

import pytest

from app.post_audit.errors import InputError
from app.post_audit.replay.conversions import with_alpha
from app.post_audit.replay.simulation import Traffic, simulate
from app.post_audit.steps.conversions.policy import ConversionsPolicy

POLICY = ConversionsPolicy()


def test_a_simulation_is_seeded_and_right() -> None:
    traffic = Traffic(rates=(0.04, 0.06), units_a_look=500, looks=40)
    first = simulate(traffic, POLICY, runs=30, seed=5)
    assert first == simulate(traffic, POLICY, runs=30, seed=5)
    assert first["right_switches"] == 1.0
    median, lost, even = (
        first[key]
        for key in ("median_units_per_arm", "lost_conversions_mean", "lost_conversions_even_shares")
    )
    assert isinstance(median, float)
    assert isinstance(lost, float)
    assert isinstance(even, float)
    assert 1_000 <= median <= 5_000
    assert lost < even / 2


def test_a_simulation_of_equal_arms_counts_every_switch_as_false() -> None:
    found = simulate(Traffic(rates=(0.04,) * 3, units_a_look=500, looks=40), POLICY, runs=100, seed=5)
    assert found["right_switches"] == 0.0
    assert found["median_units_per_arm"] is None
    assert float(str(found["false_switches"])) <= 0.05
    assert found["median_flips"] == 0.0


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(InputError, match="1 rates"):
        Traffic(rates=(0.04,), units_a_look=500, looks=40)
    with pytest.raises(InputError, match="between 0 and 1"):
        Traffic(rates=(0.04, 4.0), units_a_look=500, looks=40)
    with pytest.raises(InputError, match="one run"):
        simulate(Traffic(rates=(0.1, 0.1), units_a_look=5, looks=4), POLICY, runs=0, seed=1)
    with pytest.raises(InputError, match="cannot be alpha"):
        with_alpha(POLICY, 2.0)
    assert with_alpha(POLICY, 0.01).alpha == 0.01
