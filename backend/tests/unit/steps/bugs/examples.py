"""Bugs made by hand, and what becomes of them when a decision is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.post_audit.step import Decision
from app.post_audit.steps.bugs.decide import decide
from app.post_audit.steps.bugs.facts import BugFacts, BugsFacts, Hold
from app.post_audit.steps.bugs.policy import BugsPolicy

NOW = datetime(2025, 11, 9, 6, 0, tzinfo=UTC)
POLICY = BugsPolicy()
OURS = "v1:" + "a" * 64


def bug(number: int = 1, **fields: Any) -> BugFacts:  # noqa: ANN401 - any field of a bug
    start: dict[str, Any] = {
        "id": str(number),
        "title": "Wallet shows ₹0 after claim",
        "page": "/wallet",
        "status": "open",
        "severities": ("medium",),
        "impacts": ("all_users",),
        "first_reported_at": NOW - timedelta(days=30, hours=-number),
    }
    return BugFacts(**(start | fields))


def decided(*bugs: BugFacts, policy: BugsPolicy = POLICY) -> Decision:
    return decide(BugsFacts(as_of=NOW, bugs=bugs), policy)


def changes(decision: Decision) -> dict[str, Mapping[str, Any]]:
    return {change.subject: change.after for change in decision.changes}


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


def after(facts: tuple[BugFacts, ...], decision: Decision) -> tuple[BugFacts, ...]:
    """What the database tells next when the changes have been carried out."""
    known = {one.id: one for one in facts}
    for change in decision.changes:
        number = change.subject.removeprefix("bug:")
        if change.after.get("status") == "duplicate":
            gone, into = known.pop(number), known[str(change.after["duplicate_of"])]
            known[into.id] = replace(
                into,
                severities=tuple({*into.severities, *gone.severities}),
                impacts=tuple({*into.impacts, *gone.impacts}),
                reporters=(*into.reporters, *gone.reporters),
                reports=into.reports + gone.reports,
                recent_reports=into.recent_reports + gone.recent_reports,
                repeats=into.repeats + gone.repeats + 1,
                first_reported_at=min(
                    (x.first_reported_at for x in (into, gone) if x.first_reported_at), default=None
                ),
                reopened_at=max((x.reopened_at for x in (into, gone) if x.reopened_at), default=None),
                alerted_at=max((x.alerted_at for x in (into, gone) if x.alerted_at), default=None),
            )
    for change in decision.changes:
        number = change.subject.removeprefix("bug:")
        if number in known and "status" not in change.after:
            fields: Any = change.after
            known[number] = replace(known[number], **fields)
    return tuple(known.values())


def settled(*bugs: BugFacts) -> tuple[BugFacts, ...]:
    """Bugs with their scores and fingerprints written."""
    return after(bugs, decided(*bugs))


def hold(values: object, points: float = 40.0) -> Hold:
    return Hold(
        undone={"priority_score": points, "score_factors": values},
        until=NOW + timedelta(days=5),
        decision_id=3,
    )
