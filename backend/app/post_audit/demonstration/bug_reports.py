"""What users reported: in English, in Hindi with Latin letters, once and again and in other words.

Most rows came through the marketplace's old form, which wrote one row a report and knew no duplicates. The last
days' came through the intake of step `bugs`, where people only say "me too". The worst of all is named in
a label, and so is every repeat, also those in other words, which no fingerprint can find.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.post_audit.demonstration.invented_bugs import BUGS, InventedBug
from app.post_audit.demonstration.tables import DAY, HOUR, NOW, Cell, Label, Table, iso, table
from app.post_audit.steps.bugs.facts import Tier
from app.post_audit.steps.bugs.intake import BugReport, prepare

__all__ = ["BugReports", "make_bug_reports"]

_TIERS: Final = (Tier.PAYING, Tier.TOP_100, Tier.NEW, Tier.OTHER)
_TIER_SHARES: Final = (0.2, 0.05, 0.3, 0.45)
_WORST: Final = 0
"""The place of the bug that ought to be the first: money is gone, it is critical, and most people report it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BugReports:
    """The bugs, the reports that came through the intake, and what is planted in them."""

    bugs: Table
    reports: Table
    labels: tuple[Label, ...]


def make_bug_reports(seed: int) -> BugReports:
    """Write the bugs in the order they came up, and the reports of the last days."""
    generator = np.random.default_rng([seed, 7])
    drafts: list[tuple[int, dict[str, Cell], tuple[int, str]]] = []
    for place, bug in enumerate(BUGS):
        first_at = NOW - int(bug.first_day * DAY)
        drafts.append((first_at, _row(bug, bug.title, bug.description, first_at), (place, "first")))
        again = first_at + (np.sort(generator.random(bug.repeats)) * (NOW - HOUR - first_at)).astype(np.int64)
        # Somebody has judged the first one; the others are as the old form wrote them.
        unjudged = replace(bug, severity="medium")
        drafts += [
            (at, _row(unjudged, bug.title, bug.description, at), (place, "again")) for at in again.tolist()
        ]
        for title, description in bug.reworded:
            at = first_at + int(generator.random() * (NOW - HOUR - first_at))
            drafts.append((at, _row(unjudged, title, description, at), (place, "reworded")))
    drafts.sort(key=lambda draft: draft[0])

    firsts = {
        place: number for number, (_, _, (place, role)) in enumerate(drafts, start=1) if role == "first"
    }
    said = {"again": "the same report again", "reworded": "the same in other words"}
    labels = [
        Label(kind="bug", subject=f"bug:{number}", truth=f"bug:{firsts[place]}", detail=said[role])
        for number, (_, _, (place, role)) in enumerate(drafts, start=1)
        if role != "first"
    ]
    labels.append(
        Label(
            kind="worst_bug",
            subject=f"bug:{firsts[_WORST]}",
            truth="worst",
            detail="money is gone, and most people report it",
        )
    )
    columns: dict[str, list[Cell]] = {"id": list(range(1, len(drafts) + 1))}
    for name in drafts[0][1]:
        columns[name] = [row[name] for _, row, _ in drafts]
    return BugReports(
        bugs=table("public.bugs", columns), reports=_reports(firsts, generator), labels=tuple(labels)
    )


def _row(bug: InventedBug, title: str, description: str, at: int) -> dict[str, Cell]:
    """Write one row; only the intake gives a fingerprint."""
    fingerprint = prepare(_as_report(bug))["fingerprint"] if bug.by_intake or bug.came_back else None
    return {
        "title": title,
        "description": description,
        "page": bug.page,
        "error_code": bug.error_code,
        "severity": bug.severity,
        "impact": bug.impact,
        "status": bug.status,
        "fingerprint": str(fingerprint) if fingerprint else None,
        "created_at": iso(at),
        "fixed_at": iso(NOW - 6 * DAY) if bug.came_back else None,
        "updated_at": iso(NOW - 2 * DAY if bug.came_back else at),
    }


def _as_report(bug: InventedBug) -> BugReport:
    return BugReport(title=bug.title, description=bug.description, page=bug.page, error_code=bug.error_code)


def _reports(firsts: dict[int, int], generator: np.random.Generator) -> Table:
    """Write what came through the intake in the last days: who agreed with which bug, and when."""
    written: list[dict[str, Cell]] = []
    for place, bug in enumerate(BUGS):
        if not (bug.me_too or bug.by_intake):
            continue
        taken = prepare(_as_report(bug))
        since = max(NOW - 2 * DAY, NOW - int(bug.first_day * DAY))
        moments = np.sort(since + (generator.random(bug.me_too) * (NOW - HOUR - since)).astype(np.int64))
        if bug.by_intake:
            moments = np.concatenate([[NOW - int(bug.first_day * DAY)], moments])
        tiers = generator.choice(len(_TIERS), len(moments), p=_TIER_SHARES)
        reporters = generator.choice(9_000, len(moments), replace=False)
        for number, at in enumerate(moments.tolist()):
            written.append(
                {
                    "bug_id": str(firsts[place]),
                    "reporter": f"u{10_000 + int(reporters[number])}",
                    "tier": _TIERS[int(tiers[number])].value,
                    "title": str(taken["title"]),
                    "description": str(taken["description"]),
                    "page": bug.page,
                    "error_code": bug.error_code,
                    "app_version": ("3.4.1", "3.4.2")[number % 2],
                    "fingerprint": str(taken["fingerprint"]),
                    "created_bug": "t" if bug.by_intake and number == 0 else "f",
                    "reopened_bug": "t" if bug.came_back and number == 0 else "f",
                    "received_at": iso(at),
                }
            )
    written.sort(key=lambda row: str(row["received_at"]))
    columns: dict[str, list[Cell]] = {name: [row[name] for row in written] for name in written[0]}
    return table("post_audit.bug_reports", columns)
