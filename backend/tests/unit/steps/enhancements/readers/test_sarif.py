from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.post_audit.errors import InputError
from app.post_audit.steps.enhancements.parsing import parse_files
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

if TYPE_CHECKING:
    from app.post_audit.steps.enhancements.finding import Finding
    from app.post_audit.steps.enhancements.parsing import ParsedAudit

Read = Callable[..., "ParsedAudit"]

RULE: dict[str, Any] = {"id": "js/xss", "name": "Xss", "shortDescription": {"text": "Cross-site scripting"}}


def place(uri: str = "src/a.ts", line: int = 3, **region: object) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line} | region}}


def result(**fields: object) -> dict[str, Any]:
    return {"ruleId": "js/xss", "message": {"text": "Input is shown."}, "locations": [place()]} | fields


def run(*results: object, rules: object = (RULE,), name: str = "Scanner", **fields: object) -> dict[str, Any]:
    return {"tool": {"driver": {"name": name, "rules": list(rules)}}, "results": list(results)} | fields  # type: ignore[call-overload]  # a list of rules


def sarif(*runs: object) -> dict[str, Any]:
    return {"version": "2.1.0", "runs": list(runs)}


def only(audit: ParsedAudit) -> Finding:
    (finding,) = audit.findings
    return finding


def test_a_result_is_a_finding(read: Read) -> None:
    audit = read(sarif(run(result())))
    finding = only(audit)
    assert (finding.title, finding.rule, finding.location, finding.line) == (
        "Input is shown",
        "js/xss",
        "src/a.ts",
        3,
    )
    assert (finding.severity, finding.category) == ("medium", "security")
    assert (audit.format, audit.source, audit.target, audit.is_complete) == ("sarif", "Scanner", "", True)


def test_each_location_counts(read: Read) -> None:
    audit = read(
        sarif(run(result(locations=[place(line=1), place(line=9), place("src/b.ts")]), result(locations=[])))
    )
    assert len(audit.findings) == 4
    assert sorted(finding.occurrences for finding in audit.different) == [1, 1, 2]


@pytest.mark.parametrize(
    ("of_result", "of_rule", "severity"),
    [
        ({"level": "error"}, {}, "high"),
        ({}, {"defaultConfiguration": {"level": "note"}}, "low"),
        ({"level": "error"}, {"properties": {"security-severity": "9.8"}}, "critical"),
        ({"properties": {"security-severity": 2}}, {"properties": {"security-severity": "9.8"}}, "low"),
        ({"properties": {"security-severity": 77}, "level": "error"}, {}, "high"),
        ({"properties": {"issue_severity": "HIGH"}}, {}, "high"),
        ({}, {"help": {"text": "Vulnerability X\nSeverity: low\n"}}, "low"),
        ({"level": "note"}, {"help": {"text": "Severity: purple"}}, "low"),
        ({}, {}, "medium"),
    ],
    ids=[
        "level",
        "rule's level",
        "score",
        "result's score",
        "no score",
        "words",
        "help",
        "unknown words",
        "nothing",
    ],
)
def test_severities(read: Read, of_result: dict[str, Any], of_rule: dict[str, Any], severity: str) -> None:
    assert only(read(sarif(run(result(**of_result), rules=[RULE | of_rule])))).severity == severity


def test_results_before_their_tool_wait_for_it(read: Read) -> None:
    whole = run(result(message={"id": "m", "arguments": ["x"]}))
    whole["tool"]["driver"]["rules"][0] = RULE | {
        "messageStrings": {"m": {"text": "The [input](1) {0} is {1}."}}
    }
    turned = {"results": whole["results"], "tool": whole["tool"]}
    assert read(sarif(turned)).findings == read(sarif(whole)).findings
    assert only(read(sarif(whole))).title == "The input x is {1}"


def test_files_are_looked_up_among_the_artifacts(read: Read) -> None:
    location = {"physicalLocation": {"artifactLocation": {"index": 1}}}
    artifacts = [{"location": {"uri": "a.ts"}}, {"location": {"uri": "b.ts"}}]
    assert only(read(sarif(run(result(locations=[location]), artifacts=artifacts)))).location == "b.ts"


def test_rules_are_found_by_index_id_and_extension(read: Read) -> None:
    extension = {"name": "pack", "rules": [{"id": "ext", "name": "Extended"}]}
    tool = {"driver": {"name": "Scanner", "rules": [RULE]}, "extensions": [extension]}
    results = [
        {"ruleIndex": 0, "message": {}},
        {"ruleId": "js/xss/1", "message": {}},
        {"rule": {"id": "ext", "index": 0, "toolComponent": {"index": 0}}, "message": {}},
        {"message": {"text": "No rule at all"}},
    ]
    audit = read(sarif({"tool": tool, "results": results}))
    assert [(finding.title, finding.rule) for finding in audit.findings] == [
        ("Cross-site scripting", "js/xss"),
        ("Cross-site scripting", "js/xss/1"),
        ("Extended", "ext"),
        ("No rule at all", None),
    ]


