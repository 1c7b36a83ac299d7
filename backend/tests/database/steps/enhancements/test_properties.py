"""What holds for every report: nothing is new twice, and what goes and comes back is counted exactly."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.post_audit.steps.enhancements.importing import import_audit
from app.post_audit.steps.enhancements.lexicon import SEVERITIES
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from tests.database.steps.enhancements.audited import Queue, audit, finding

if TYPE_CHECKING:
    from app.post_audit.steps.enhancements.finding import Finding
    from app.post_audit.steps.enhancements.importing import ImportReport

pytestmark = pytest.mark.database

EXAMPLES: Final = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
REPORTS: Final = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from(SEVERITIES), st.integers(1, 90)),
    min_size=1,
    max_size=50,
).map(lambda rows: [finding(number, severity=severity, line=line) for number, severity, line in rows])
PUT_ASIDE: Final = ("accepted", "false_positive", "duplicate")


def fresh(queue: Queue) -> None:
    for table in ("public.enhancement_tasks", "post_audit.task_events", "post_audit.audit_entries"):
        queue.connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608 - a test
    queue.connection.execute("DELETE FROM post_audit.audits")


def came_and_went(report: ImportReport) -> tuple[int, int, int]:
    return report.new, report.closed, report.reopened


def different(findings: list[Finding]) -> int:
    return len({found.fingerprint for found in findings})


@EXAMPLES
@given(findings=REPORTS, seed=st.integers(0, 999))
def test_nothing_is_new_twice(queue: Queue, findings: list[Finding], seed: int) -> None:
    fresh(queue)
    assert came_and_went(queue.bring(findings)) == (different(findings), 0, 0)
    assert came_and_went(queue.bring(findings)) == (0, 0, 0)
    shuffled = random.Random(seed).sample(findings, len(findings))
    again = queue.bring(shuffled)
    assert (came_and_went(again), again.changed) == ((0, 0, 0), 0), "an order is no change"
    moved = [replace(f, line=(f.line or 0) + 10, severity="low", priority="low") for f in shuffled]
    changed = queue.bring(moved)
    assert came_and_went(changed) == (0, 0, 0)
    assert changed.changed == different(findings)


@EXAMPLES
@given(findings=REPORTS, seed=st.integers(0, 999), share=st.floats(0, 0.5))
def test_what_goes_and_comes_back_is_counted_exactly(
    queue: Queue, findings: list[Finding], seed: int, share: float
) -> None:
    fresh(queue)
    queue.bring(findings)
    names = sorted({found.fingerprint for found in findings})
    gone = set(random.Random(seed).sample(names, int(len(names) * share)))
    rest = [found for found in findings if found.fingerprint not in gone]
    told = queue.bring(rest, dry_run=True)
    less = queue.bring(rest)
    assert came_and_went(less) == (0, len(gone), 0)
    assert replace(told, audit_id=less.audit_id) == less
    assert came_and_went(queue.bring(findings)) == (0, 0, len(gone))
    events = Counter(kind for (kind,) in queue.rows("SELECT kind FROM post_audit.task_events"))
    assert events == Counter(new=len(names), closed=len(gone), reopened=len(gone)) - Counter()


@EXAMPLES
@given(findings=REPORTS, aside=st.lists(st.sampled_from(PUT_ASIDE), max_size=6), without=st.booleans())
def test_what_a_person_put_aside_survives_every_report(
    queue: Queue, findings: list[Finding], aside: list[str], *, without: bool
) -> None:
    fresh(queue)
    queue.bring(findings)
    rules = sorted({str(found.rule) for found in findings})[: len(aside)]
    for rule, disposition in zip(rules, aside, strict=False):
        queue.person(f"status = 'cancelled', disposition = '{disposition}'", rule)
    expected = {rule: queue.states()[rule] for rule in rules}
    later = [replace(f, line=99) for f in findings if not (without and f.rule in rules)]
    if later:
        assert queue.bring(later, confirm=True).kept == (0 if without else len(rules))
    assert {rule: queue.states()[rule] for rule in rules} == expected


@EXAMPLES
@given(findings=REPORTS, size=st.integers(1, 20))
def test_parts_are_the_whole(queue: Queue, findings: list[Finding], size: int) -> None:
    fresh(queue)
    small = EnhancementsPolicy(findings_per_call=size)
    first = audit(findings[: len(findings) // 2 + 1])
    whole = audit(findings)
    for report in (first, whole):
        told = import_audit(queue.database, report, policy=small, dry_run=True)
        done = import_audit(queue.database, report, policy=small)
        assert replace(told, audit_id=done.audit_id) == done
    assert queue.rows("SELECT count(*)::int FROM public.enhancement_tasks") == [(different(findings),)]


def test_what_is_unclear_waits_for_review_and_is_known_again(queue: Queue) -> None:
    clear, unclear = [finding(n) for n in range(3)], [finding(7), finding(1)]
    report = import_audit(queue.database, audit(clear, unclear=unclear, complete=False))
    assert report.new == 4, "what is certain elsewhere is not unclear"
    assert queue.states()["rule-7"] == ("pending", "review")
    assert queue.states()["rule-1"] == ("pending", None)
    again = import_audit(queue.database, audit([*clear, finding(9)], unclear=unclear, complete=False))
    assert (again.new, again.changed) == (1, 0)
    clearer = import_audit(queue.database, audit([*clear, finding(9), finding(7)]))
    assert (clearer.new, clearer.changed) == (0, 1)
    assert queue.states()["rule-7"] == ("pending", None)
