from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.ports import JSON
from app.post_audit.steps.fake_data import STEP, FakeDataPolicy, gather
from app.post_audit.steps.fake_data.facts import SupplierColumns

AS_OF = datetime(2025, 11, 9, tzinfo=UTC)


class Pages:
    """A database that answers with the pages it was given, by the key they go on from."""

    def __init__(self, pages: Mapping[str | None, JSON]) -> None:
        self.pages = pages

    def call(self, function: str, **arguments: object) -> JSON:
        assert function == "post_audit_read_fake_data"
        assert arguments["as_of"] == AS_OF
        after = arguments["after"]
        assert after is None or isinstance(after, str)
        return self.pages[after]

    def describe(self) -> str:
        return "pages"

    def close(self) -> None:
        """Nothing is open."""


def page(*keys: str, following: str | None = None) -> JSON:
    size = len(keys)
    texts: dict[str, JSON] = {
        name: [None] * size
        for name in ("email", "phone", "website", "city", "state", "gstin", "seed", "held_until")
    }
    columns: dict[str, JSON] = {
        **texts,
        "id": list(keys),
        "name": [f"Firm {key}" for key in keys],
        "digest": ["d"] * size,
        "claims": [0] * size,
        "earnings": [0] * size,
        "claimed": [False] * size,
    }
    return {
        "columns": columns,
        "next": following,
        "obstacle": "",
        "seeds": 3,
        "quarantined": 4,
        "alerted": ["a", "a"],
    }


def test_pages_are_put_together_in_their_order() -> None:
    pages = Pages({None: page("1", "2", following="2"), "2": page("3", "4", following="4"), "4": page()})
    facts = gather(pages, STEP.policy, AS_OF)
    assert facts.suppliers.id == ("1", "2", "3", "4")
    assert [supplier.name for supplier in facts.suppliers.suppliers()] == [
        "Firm 1",
        "Firm 2",
        "Firm 3",
        "Firm 4",
    ]
    assert (facts.as_of, facts.seeds, facts.quarantined, facts.alerted) == (AS_OF, 3, 4, frozenset({"a"}))


def test_pages_that_do_not_go_on_are_refused() -> None:
    with pytest.raises(UnexpectedAnswer, match="do not go on"):
        gather(
            Pages({None: page("1", following="1"), "1": page("1", following="1")}), FakeDataPolicy(), AS_OF
        )


@pytest.mark.parametrize("answer", [None, [], {}, {"columns": {}}])
def test_an_answer_of_another_shape_is_refused(answer: JSON) -> None:
    with pytest.raises(UnexpectedAnswer):
        gather(Pages({None: answer}), FakeDataPolicy(), AS_OF)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        SupplierColumns(id=("1",))


@pytest.mark.parametrize(
    "policy",
    [
        {"families_to_quarantine": 1},
        {"approval_share": 0},
        {"approval_share": 2},
        {"approval_rows": 0},
        {"page_rows": 0},
    ],
)
def test_a_policy_that_does_harm_is_refused(policy: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"families|share"):
        FakeDataPolicy(**policy)  # type: ignore[arg-type]
