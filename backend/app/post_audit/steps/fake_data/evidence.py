"""All evidence about one supplier, and the verdict on it.

A supplier is judged by its own row and never by those that arrived with it: 5 % of real rows mixed into a
fake batch were hit by a rule on batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.post_audit.steps.fake_data.contacts import contact_evidence
from app.post_audit.steps.fake_data.facts import Supplier
from app.post_audit.steps.fake_data.identity import identity_evidence
from app.post_audit.steps.fake_data.naming import naming_evidence
from app.post_audit.steps.fake_data.places import place_evidence
from app.post_audit.steps.fake_data.policy import FakeDataPolicy
from app.post_audit.steps.fake_data.provenance import provenance_evidence
from app.post_audit.steps.fake_data.signals import Evidence, Family, Weight

__all__ = ["Judgement", "Verdict", "judge"]


class Verdict(StrEnum):
    """What a supplier's evidence comes to."""

    KEEP = "keep"
    REVIEW = "review"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict with all that was found, also what was too weak to matter."""

    verdict: Verdict
    evidence: tuple[Evidence, ...]


_KEEP = Judgement(verdict=Verdict.KEEP, evidence=())


def judge(supplier: Supplier, policy: FakeDataPolicy) -> Judgement:
    """Weigh one supplier: each family counts once, by its strongest sign."""
    evidence = (
        *identity_evidence(supplier.gstin, supplier.state),
        *naming_evidence(supplier.id, supplier.name, policy),
        *contact_evidence(supplier.name, supplier.email, supplier.phone, supplier.website, policy),
        *provenance_evidence(supplier.seed),
        *place_evidence(supplier.city, supplier.state),
    )
    if not evidence:
        return _KEEP
    weights: dict[Family, Weight] = {}
    for item in evidence:
        weights[item.family] = max(item.weight, weights.get(item.family, Weight.WEAK))
    strength = sum(weights.values())
    if strength >= policy.families_to_quarantine:
        verdict = Verdict.QUARANTINE
    elif strength or len(weights) >= policy.weak_families_to_review:
        verdict = Verdict.REVIEW
    else:
        verdict = Verdict.KEEP
    return Judgement(verdict=verdict, evidence=evidence)
