"""What is merged into what, and what a person did stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.post_audit.steps.bugs.facts import Hold
from tests.unit.steps.bugs.examples import NOW, OURS, bug, changes, codes, decided


def test_a_stored_fingerprint_of_ours_counts_and_another_system_s_is_left_alone() -> None:
    edited = decided(bug(1, fingerprint=OURS), bug(2, fingerprint=OURS, title="Renamed by a developer"))
    assert changes(edited)["bug:2"] == {"status": "duplicate", "duplicate_of": "1"}
    foreign = decided(bug(1, fingerprint="theirs-1"), bug(2, fingerprint="theirs-2"))
    assert changes(foreign)["bug:2"]["duplicate_of"] == "1"
    assert "fingerprint" not in changes(foreign)["bug:1"]


def test_the_same_title_alone_merges_nothing() -> None:
    decision = decided(
        bug(1, page=None, description="It stays white"), bug(2, page=None, description="The list has no rows")
    )
    assert all("status" not in change.after for change in decision.changes)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"status": "in_progress"}, id="somebody works on it"),
        pytest.param({"score_override": 5.0}, id="somebody scored it"),
        pytest.param({"severity_override": "low"}, id="somebody judged it"),
        pytest.param({"separated_from": frozenset({"1"})}, id="somebody took it apart"),
        pytest.param(
            {
                "hold": Hold(
                    undone={"status": "duplicate", "duplicate_of": "1"},
                    until=NOW + timedelta(days=1),
                    decision_id=3,
                )
            },
            id="somebody declined it",
        ),
    ],
)
def test_what_a_person_did_stands(second: dict[str, Any]) -> None:
    first = (
        bug(1, status="in_progress") if "separated_from" not in second and "hold" not in second else bug(1)
    )
    decision = decided(first, bug(2, **second))
    assert all("status" not in change.after for change in decision.changes)
    assert "bugs.kept_apart" in codes(decision)


def test_the_one_taken_apart_stays_so_from_either_side() -> None:
    decision = decided(bug(1, separated_from=frozenset({"2"})), bug(2))
    assert all("status" not in change.after for change in decision.changes)


def test_what_somebody_works_on_takes_the_others_in() -> None:
    assert changes(decided(bug(1), bug(2, status="in_progress")))["bug:1"]["duplicate_of"] == "2"


def test_an_unknown_state_is_open_and_its_name_is_what_is_compared() -> None:
    decision = decided(bug(1), bug(2, status="New"))
    assert decision.changes[0].before == {"status": "New", "duplicate_of": None}
