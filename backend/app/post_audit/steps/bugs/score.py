"""How much a bug hurts: six factors, each with the sentence that explains it; their product is the score.

    score = severity {1, 2, 5, 10}
          x log2(2 + the weights of its distinct reporters)
          x 2 where money is at stake
          x (1 + 0.1 for each report of the last 3 days, up to 10)
          x 1.5 if reported again after a fix
          x (1 + age / allowed age, up to 1)

A person's score replaces all of it. Each factor is rounded to 4 decimals before they are multiplied, so that
the product of what is shown is what is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.post_audit.formats import counted, duration
from app.post_audit.ports import JSON
from app.post_audit.step import Number, Reason, ReasonCode
from app.post_audit.steps.bugs.facts import BugFacts, Reporter
from app.post_audit.steps.bugs.fingerprint import normalise_text
from app.post_audit.steps.bugs.policy import BugsPolicy

__all__ = ["Factor", "Score", "distinct_reporters", "score", "severity_of"]

SET_BY_PERSON: Final = ReasonCode("bugs.set_by_person", "{actor} set the score to {value:g}.")
SEVERITY: Final = ReasonCode("bugs.severity", "Severity {severity}: {value:g}.")
SEVERITY_SET: Final = ReasonCode("bugs.severity_set", "Severity {severity}, set by {actor}: {value:g}.")
SEVERITY_UNKNOWN: Final = ReasonCode(
    "bugs.severity_unknown", "Severity “{given}” is not known and counts as {severity}: {value:g}."
)
REACH: Final = ReasonCode(
    "bugs.reach", "{reporters_in_words}, weight {weight:g}: log2(2 + {weight:g}) = {value:.4g}."
)
REACH_OF_IMPACT: Final = ReasonCode(
    "bugs.reach_of_impact",
    "Impact {impact} stands for a weight of {weight:g}: log2(2 + {weight:g}) = {value:.4g}.",
)
MONEY: Final = ReasonCode("bugs.money", "Money is at stake ({word}): × {value:g}.")
NO_MONEY: Final = ReasonCode("bugs.no_money", "No money is at stake: × 1.")
VELOCITY: Final = ReasonCode("bugs.velocity", "{reports_in_words} in {recent}: × {value:.4g}.")
REGRESSION: Final = ReasonCode("bugs.regression", "Reported again after a fix: × {value:g}.")
NO_REGRESSION: Final = ReasonCode("bugs.no_regression", "Not reported again after a fix: × 1.")
AGE: Final = ReasonCode("bugs.age", "Open for {age} of the {allowed} allowed: × {value:.4g}.")
NO_AGE: Final = ReasonCode("bugs.no_age", "Since when it is open is not known: × 1.")

_DECIMALS_OF_A_FACTOR: Final = 4
_DECIMALS_OF_A_SCORE: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One factor and why it is what it is; the reason's numbers hold the factor as `value`."""

    name: str
    value: float
    reason: Reason

    def as_json(self) -> JSON:
        """Return the shape in which it is stored beside the score."""
        return {"factor": self.name, "value": self.value, "text": self.reason.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The product of the factors, to 3 decimals; `is_set` when a person set it."""

    value: float
    severity: str
    factors: tuple[Factor, ...]
    is_set: bool = False


def score(bug: BugFacts, as_of: datetime, policy: BugsPolicy) -> Score:
    """Score one bug as of a moment."""
    severity = severity_of(bug, policy)
    if bug.score_override is not None:
        value = round(bug.score_override, _DECIMALS_OF_A_SCORE)
        reason = SET_BY_PERSON(actor=bug.override_by or "A person", value=value)
        return Score(
            value=value,
            severity=severity,
            factors=(Factor(name="set_by_person", value=value, reason=reason),),
            is_set=True,
        )
    factors = (
        _severity(bug, severity, policy),
        _reach(bug, policy),
        _money(bug, policy),
        _velocity(bug, policy),
        _regression(bug, policy),
        _age(bug, severity, as_of, policy),
    )
    product = math.prod(factor.value for factor in factors)
    return Score(value=round(product, _DECIMALS_OF_A_SCORE), severity=severity, factors=factors)


def severity_of(bug: BugFacts, policy: BugsPolicy) -> str:
    """Name the severity that counts: a person's, else the highest of the row and its repeats."""
    if bug.severity_override is not None:
        given = bug.severity_override.strip().lower()
        return given if given in policy.severity_weights else policy.unknown_severity
    known = [severity for severity in bug.severities if severity in policy.severity_weights]
    return max(known, key=policy.severity_weights.__getitem__, default=policy.unknown_severity)


def distinct_reporters(groups: Sequence[Sequence[Reporter]], policy: BugsPolicy) -> tuple[Reporter, ...]:
    """Put reporters together: each once, in the weightiest tier, the weightiest first, up to the maximum.

    Cutting each group off first changes nothing: who is among the first of all is among the first of a group.
    """
    weightiest: dict[str, Reporter] = {}
    for reporter in (reporter for group in groups for reporter in group):
        known = weightiest.get(reporter.id)
        if known is None or policy.tier_weights[known.tier] < policy.tier_weights[reporter.tier]:
            weightiest[reporter.id] = reporter
    ordered = sorted(weightiest.values(), key=lambda one: (-policy.tier_weights[one.tier], one.id))
    return tuple(ordered[: policy.maximum_reporters])


def _factor(name: str, value: float, code: ReasonCode, **numbers: Number) -> Factor:
    rounded = round(value, _DECIMALS_OF_A_FACTOR)
    return Factor(name=name, value=rounded, reason=code(value=rounded, **numbers))


def _severity(bug: BugFacts, severity: str, policy: BugsPolicy) -> Factor:
    weight = policy.severity_weights[severity]
    if bug.severity_override is not None:
        actor = bug.override_by or "a person"
        return _factor("severity", weight, SEVERITY_SET, severity=severity, actor=actor)
    if bug.severities and severity not in bug.severities:
        given = ", ".join(bug.severities)
        return _factor("severity", weight, SEVERITY_UNKNOWN, severity=severity, given=given)
    return _factor("severity", weight, SEVERITY, severity=severity)


def _reach(bug: BugFacts, policy: BugsPolicy) -> Factor:
    """Reporters, or the impact that a person wrote into the table where that is more.

    The larger of the two, so that the first report of a bug never makes it smaller.
    """
    reporters = distinct_reporters([bug.reporters], policy)
    weight = sum(policy.tier_weights[reporter.tier] for reporter in reporters)
    impact = max(bug.impacts, key=lambda name: policy.impact_weights.get(name, 0), default="")
    of_impact = policy.impact_weights.get(impact, 0)
    if of_impact > weight:
        return _factor("reach", math.log2(2 + of_impact), REACH_OF_IMPACT, impact=impact, weight=of_impact)
    words = counted(len(reporters), "reporter") if reporters else "No reporter is known"
    return _factor(
        "reach",
        math.log2(2 + weight),
        REACH,
        weight=weight,
        reporters_in_words=words,
        reporters=len(reporters),
    )


def _money(bug: BugFacts, policy: BugsPolicy) -> Factor:
    text = normalise_text(f"{bug.page or ''} {bug.title}")
    for word in policy.money_words:
        # wallets, claimed and payments too
        if re.search(rf"\b{re.escape(word)}(?:s|ed|ing)?\b", text):
            return _factor("money", policy.money_factor, MONEY, word=word)
    return _factor("money", 1, NO_MONEY)


def _velocity(bug: BugFacts, policy: BugsPolicy) -> Factor:
    weighed = min(bug.recent_reports, policy.recent_maximum)
    return _factor(
        "velocity",
        1 + policy.recent_step * weighed,
        VELOCITY,
        reports=bug.recent_reports,
        reports_in_words=counted(bug.recent_reports, "report"),
        recent=_days(policy.recent),
    )


def _regression(bug: BugFacts, policy: BugsPolicy) -> Factor:
    if bug.reopened_at is None:
        return _factor("regression", 1, NO_REGRESSION)
    return _factor("regression", policy.regression_factor, REGRESSION)


def _age(bug: BugFacts, severity: str, as_of: datetime, policy: BugsPolicy) -> Factor:
    if bug.first_reported_at is None:
        return _factor("age", 1, NO_AGE)
    age = max(timedelta(0), as_of - bug.first_reported_at)
    allowed = policy.allowed_age[severity]
    return _factor(
        "age", 1 + min(1, age / allowed), AGE, age=duration(age.total_seconds()), allowed=_days(allowed)
    )


def _days(length: timedelta) -> str:
    days = length / timedelta(days=1)
    return f"{days:g} day{'' if days == 1 else 's'}"