def test_a_long_message_leaves_the_title_to_the_rule(read: Read) -> None:
    assert only(read(sarif(run(result(message={"text": "x" * 200}))))).title == "Cross-site scripting"


def test_the_tool_s_own_fingerprint_comes_first(read: Read) -> None:
    def fingerprint(**fields: object) -> str:
        return only(read(sarif(run(result(**fields))))).fingerprint

    own = {"partialFingerprints": {"primaryLocationLineHash": "abc:1"}}
    assert fingerprint(**own) == fingerprint(
        **own, locations=[place(line=99, snippet={"text": "moved"})], level="error"
    )
    assert fingerprint(**own) != fingerprint(partialFingerprints={"primaryLocationLineHash": "abc:2"})
    assert fingerprint(**own) != fingerprint(**own, locations=[place("b.ts")])
    commit = {"partialFingerprints": {"commitSha": "1", "date": "2021", "email": "a@b.example"}}
    assert fingerprint(**commit) == fingerprint()


def test_code_tells_findings_of_one_rule_and_file_apart(read: Read) -> None:
    places = [
        place(snippet={"text": "  a = 1"}),
        place(line=8, snippet={"text": "b = 2"}),
        place(line=9, snippet={"text": "a  = 1"}),
    ]
    audit = read(sarif(run(result(locations=places))))
    assert sorted(finding.occurrences for finding in audit.different) == [1, 2]


@pytest.mark.parametrize(
    ("fields", "status", "disposition"),
    [
        ({}, "pending", None),
        ({"suppressions": [{"kind": "inSource"}]}, "cancelled", "accepted"),
        ({"suppressions": [{"kind": "external", "status": "rejected"}]}, "pending", None),
        ({"baselineState": "absent"}, "completed", "reported"),
    ],
    ids=["open", "suppressed", "suppression rejected", "absent"],
)
def test_states(read: Read, fields: dict[str, Any], status: str, disposition: str | None) -> None:
    finding = only(read(sarif(run(result(**fields)))))
    assert (finding.status, finding.disposition) == (status, disposition)


def test_what_passed_is_no_finding_and_what_is_unsure_is_for_review(read: Read) -> None:
    audit = read(sarif(run(result(kind="pass"), result(kind="review"), result())))
    assert (len(audit.findings), len(audit.needs_review), audit.is_complete) == (1, 1, False)


@pytest.mark.parametrize(
    "broken",
    [
        {"tool": {"driver": {"name": "x"}}},
        run(result(), invocations=[{"executionSuccessful": False}]),
        run(result(), 5),
    ],
    ids=["no results", "the tool failed", "a result that is none"],
)
def test_what_did_not_finish_closes_nothing(read: Read, broken: dict[str, Any]) -> None:
    audit = read(sarif(run(result()), broken))
    assert not audit.is_complete
    assert audit.errors[0].place.startswith("$.runs[1]")


def test_results_that_are_null_are_refused(read: Read) -> None:
    with pytest.raises(InputError, match="the tool did not finish"):
        read(sarif({"tool": {"driver": {"name": "x"}}, "results": None}))


def test_no_results_are_a_complete_audit(read: Read) -> None:
    audit = read(sarif(run()))
    assert (audit.findings, audit.is_complete, audit.source) == ((), True, "Scanner")


def test_the_scope_is_the_tool_and_the_category_of_the_run(read: Read) -> None:
    audit = read(sarif(run(result(), automationDetails={"id": "nightly/web/2025-11-09"})))
    assert (audit.source, audit.target) == ("Scanner", "nightly/web")
    two = read(
        sarif(
            run(result(), automationDetails={"id": "a/1"}), run(name="Other", automationDetails={"id": "b/1"})
        )
    )
    assert (two.source, two.target) == ("Other + Scanner", "")


def test_another_version_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match=r"is SARIF '1\.0\.0'"):
        read(sarif(run(result())) | {"version": "1.0.0"})


def test_the_version_may_come_last_or_not_at_all(read: Read) -> None:
    assert read({"runs": [run(result())], "version": "2.1.0"}).format == "sarif"
    assert read({"runs": [run(result())]}).format == "sarif"


def test_gaps_in_what_is_expected_do_no_harm(read: Read) -> None:
    odd = {
        "ruleId": 5,
        "ruleIndex": "x",
        "message": "text",
        "locations": [5, {}, {"physicalLocation": []}],
        "level": 7,
    }
    audit = read(sarif(run(odd, {}, rules=[5, {}, {"id": "a", "properties": 3}])))
    assert len(audit.findings) == 4


def test_too_many_results_that_wait_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.sarif"
    whole = run(*(result() for _ in range(6)))
    path.write_text(json.dumps(sarif({"results": whole["results"], "tool": whole["tool"]})), encoding="utf-8")
    with pytest.raises(InputError, match="over 5 results, rules or runs"):
        parse_files([path], EnhancementsPolicy(maximum_findings=5))
