from __future__ import annotations

from app.post_audit.steps.fake_data.evaluate import evaluate, supplier_of_row
from app.post_audit.steps.fake_data.facts import Supplier
from app.post_audit.steps.fake_data.policy import FakeDataPolicy

POLICY = FakeDataPolicy()


def test_rows_are_judged_in_order_with_their_evidence() -> None:
    rows: list[dict[str, str | None]] = [
        {"name": "Gupta Mills"},
        {"name": "Mock Supplier 12", "email": "a@example.com", "phone": None},
    ]
    assert evaluate(rows, POLICY) == {
        "rows": [
            {"row": 1, "verdict": "keep", "evidence": []},
            {
                "row": 2,
                "verdict": "quarantine",
                "evidence": [
                    {
                        "family": "naming",
                        "signal": "numbered_name",
                        "detail": "The name Mock Supplier 12 is a placeholder with a counter.",
                        "weight": "one",
                    },
                    {
                        "family": "contact",
                        "signal": "reserved_email_domain",
                        "detail": "The domain of a@example.com can belong to nobody.",
                        "weight": "one",
                    },
                ],
            },
        ],
        "metrics": {"rows": 2, "verdicts": {"keep": 1, "review": 0, "quarantine": 1}},
    }


def test_labels_are_measured_against() -> None:
    rows = [
        {"name": "Mock Supplier 1", "email": "a@example.com", "label": "fake"},
        {"name": "Mock Supplier 2", "label": "FAKE"},
        {"name": "Gupta Mills", "email": "a@example.com", "label": "real"},
        {"name": "Mehta Pumps", "label": "real"},
    ]
    metrics = evaluate(rows, POLICY)["metrics"]
    assert isinstance(metrics, dict)
    counts = {"real": 2, "fake": 2}
    assert metrics["quarantine"] == counts | {"precision": 1.0, "recall": 0.5, "real_hit": 0, "fake_hit": 1}
    assert metrics["quarantine_or_review"] == counts | {
        "precision": 2 / 3,
        "recall": 1.0,
        "real_hit": 1,
        "fake_hit": 2,
    }


def test_a_share_of_nothing_is_none() -> None:
    metrics = evaluate([{"name": "Gupta Mills", "label": "real"}], POLICY)["metrics"]
    assert isinstance(metrics, dict)
    assert isinstance(metrics["quarantine"], dict)
    assert (metrics["quarantine"]["precision"], metrics["quarantine"]["recall"]) == (None, None)


def test_seed_rows_are_known_again() -> None:
    seed = {"name": "Modern Foods", "email": "ravi@modernfoods.in", "phone": "9820012345"}
    answer = evaluate([seed | {"name": "modern foods"}], POLICY, seeds=[seed])
    assert answer["metrics"] == {"rows": 1, "verdicts": {"keep": 0, "review": 0, "quarantine": 1}}


def test_columns_that_are_not_there_are_empty() -> None:
    assert supplier_of_row({"name": "Gupta", "created_at": "2025-11-01"}) == Supplier(name="Gupta")
