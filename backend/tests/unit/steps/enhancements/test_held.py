"""Findings that are held packed are the findings that came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.enhancements.finding import Finding, make_finding, merge
from app.post_audit.steps.enhancements.held import FindingStore

TEXTS = st.text(max_size=12)
FINDINGS = st.lists(
    st.builds(
        make_finding,
        title=TEXTS,
        severity=st.sampled_from(["critical", "high", "medium", "low"]),
        description=TEXTS,
        rule=st.sampled_from(["", "r", "q"]),
        location=st.sampled_from(["", "a.py"]),
        line=st.none() | st.integers(0, 9),
        occurrences=st.integers(1, 3),
        estimated_hours=st.none() | st.floats(0, 9),
    ),
    max_size=12,
)


def held(findings: list[Finding]) -> FindingStore:
    store = FindingStore()
    for finding in findings:
        store.add(finding)
    return store


@given(FINDINGS)
def test_nothing_is_lost_and_the_same_is_merged(findings: list[Finding]) -> None:
    store = held(findings)
    assert store.count_different() == len({finding.fingerprint for finding in findings})
    everything, different = store.all_and_different()
    assert everything == findings
    assert different == tuple(merge(findings))


def test_it_is_a_sequence() -> None:
    findings = [
        make_finding(title=f"T{number}", description=f"T{number}: x", severity="low") for number in range(5)
    ]
    everything, _ = held(findings).all_and_different()
    assert everything[-1] == findings[-1]
    assert everything[1:3] == findings[1:3]
    assert findings[2] in everything
    assert everything != findings[1:]
    assert everything != "T0"
    assert repr(everything).startswith("<5 findings: Finding(title='T0'")


def test_a_report_whose_findings_share_nothing_is_held_too() -> None:
    findings = [make_finding(title=f"{n}", description=f"about {n}", severity="low") for n in range(12_000)]
    everything, different = held(findings).all_and_different()
    assert everything == findings
    assert len(different) == len(findings)


def test_differences_are_counted_as_they_come() -> None:
    store = held([make_finding(title="a", severity="low")])
    assert store.count_different() == 1
    store.add(make_finding(title="a", severity="high"))
    assert store.count_different() == 1
    store.add(make_finding(title="b", severity="high"))
    assert store.count_different() == 2
