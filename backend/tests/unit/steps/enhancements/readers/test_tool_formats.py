"""What the readers of single tools do with a report of few entries, and with one that is not whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.parsing import ParsedAudit

Read = Callable[..., ParsedAudit]

BANDIT = {
    "test_id": "B105",
    "test_name": "hardcoded_password_string",
    "issue_severity": "LOW",
    "issue_confidence": "MEDIUM",
    "issue_text": "Possible hardcoded password: 'x'",
    "filename": "./a/b.py",
    "line_number": 12,
    "code": "11 \n12 password = 'x'\n",
}


def bandit(*results: Any, errors: tuple[Any, ...] = ()) -> dict[str, Any]:  # noqa: ANN401 - anything JSON can hold
    return {"errors": list(errors), "metrics": {"_totals": {"SEVERITY.HIGH": 0}}, "results": list(results)}


def test_bandit(read: Read) -> None:
    (finding,) = read(bandit(BANDIT)).findings
    assert (finding.severity, finding.category, finding.rule, finding.line) == ("low", "secrets", "B105", 12)
    shifted = {**BANDIT, "line_number": 22, "code": "21 \n22 password = 'x'\n", "issue_severity": "HIGH"}
    assert read(bandit(shifted)).findings[0].fingerprint == finding.fingerprint
    partial = read(bandit(BANDIT, errors=({"filename": "c.py", "reason": "syntax error"},)))
    assert not partial.is_complete
    assert partial.errors[0].message == "c.py: syntax error"


def test_semgrep(read: Read) -> None:
    result = {
        "check_id": "rules.sql",
        "path": "a.py",
        "start": {"line": 3},
        "extra": {
            "severity": "ERROR",
            "message": "SQL is put together. Bind it.",
            "fingerprint": "requires login",
        },
    }
    ignored = {**result, "path": "b.py", "extra": {**result["extra"], "is_ignored": True, "fingerprint": "f"}}  # type: ignore[dict-item]  # a mapping
    one, other = read({"results": [result, ignored], "errors": []}).findings
    assert (one.title, one.severity, one.status, one.category) == (
        "SQL is put together",
        "high",
        "pending",
        "database",
    )
    assert (other.status, other.disposition) == ("cancelled", "false_positive")
    error = {"level": "error", "message": "rule timed out"}
    assert not read({"results": [result], "errors": [error]}).is_complete


ZAP_ALERT = {
    "pluginid": "10011",
    "name": "Cookie Without Secure Flag",
    "riskcode": "1",
    "confidence": "2",
    "desc": "<p>A cookie has been set without the secure flag.</p>",
    "count": "2",
    "instances": [{"uri": "https://a.test/x"}, {"uri": "https://a.test/y"}],
}
ZAP_XML = """<?xml version="1.0"?><OWASPZAPReport version="2.9"><site name="https://a.test"><alerts><alertitem>
<pluginid>10011</pluginid><name>Cookie Without Secure Flag</name><riskcode>1</riskcode><confidence>2</confidence>
<desc>&lt;p&gt;A cookie has been set without the secure flag.&lt;/p&gt;</desc>
<instances><instance><uri>https://a.test/x</uri></instance><instance><uri>https://a.test/y</uri></instance></instances>
<count>2</count></alertitem></alerts></site></OWASPZAPReport>"""


def test_zap_says_the_same_in_both_forms(read: Read) -> None:
    as_json = read({"@programName": "ZAP", "site": [{"@name": "https://a.test", "alerts": [ZAP_ALERT]}]})
    as_xml = read(ZAP_XML, "report.xml")
    assert as_json.findings == as_xml.findings
    (finding,) = as_xml.findings
    assert (finding.severity, finding.occurrences, finding.location) == ("low", 2, "https://a.test")
    assert finding.description.startswith(
        "A cookie has been set without the secure flag.\n\nAt https://a.test/x"
    )
    assert as_xml.target == "https://a.test"


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><OWASPZAPReport/>', "document type"),
        (
            '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hosts">]><OWASPZAPReport>&a;</OWASPZAPReport>',
            "document type",
        ),
        (ZAP_XML[:-30], "no valid XML"),
        ("<OWASPZAPReport>" + "<a>" * 100, "nests deeper"),
        ("<OWASPZAPReport></OWASPZAPReport>", "no sites"),
    ],
)
def test_xml_that_is_no_report_is_refused(read: Read, xml: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(xml, "report.xml")


def test_axe_of_several_pages(read: Read) -> None:
    violation = {
        "id": "image-alt",
        "impact": "serious",
        "help": "Images need text",
        "nodes": [{"target": ["img"]}],
    }
    pages = [
        {"violations": [violation], "url": f"https://a.test/{number}", "testEngine": {"name": "axe"}}
        for number in (1, 2)
    ]
    audit = read(pages)
    assert [(f.location, f.severity) for f in audit.findings] == [
        ("https://a.test/1", "high"),
        ("https://a.test/2", "high"),
    ]
    assert audit.target == ""


def test_lighthouse_that_did_not_run(read: Read) -> None:
    report = {"lighthouseVersion": "12", "runtimeError": {"message": "no page"}, "audits": {}}
    with pytest.raises(InputError, match="no page"):
        read(report)
    failing = {
        "x": {"score": None, "scoreDisplayMode": "error"},
        "y": {"score": 0, "scoreDisplayMode": "binary", "title": "Y"},
    }
    audit = read({"lighthouseVersion": "12", "audits": failing})
    assert (len(audit.findings), audit.is_complete) == (1, False)


def test_a_link_check_that_did_not_finish(read: Read) -> None:
    text = "Getting links from: https://a.test/\n└─BROKEN─ https://a.test/x (HTTP_503)\n"
    audit = read(text, "links.txt")
    assert (audit.findings[0].severity, audit.is_complete, audit.target) == ("high", False, "https://a.test/")
    assert read(text + "Finished! 2 links found. 0 excluded. 1 broken.\n", "links.txt").is_complete
