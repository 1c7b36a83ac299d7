"""Judge the rows of a file, and measure the verdicts where the file says what is real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from app.post_audit.ports import JSON
from app.post_audit.steps.fake_data.evidence import Verdict, judge
from app.post_audit.steps.fake_data.facts import Supplier
from app.post_audit.steps.fake_data.policy import FakeDataPolicy
from app.post_audit.steps.fake_data.provenance import SeedRows
from app.post_audit.steps.fake_data.signals import Evidence

__all__ = ["evaluate", "evidence_as_json", "supplier_of_row"]

_FIELDS: Final = ("id", "name", "email", "phone", "website", "city", "state", "gstin")
_LABELS: Final = frozenset({"real", "fake"})


def evaluate(
    rows: Iterable[Mapping[str, str | None]],
    policy: FakeDataPolicy,
    seeds: Iterable[Mapping[str, str | None]] = (),
) -> Mapping[str, JSON]:
    """Judge rows by column name (name, email, phone, website, city, state, gstin; optional id and label).

    `seeds` are rows that are known to be invented. Rows are numbered from 1 in the order they come. Answers
    `{"rows": [{"row", "verdict", "evidence"}], "metrics": {...}}`; shares are null where nothing can be
    counted.
    """
    known = SeedRows(supplier_of_row(seed) for seed in seeds)
    judged: list[JSON] = []
    verdicts: Counter[str] = Counter()
    by_label: Counter[tuple[str, str]] = Counter()
    for number, row in enumerate(rows, start=1):
        supplier = supplier_of_row(row)
        judgement = judge(supplier_of_row(row, seed=known.match(supplier)), policy)
        verdicts[judgement.verdict] += 1
        by_label[(row.get("label") or "").strip().lower(), judgement.verdict] += 1
        judged.append(
            {
                "row": number,
                "verdict": judgement.verdict.value,
                "evidence": [evidence_as_json(item) for item in judgement.evidence],
            }
        )
    metrics: dict[str, JSON] = {
        "rows": len(judged),
        "verdicts": {verdict.value: verdicts[verdict] for verdict in Verdict},
    }
    if any(label in _LABELS for label, _ in by_label):
        metrics["quarantine"] = _measured(by_label, {Verdict.QUARANTINE})
        metrics["quarantine_or_review"] = _measured(by_label, {Verdict.QUARANTINE, Verdict.REVIEW})
    return {"rows": judged, "metrics": metrics}


def supplier_of_row(row: Mapping[str, str | None], seed: str = "") -> Supplier:
    """Read one row by its column names; what is missing is empty."""
    return Supplier(**{name: row.get(name) or "" for name in _FIELDS}, seed=seed)


def evidence_as_json(item: Evidence) -> Mapping[str, JSON]:
    """Write one sign as decisions and files hold it."""
    return {
        "family": item.family.value,
        "signal": item.signal,
        "detail": item.detail,
        "weight": item.weight.name.lower(),
    }


def _measured(by_label: Counter[tuple[str, str]], verdicts: set[Verdict]) -> Mapping[str, JSON]:
    """Precision, recall and the share of real rows that were hit."""
    hit = {label: sum(by_label[label, verdict] for verdict in verdicts) for label in _LABELS}
    all_rows = {label: sum(by_label[label, verdict] for verdict in Verdict) for label in _LABELS}
    found = hit["fake"] + hit["real"]
    return {
        "precision": hit["fake"] / found if found else None,
        "recall": hit["fake"] / all_rows["fake"] if all_rows["fake"] else None,
        "real_hit": hit["real"],
        "real": all_rows["real"],
        "fake_hit": hit["fake"],
        "fake": all_rows["fake"],
    }
