from __future__ import annotations

import json
import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.steps.enhancements.finding import clean, clean_line, make_finding, merge
from app.post_audit.steps.enhancements.lexicon import State


def test_texts_are_cleaned_and_bounded() -> None:
    found = make_finding(
        title="  A\x00 title\u202f with\ud800\n  breaks " + "x" * 500,
        severity="high",
        description="d" * 5_000,
        rule="r\x1b[31m",
    )
    assert found.title.startswith("A title with breaks xxx")
    assert (len(found.title), len(found.description)) == (200, 2_000)
    assert found.rule == "r[31m"
    json.dumps(found.as_json()).encode()


def test_without_a_title_the_rule_or_the_place_stands_for_it() -> None:
    assert make_finding(title=" ", severity="low", rule="r1").title == "r1"
    assert make_finding(title="", severity="low", location="a.ts").title == "a.ts"
    assert make_finding(title="", severity="low").title == "Finding without a title"


def test_what_a_report_does_not_say_stays_empty_or_follows() -> None:
    found = make_finding(title="T", severity="high")
    assert (found.priority, found.status, found.estimated_hours, found.line) == (
        "high",
        "pending",
        None,
        None,
    )
    assert make_finding(title="T", severity="high", priority="low").priority == "low"
    assert make_finding(title="T", severity="high", category="Own").category == "Own"


def test_absurd_numbers_are_left_out() -> None:
    found = make_finding(title="T", severity="low", line=-3, occurrences=10**12, estimated_hours=float("inf"))
    assert (found.line, found.occurrences, found.estimated_hours) == (None, 2_000_000_000, None)
    assert make_finding(title="T", severity="low", estimated_hours=1.005).estimated_hours == 1.0


def test_the_fingerprint_knows_neither_severity_nor_line() -> None:
    one = make_finding(title="T", severity="low", rule="r", line=1)
    assert one.fingerprint == make_finding(title="Other", severity="high", rule="r", line=2).fingerprint
    assert (
        one.fingerprint
        != make_finding(title="T", severity="low", rule="r", is_known_by_title=True).fingerprint
    )


def test_repeats_merge_into_the_first_of_the_file_with_the_worst_severity() -> None:
    first = make_finding(title="B", severity="low", rule="r", line=3)
    second = make_finding(title="A", severity="critical", rule="r", line=9, occurrences=4)
    (merged,) = merge([second, first])
    assert (merged.title, merged.line, merged.severity, merged.occurrences) == ("B", 3, "critical", 5)


def test_one_that_is_open_keeps_the_task_open() -> None:
    done = make_finding(title="A", severity="low", rule="r", line=1, state=State("completed", "reported"))
    still = make_finding(title="A", severity="low", rule="r", line=7)
    assert merge([done, still])[0].status == "pending"
    assert merge([done, done])[0].status == "completed"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["low", "high"]), st.integers(1, 5))),
    st.integers(),
)
def test_merging_does_not_depend_on_the_order(rows: list[tuple[str, str, int]], seed: int) -> None:
    findings = [
        make_finding(title=rule, severity=severity, rule=rule, line=line) for rule, severity, line in rows
    ]
    merged = merge(findings)
    assert merged == merge(random.Random(seed).sample(findings, len(findings)))
    assert sum(finding.occurrences for finding in merged) == len(findings)
    assert merge(merged) == merged


@given(st.text(), st.integers(1, 50))
def test_cleaning_is_final_and_bounded(text: str, longest: int) -> None:
    for cleaner in (clean, clean_line):
        once = cleaner(text, longest)
        assert len(once) <= longest
        assert cleaner(once, longest) == once
        once.encode()


def test_replacing_keeps_a_finding_a_value() -> None:
    found = make_finding(title="T", severity="low")
    assert replace(found) == found
