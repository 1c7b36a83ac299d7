"""Reports that real tools wrote of our own code and of a page with faults, kept beside the tests.

Bandit 1.9 and Semgrep (two rules of ours) over this project; axe-core 4.14 and Lighthouse over one page. Passing
audits and pictures were cut out.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.post_audit.steps.enhancements.parsing import ParsedAudit, parse_files

REPORTS = Path(__file__).resolve().parents[4] / "data" / "reports"


def audit_of(name: str) -> tuple[ParsedAudit, dict[str, Any]]:
    path = REPORTS / f"{name}.json"
    (audit,) = parse_files([path])
    assert (audit.format, audit.errors, audit.is_complete) == (name, (), True)
    return audit, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["bandit", "semgrep"])
def test_each_result_is_a_finding(name: str) -> None:
    audit, report = audit_of(name)
    assert len(audit.findings) == len(report["results"]) > 2
    assert all(finding.rule and finding.location and finding.line for finding in audit.findings)


def test_each_violation_of_axe_is_a_finding() -> None:
    audit, report = audit_of("axe")
    assert [finding.rule for finding in audit.findings] == [
        violation["id"] for violation in report["violations"]
    ]
    assert Counter(finding.severity for finding in audit.findings) == {
        "critical": 5,
        "high": 6,
        "medium": 3,
        "low": 1,
    }
    assert sum(finding.occurrences for finding in audit.findings) == 25
    assert {finding.category for finding in audit.findings} == {"accessibility"}


def test_each_failed_audit_of_lighthouse_is_a_finding() -> None:
    audit, report = audit_of("lighthouse")
    modes = {"binary", "numeric", "metricSavings"}
    failed = {
        name
        for name, found in report["audits"].items()
        if found["scoreDisplayMode"] in modes and found["score"] is not None and found["score"] < 0.9
    }
    assert {finding.rule for finding in audit.findings} == failed
    assert len(audit.findings) == len(failed) == 23
    severities = {finding.rule: finding.severity for finding in audit.findings}
    assert severities["image-alt"] == "high"
    assert severities["unsized-images"] == "low"
