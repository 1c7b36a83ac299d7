"""How well Markdown reports are read: what was read, compared with the labels of who wrote or read them."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.post_audit.steps.enhancements.finding import Finding
from app.post_audit.steps.enhancements.fingerprint import normal_words
from app.post_audit.steps.enhancements.parsing import parse_files

PROJECT = Path(__file__).resolve().parents[3]
OURS = PROJECT / "backend/tests/data/markdown"
SHARED = PROJECT.parent / "shared/data/audits"
STATES = {"pending": "open", "in_progress": "partial", "completed": "done", "cancelled": "cancelled"}
NEARLY = 0.85


@dataclass
class Score:
    """Counts of one report or of several."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    states_right: int = 0
    details: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """The share of what was read that is right."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """The share of the labels that was read."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def states(self) -> float:
        """The share of the right ones whose state is right."""
        return self.states_right / self.right if self.right else 1.0

    def __add__(self, other: Score) -> Score:
        return Score(
            right=self.right + other.right,
            wrong=self.wrong + other.wrong,
            missed=self.missed + other.missed,
            states_right=self.states_right + other.states_right,
        )


def score_of(report: Path, gold: dict[str, Any]) -> Score:
    """Read a report and compare it with its labels."""
    (audit,) = parse_files([report])
    found = sorted(audit.different, key=lambda finding: finding.line or 0)
    return compare(found, gold)


def compare(found: list[Finding], gold: dict[str, Any]) -> Score:
    """Match what was read with the labels, by line first and then by title."""
    labels = gold["findings"]
    taken: dict[int, Finding] = {}
    score = Score()
    rest: list[Finding] = []
    noise = [tuple(entry["lines"]) for entry in gold.get("noise", ())]
    for finding in found:
        in_noise = any(first <= (finding.line or 0) <= last for first, last in noise)
        candidates = (
            [] if in_noise else [i for i, label in enumerate(labels) if finding.line in label["lines"]]
        )
        free = [i for i in candidates if i not in taken]
        if free:
            taken[max(free, key=lambda i: _nearness(finding, labels[i]))] = finding
        else:
            rest.append(finding)
    for finding in rest:
        in_noise = any(first <= (finding.line or 0) <= last for first, last in noise)
        near = [i for i, label in enumerate(labels) if i not in taken and _nearness(finding, label) >= NEARLY]
        if near and not in_noise:
            taken[near[0]] = finding
            continue
        state = STATES[finding.status]
        optional = any(
            entry["lines"][0] <= (finding.line or 0) <= entry["lines"][1]
            and (entry["status"] == state or state in entry.get("accept", ()))
            for entry in gold.get("optional", ())
        )
        if not optional:
            score.wrong += 1
            score.details.append(f"  too much  {finding.line}: [{state}] {finding.title}")
    for place, label in enumerate(labels):
        one = taken.get(place)
        if one is None:
            score.missed += 1
            score.details.append(f"  missed    {label['lines']}: [{label['status']}] {label['title']}")
            continue
        score.right += 1
        if STATES[one.status] in {label["status"], *label.get("accept", ())}:
            score.states_right += 1
        else:
            score.details.append(
                f"  state     {one.line}: {STATES[one.status]} and not {label['status']}: {one.title}"
            )
    return score


def _nearness(finding: Finding, label: dict[str, Any]) -> float:
    return difflib.SequenceMatcher(None, normal_words(finding.title), normal_words(label["title"])).ratio()


def labelled() -> list[tuple[Path, dict[str, Any]]]:
    """List the reports that have labels."""
    found = []
    for folder in sorted({OURS, SHARED / "gold"}):
        for path in sorted(folder.glob("*.json")):
            gold = json.loads(path.read_text(encoding="utf-8"))
            report = _report_of(path, gold)
            if report is not None:
                found.append((report, gold))
    return found


def _report_of(path: Path, gold: dict[str, Any]) -> Path | None:
    if path.parent == OURS:
        return path.with_suffix(".md")
    source = str(gold.get("source", "")).partition(":")[2]
    if not source.endswith(".md"):
        return None
    return next((p for p in (SHARED / source.replace("/", "-"), SHARED / source) if p.is_file()), None)
