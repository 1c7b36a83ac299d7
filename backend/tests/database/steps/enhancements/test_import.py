"""Findings become tasks once, whatever the order, the severity and the number of times they arrive."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from app.post_audit.errors import InvalidArgument, StateMoved
from app.post_audit.steps.enhancements.importing import import_audit, store_audit
from app.post_audit.steps.enhancements.lexicon import State
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy
from tests.database.steps.enhancements.audited import Queue, audit, finding

if TYPE_CHECKING:
    from app.post_audit.steps.enhancements.importing import ImportReport

pytestmark = pytest.mark.database

MANY = [finding(number) for number in range(100)]


def counts(report: ImportReport) -> tuple[int, int, int, int, int]:
    return report.new, report.unchanged, report.changed, report.reopened, report.closed


def test_findings_become_pending_tasks(queue: Queue) -> None:
    assert counts(queue.bring(MANY)) == (100, 0, 0, 0, 0)
    row = queue.rows(
        "SELECT title, priority, severity, category, status, source, location, line, occurrences, disposition"
        " FROM public.enhancement_tasks WHERE rule = 'rule-7'"
    )
    assert row == [
        ("Rule 7 is broken", "medium", "medium", "quality", "pending", "Scanner", "src/file7.ts", 10, 1, None)
    ]


def test_the_same_file_twice_does_nothing(queue: Queue) -> None:
    queue.bring(MANY)
    before = queue.rows()
    again = queue.bring(MANY)
    assert (counts(again), again.repeated) == ((0, 100, 0, 0, 0), True)
    assert queue.rows() == before


def test_another_order_brings_nothing_new(queue: Queue) -> None:
    queue.bring(MANY)
    shuffled = random.Random(1).sample(MANY, len(MANY))
    assert counts(queue.bring(shuffled)) == (0, 100, 0, 0, 0)


def test_another_severity_and_line_changes_tasks_and_makes_none(queue: Queue) -> None:
    queue.bring(MANY)
    queue.person("priority = 'critical'", "rule-3")
    worse = [finding(number, severity="high", line=99) for number in range(100)]
    assert counts(queue.bring(worse)) == (0, 0, 100, 0, 0)
    priorities = dict(queue.rows("SELECT priority, count(*)::int FROM public.enhancement_tasks GROUP BY 1"))
    assert priorities == {"high": 99, "critical": 1}, "a priority that a person set stays"
    assert queue.rows("SELECT DISTINCT severity, line FROM public.enhancement_tasks") == [("high", 99)]


@pytest.mark.both_transports
def test_what_is_gone_closes_and_what_comes_back_reopens(queue: Queue) -> None:
    queue.bring(MANY)
    assert counts(queue.bring(MANY[10:])) == (0, 90, 0, 0, 10)
    assert queue.states()["rule-3"] == ("completed", "gone")
    back = queue.bring(MANY)
    assert (counts(back), back.repeated) == ((0, 90, 0, 10, 0), False), (
        "old content after other content is news"
    )
    assert queue.states()["rule-3"] == ("pending", "reopened")
    assert queue.rows("SELECT count(*)::int FROM public.enhancement_tasks") == [(100,)]


@pytest.mark.parametrize(
    ("assignment", "state"),
    [
        ("status = 'cancelled'", ("cancelled", None)),
        ("status = 'cancelled', disposition = 'accepted'", ("cancelled", "accepted")),
        ("status = 'cancelled', disposition = 'false_positive'", ("cancelled", "false_positive")),
        ("status = 'cancelled', disposition = 'duplicate'", ("cancelled", "duplicate")),
    ],
    ids=["cancelled", "accepted", "false positive", "duplicate"],
)
def test_what_a_person_put_aside_stays_there(
    queue: Queue, assignment: str, state: tuple[str, str | None]
) -> None:
    queue.bring(MANY)
    queue.person(assignment, "rule-3")
    report = queue.bring([replace(f, line=11) for f in MANY])
    assert (report.reopened, report.kept) == (0, 1)
    assert queue.states()["rule-3"] == state
    queue.bring(MANY[50:])
    assert queue.states()["rule-3"] == state


def test_what_was_done_and_is_reported_again_is_not_fixed(queue: Queue) -> None:
    queue.bring(MANY)
    queue.person("status = 'completed', completed_at = now()", "rule-3")
    assert counts(queue.bring(MANY)) == (0, 100, 0, 0, 0), "the same report again is no evidence"
    assert queue.states()["rule-3"] == ("completed", None)
    assert queue.bring([*MANY, finding(100)]).reopened == 1
    assert queue.states()["rule-3"] == ("pending", "reopened")


def test_an_incomplete_report_closes_nothing(queue: Queue) -> None:
    queue.bring(MANY)
    partial = import_audit(queue.database, audit(MANY[10:], complete=False))
    assert counts(partial) == (0, 90, 0, 0, 0)


def test_another_scope_is_left_alone(queue: Queue) -> None:
    queue.bring(MANY)
    queue.connection.execute("INSERT INTO public.enhancement_tasks (title) VALUES ('Made by hand')")
    assert counts(queue.bring(MANY[:3], target="server")) == (3, 0, 0, 0, 0)
    assert queue.rows("SELECT count(*)::int FROM public.enhancement_tasks WHERE status = 'pending'") == [
        (104,)
    ]


def test_most_of_a_scope_closes_only_when_it_is_confirmed(queue: Queue) -> None:
    queue.bring(MANY)
    assert queue.bring(MANY[:50]).closed == 50, "half is not over half"
    before = queue.rows()
    with pytest.raises(StateMoved, match="would close 26 of the 50 open tasks"):
        queue.bring(MANY[:24])
    assert queue.rows() == before
    assert queue.bring(MANY[:24], confirm=True).closed == 26


def test_what_the_report_says_is_done_closes_or_is_recorded(queue: Queue) -> None:
    queue.bring(MANY[:10])
    done = State("completed", "reported")
    report = queue.bring(
        [replace(f, status=done.status, disposition=done.disposition) for f in MANY[8:12]] + MANY[:8]
    )
    assert (report.closed, report.gone, report.recorded, report.new) == (2, 0, 2, 0)
    assert queue.states()["rule-9"] == queue.states()["rule-11"] == ("completed", "reported")
    assert queue.bring(MANY[:12]).reopened == 4


def test_a_dry_run_tells_the_same_and_changes_nothing(queue: Queue) -> None:
    queue.bring(MANY)
    before = queue.rows()
    other = [*MANY[20:], *(finding(number) for number in range(200, 205))]
    told = queue.bring(other, dry_run=True)
    assert queue.rows() == before
    done = queue.bring(other)
    assert replace(told, audit_id=done.audit_id) == done


def test_a_large_audit_goes_in_parts_and_an_upload_that_broke_off_is_finished(queue: Queue) -> None:
    policy = EnhancementsPolicy(findings_per_call=30)
    large = audit(MANY)
    first = [f.as_json() for f in large.different[:30]]
    begun = queue.database.call(
        "post_audit_apply_audit",
        content_hash=large.content_hash,
        source=large.source,
        target="",
        name="x",
        format="sarif",
        complete=True,
        total=100,
        findings=first,
    )
    assert isinstance(begun, dict)
    assert (begun["state"], begun["missing"]) == ("receiving", 70)
    stored = store_audit(queue.database, large, policy=policy)
    assert (stored.id, stored.state, stored.is_known) == (begun["id"], "received", False)
    assert store_audit(queue.database, large, policy=policy).is_known
    assert import_audit(queue.database, large, policy=policy).new == 100


def test_one_content_at_the_same_moment_is_imported_once(queue: Queue) -> None:
    barrier = threading.Barrier(4)

    def bring() -> ImportReport:
        barrier.wait()
        return import_audit(queue.database, audit(MANY))

    with ThreadPoolExecutor(4) as pool:
        reports = [future.result() for future in [pool.submit(bring) for _ in range(4)]]
    assert sorted(report.new for report in reports) == [0, 0, 0, 100]
    assert queue.rows("SELECT count(*)::int FROM public.enhancement_tasks") == [(100,)]
    assert queue.rows("SELECT count(*)::int FROM post_audit.audits") == [(1,)]


def test_events_are_appended(queue: Queue) -> None:
    queue.bring(MANY[:10])
    queue.bring([*MANY[1:9], replace(MANY[9], line=77)])
    assert queue.rows("SELECT kind, count(*)::int FROM post_audit.task_events GROUP BY 1 ORDER BY 1") == [
        ("changed", 1),
        ("closed", 1),
        ("new", 10),
    ]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"source": ""}, "needs a content hash"),
        ({"total": 0}, "at most its total"),
        ({"findings": [{"title": "no fingerprint"}]}, "fingerprint"),
    ],
    ids=["no source", "more than its total", "no fingerprint"],
)
def test_a_bad_upload_is_refused(queue: Queue, arguments: dict[str, object], what: str) -> None:
    given: dict[str, object] = {
        "content_hash": "x",
        "source": "s",
        "target": "",
        "name": "n",
        "format": "f",
        "complete": True,
        "total": 1,
        "findings": [MANY[0].as_json()],
    }
    with pytest.raises(InvalidArgument, match=what):
        queue.database.call("post_audit_apply_audit", **(given | arguments))
    assert queue.rows("SELECT count(*)::int FROM post_audit.audits") == [(0,)]
