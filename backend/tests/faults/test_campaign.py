"""The short form of `make faults`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.campaign import Options, campaign

pytestmark = pytest.mark.faults


def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    outcome = campaign(Options(kills=8, restarts=1, clocks=1, by_hand=1, minutes=2), tmp_path)
    assert outcome.is_well, outcome
    assert (outcome.kills, outcome.restarts) == (8, 1)
    assert outcome.scalings > 0
    assert outcome.switches > 0
    assert outcome.acknowledged_rows > 0
