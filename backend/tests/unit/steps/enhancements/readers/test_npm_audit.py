from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from app.post_audit.errors import InputError

if TYPE_CHECKING:
    from app.post_audit.steps.enhancements.parsing import ParsedAudit

Read = Callable[..., "ParsedAudit"]

ADVISORY = {
    "source": 1,
    "title": "Prototype pollution",
    "url": "https://github.com/advisories/GHSA-aaaa-bbbb-cccc",
    "severity": "high",
}
SECOND: dict[str, Any] = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "xlsx": {
            "severity": "high",
            "isDirect": True,
            "via": [ADVISORY, ADVISORY | {"url": "https://github.com/advisories/GHSA-dddd-eeee-ffff"}],
            "range": "<1",
            "nodes": ["node_modules/xlsx"],
            "fixAvailable": False,
        },
        "next-auth": {
            "severity": "moderate",
            "via": ["@auth/core"],
            "nodes": [],
            "fixAvailable": {"name": "next-auth", "version": "5", "isSemVerMajor": True},
        },
        "odd": {"severity": "purple", "via": 5, "fixAvailable": True},
    },
    "metadata": {"vulnerabilities": {"total": 3}},
}
FIRST: dict[str, Any] = {
    "actions": [],
    "advisories": {
        "106": {
            "id": 106,
            "module_name": "negotiator",
            "title": "Denial of service",
            "severity": "critical",
            "cves": ["CVE-2016-10539"],
            "findings": [{"paths": ["express>negotiator", "koa>negotiator"]}, 7],
        },
        "107": {"title": "Other", "severity": "info"},
    },
    "metadata": {"vulnerabilities": {"total": 9}},
}


def test_one_finding_for_each_package(read: Read) -> None:
    audit = read(SECOND)
    xlsx, auth, odd = audit.findings
    assert (xlsx.title, xlsx.severity) == ("xlsx: Prototype pollution and 1 more", "high")
    assert (xlsx.rule, xlsx.component, xlsx.location) == (
        "GHSA-aaaa-bbbb-cccc, GHSA-dddd-eeee-ffff",
        "xlsx",
        "node_modules/xlsx",
    )
    assert "No fix is available." in xlsx.description
    assert "direct dependency" in xlsx.description
    assert (auth.title, auth.severity) == ("next-auth: vulnerable through @auth/core", "medium")
    assert "Fixed by next-auth 5, a breaking change." in auth.description
    assert (odd.title, odd.severity) == ("odd: known vulnerability", "medium")
    assert {finding.category for finding in audit.findings} == {"dependencies"}
    assert audit.is_complete


def test_one_finding_for_each_advisory_of_npm_6(read: Read) -> None:
    audit = read(FIRST)
    first, second = audit.findings
    assert (first.title, first.severity, first.rule) == (
        "negotiator: Denial of service",
        "critical",
        "CVE-2016-10539",
    )
    assert first.location == "express>negotiator"
    assert (second.title, second.severity, second.rule) == ("unknown package: Other", "low", "npm-107")
    assert audit.is_complete


def test_a_package_is_the_same_whatever_is_wrong_with_it(read: Read) -> None:
    other = copy.deepcopy(SECOND)
    other["vulnerabilities"]["xlsx"] |= {"severity": "low", "via": [ADVISORY], "nodes": ["elsewhere"]}
    assert {f.fingerprint for f in read(other).findings} == {f.fingerprint for f in read(SECOND).findings}


def test_a_count_that_does_not_agree_leaves_it_incomplete(read: Read) -> None:
    audit = read(SECOND | {"metadata": {"vulnerabilities": {"total": 4}}})
    assert not audit.is_complete
    assert audit.errors[0].message == "declares 4 vulnerable packages and lists 3"


def test_an_entry_that_is_none_is_told(read: Read) -> None:
    audit = read(SECOND | {"vulnerabilities": SECOND["vulnerabilities"] | {"bad": 1}})
    first = audit.errors[0]
    assert (first.place, first.message) == ("$.vulnerabilities.bad", "not an object")


def test_an_audit_that_npm_could_not_make_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match=r"holds no audit: npm says 'A lockfile is needed\.'"):
        read({"error": {"code": "ENOLOCK", "summary": "A lockfile is needed."}})


def test_no_vulnerabilities_are_a_complete_audit(read: Read) -> None:
    audit = read(
        {"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {"vulnerabilities": {"total": 0}}}
    )
    assert (audit.findings, audit.is_complete) == ((), True)
