"""Reports of real tools and people: every one is read with the number of findings that it has."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from app.post_audit.steps.enhancements.parsing import parse_files

PROJECT = Path(__file__).resolve().parents[6]
DATA = PROJECT.parent / "shared" / "data"
COUNTS = DATA / "findings" / "expected_counts.json"

pytestmark = pytest.mark.skipif(not COUNTS.is_file(), reason="the real reports (../shared/data) are not here")

# A count is that of entries as the report lists them: SARIF results with several locations count once for each, and
# entries of one fingerprint count each, though they lead to one task (gitleaks lists a secret once for each commit,
# ZAP an alert twice for one site). There is no deviation.
FORMATS = {
    "bandit": "bandit",
    "generic": "generic_",
    "npm_audit": "npm_audit",
    "npm_audit_7_plus": "npm_audit",
    "sarif": "sarif",
    "semgrep": "semgrep",
    "zap": "zap",
}
EXPECTED: dict[str, int] = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.is_file() else {}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_finding_is_read(name: str) -> None:
    (audit,) = parse_files([DATA / "findings" / name])
    assert len(audit.findings) == EXPECTED[name]
    assert audit.format.startswith(FORMATS[name.partition("/")[0]])
    assert (audit.errors, audit.needs_review, audit.is_complete) == ((), (), True)


def test_occurrences_are_counted() -> None:
    (audit,) = parse_files([DATA / "findings" / "sarif/gitleaks_7.5.0.sarif"])
    assert (len(audit.different), sum(finding.occurrences for finding in audit.different)) == (4, 8)


def test_the_npm_audit_of_powershell() -> None:
    (audit,) = parse_files([DATA / "audits" / "client-security-audit.json"])
    assert (audit.format, audit.source, audit.is_complete) == ("npm_audit", "npm audit", True)
    assert Counter(finding.severity for finding in audit.findings) == {"high": 2, "medium": 4, "low": 4}
    gold = json.loads((DATA / "audits/gold/client_security_audit_npm.json").read_text(encoding="utf-8"))
    wanted = {item["title"]: item["priority"] for item in gold["findings"]}
    assert {str(finding.component): finding.priority for finding in audit.findings} == wanted


def test_the_link_check() -> None:
    (audit,) = parse_files([DATA / "audits" / "404-scan-20250801_022036.txt"])
    gold = json.loads((DATA / "audits/gold/scan_404.json").read_text(encoding="utf-8"))
    assert (audit.format, audit.is_complete, len(audit.findings)) == ("link_check", True, 2)
    assert [(f.location, f.component, f.line) for f in audit.findings] == [
        (item["title"], item["found_on"], item["line"]) for item in gold["findings"]
    ]
