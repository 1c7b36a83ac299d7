"""Reports of real tools: every one is read with the number of findings that it has."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.importing import parse_files

PROJECT = Path(__file__).resolve().parents[6]
DATA = PROJECT.parent / "shared" / "data"
COUNTS = DATA / "findings" / "expected_counts.json"

pytestmark = pytest.mark.skipif(not COUNTS.is_file(), reason="the real reports (../shared/data) are not here")

# A count is that of entries as the report lists them: SARIF results with several locations count once for each, and
# entries of one fingerprint count each, though they lead to one task (gitleaks lists a secret once for each commit).
FORMATS = {
    "npm_audit": "npm_audit",
    "npm_audit_7_plus": "npm_audit",
    "sarif": "sarif",
    "generic": "generic_",
    # no reader of their own yet; their JSON reads as a list of findings
    "bandit": "generic_json",
    "semgrep": "generic_json",
}
EXPECTED: dict[str, int] = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.is_file() else {}


@pytest.mark.parametrize("name", sorted(name for name in EXPECTED if name.partition("/")[0] in FORMATS))
def test_every_finding_is_read(name: str) -> None:
    (audit,) = parse_files([DATA / "findings" / name])
    assert len(audit.findings) == EXPECTED[name]
    assert audit.format.startswith(FORMATS[name.partition("/")[0]])
    assert (audit.errors, audit.needs_review) == ((), ())
    assert sum(finding.occurrences for finding in audit.different) == len(audit.findings)


@pytest.mark.parametrize("name", sorted(name for name in EXPECTED if name.startswith("zap/")))
def test_a_format_without_a_reader_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match="no format that is known here"):
        parse_files([DATA / "findings" / name])


def test_the_npm_audit_of_powershell() -> None:
    (audit,) = parse_files([DATA / "audits" / "client-security-audit.json"])
    assert (audit.format, audit.source, audit.is_complete) == ("npm_audit", "npm audit", True)
    assert Counter(finding.severity for finding in audit.findings) == {"high": 2, "medium": 4, "low": 4}
    gold = json.loads((DATA / "audits/gold/client_security_audit_npm.json").read_text(encoding="utf-8"))
    wanted = {item["title"]: item["priority"] for item in gold["findings"]}
    assert {str(finding.component): finding.priority for finding in audit.findings} == wanted
