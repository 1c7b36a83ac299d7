"""The queue: its order, who gets what, what may be done with a task, and what is told about it."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.post_audit.errors import BindingNeeded, InvalidArgument, NotFound, StateMoved
from app.post_audit.steps.enhancements import queue as tasks
from app.post_audit.steps.enhancements.policy import Scoring
from app.post_audit.steps.enhancements.tasks import PENDING, Action, Filters, Priority, Task
from tests.database.steps.enhancements.audited import Queue, finding

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.database

LATER: Final = datetime.now(UTC) + timedelta(days=30)
SCORING: Final = Scoring()


def ids(found: Sequence[Task]) -> list[str]:
    return [str(task.id) for task in found]


def events(queue: Queue, task_id: str) -> list[tuple[str, str]]:
    return [(event.kind, event.actor) for event in reversed(tasks.show(queue.database, task_id).events)]


@pytest.fixture
def five(queue: Queue) -> list[str]:
    """Five tasks, the most urgent first."""
    severities = ["critical", "high", "high", "medium", "low"]
    queue.bring([finding(n, severity=severity) for n, severity in enumerate(severities)])
    return ids(tasks.list_tasks(queue.database, PENDING).tasks)


# ---- order ----


def score(task: Task, as_of: datetime) -> float:
    """The rule of the order, once more and by hand."""
    days = SCORING.days_to_fix[task.priority]
    age = max((as_of - task.first_seen_at).total_seconds() / 86_400, 0)
    closeness = (
        max(0, SCORING.due_points * (age * 2 / days - 1))
        if age <= days
        else SCORING.due_points + min((age - days) * SCORING.late_points_per_day, SCORING.late_points_most)
    )
    ageing = min(age * SCORING.age_points_per_day, SCORING.age_points_most)
    return SCORING.points[task.priority] * SCORING.impact.get(task.category, 1) + ageing + closeness


ROWS: Final = st.lists(
    st.tuples(
        st.sampled_from(get_args(Priority)),
        st.sampled_from(["security", "quality", "ui"]),
        st.integers(0, 300),
        st.sampled_from([None, "blocked", "reopened", "review"]),
    ),
    max_size=40,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, size=st.integers(1, 7), late=st.sampled_from([None, True, False]))
def test_pages_are_the_whole_order_cut_in_pieces(
    queue: Queue, rows: list[tuple[str, str, int, str | None]], size: int, late: bool | None
) -> None:
    queue.connection.execute("DELETE FROM public.enhancement_tasks")
    with queue.connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO public.enhancement_tasks (title, priority, category, first_seen_at, disposition)"
            " VALUES ('x', %s, %s, now() - make_interval(days => %s, hours => 1), %s)",
            rows,
        )
    wanted = Filters(status=("pending",), not_disposition=("review",), late=late)
    seen: list[Task] = []
    after: str | None = None
    while True:
        page = tasks.list_tasks(queue.database, wanted, limit=size, after=after)
        seen += page.tasks
        after = page.next
        if after is None:
            break
    as_of = page.as_of
    scores = [score(task, as_of) for task in seen]
    assert scores == pytest.approx(sorted(scores, reverse=True), abs=1e-6)
    assert [task.score for task in seen] == pytest.approx(scores, abs=0.051)
    expected = [
        row
        for row in rows
        if row[3] != "review" and (late is None or late == (row[2] >= SCORING.days_to_fix[row[0]]))
    ]
    assert len({task.id for task in seen}) == len(seen) == page.count == len(expected)
    if seen:
        shown = tasks.show(queue.database, str(seen[0].id)).task
        assert shown.score == pytest.approx(seen[0].score, abs=0.051)
        assert shown.late == seen[0].late


def test_a_late_low_task_passes_a_new_high_one(queue: Queue) -> None:
    queue.bring([finding(1, severity="low"), finding(2, severity="high")])
    queue.person("first_seen_at = now() - interval '300 days'", "rule-1")
    first = tasks.list_tasks(queue.database, PENDING).tasks[0]
    assert (first.rule, first.late, first.score) == ("rule-1", True, 120.0)
    assert [reason.split(":")[0] for reason in first.reasons] == ["10", "20", "90"]


def test_filters_choose(queue: Queue, five: list[str]) -> None:
    queue.person("category = 'security', source = 'Other', owner = 'asha'", "rule-4")

    def count(**wanted: Any) -> int | None:  # noqa: ANN401 - any filter
        return tasks.list_tasks(queue.database, Filters(**wanted)).count

    assert count() == len(five)
    assert count(priority=("high",)) == 2
    assert count(category=("security",)) == count(source="Other") == count(owner="asha") == 1
    assert count(owner="") == 4
    assert count(disposition=("none",)) == 5
    assert count(status=("completed",)) == count(late=True) == 0


def test_what_was_closed_last_comes_first(queue: Queue, five: list[str]) -> None:
    for task_id in five[:3]:
        tasks.act(queue.database, [task_id], Action.DONE, "asha")
    page = tasks.list_tasks(queue.database, Filters(), sort="recent", limit=2)
    assert ids(page.tasks) == [five[2], five[1]]
    rest = tasks.list_tasks(queue.database, Filters(), sort="recent", limit=2, after=page.next)
    assert (ids(rest.tasks), rest.next) == ([five[0]], None)


def test_a_place_of_another_list_is_refused(queue: Queue, five: list[str]) -> None:
    place = tasks.list_tasks(queue.database, PENDING, limit=len(five) - 1).next
    with pytest.raises(InvalidArgument, match="not one of this list"):
        tasks.list_tasks(queue.database, PENDING, sort="age", after=place)


# ---- claims ----


def test_a_claim_takes_the_most_urgent(queue: Queue, five: list[str]) -> None:
    claimed = tasks.claim(queue.database, "worker 1", limit=2).tasks
    assert ids(claimed) == five[:2]
    assert {(task.status, task.owner) for task in claimed} == {("in_progress", "worker 1")}
    assert ids(tasks.list_tasks(queue.database, PENDING).tasks) == five[2:]
    assert ids(tasks.claim(queue.database, "worker 2", limit=100).tasks) == five[2:]
    assert tasks.claim(queue.database, "worker 3").tasks == ()
    assert events(queue, five[0]) == [("new", "import"), ("claimed", "worker 1")]


def test_what_is_blocked_or_under_review_is_not_given_out(queue: Queue, five: list[str]) -> None:
    tasks.act(queue.database, [five[0]], Action.BLOCK, "asha", note="waits for the vendor")
    queue.person("disposition = 'review'", "rule-4")
    assert ids(tasks.claim(queue.database, "w", limit=100).tasks) == five[1:4]


def test_a_lease_that_ends_gives_the_task_back(queue: Queue, five: list[str]) -> None:
    tasks.claim(queue.database, "killed")
    queue.connection.execute(
        "UPDATE public.enhancement_tasks SET lease_expires_at = clock_timestamp() WHERE owner = 'killed'"
    )
    assert ids(tasks.claim(queue.database, "next").tasks) == five[:1]
    assert events(queue, five[0])[1:] == [
        ("claimed", "killed"),
        ("lease_ended", "protocol"),
        ("claimed", "next"),
    ]
    with pytest.raises(StateMoved, match="belongs to next"):
        tasks.act(queue.database, [five[0]], Action.DONE, "killed")


def test_a_sign_of_life_keeps_the_task(queue: Queue) -> None:
    queue.bring([finding(1)])
    (task,) = tasks.claim(queue.database, "w", lease_seconds=60).tasks
    (kept,) = tasks.act(queue.database, [str(task.id)], Action.EXTEND, "w", lease_seconds=600).tasks
    assert kept.lease_expires_at is not None
    assert task.lease_expires_at is not None
    assert kept.lease_expires_at - task.lease_expires_at > timedelta(seconds=500)
    assert kept.version == task.version, "a sign of life is no news"
    with pytest.raises(StateMoved, match="belongs to w until"):
        tasks.act(queue.database, [str(task.id)], Action.EXTEND, "another")


def test_workers_never_get_the_same_task(queue: Queue) -> None:
    queue.bring([finding(n, severity=["critical", "high", "low"][n % 3]) for n in range(120)])
    barrier = threading.Barrier(6)

    def work(name: int) -> list[str]:
        barrier.wait()
        taken: list[str] = []
        while found := tasks.claim(queue.database, f"w{name}", limit=3).tasks:
            taken += ids(found)
        return taken

    with ThreadPoolExecutor(6) as pool:
        taken = [task for each in pool.map(work, range(6)) for task in each]
    assert len(taken) == len(set(taken)) == 120
    assert queue.rows("SELECT count(*)::int FROM post_audit.task_events WHERE kind = 'claimed'") == [(120,)]


# ---- what a person does ----

WAYS: Final[list[tuple[Action, dict[str, Any], str, str | None]]] = [
    (Action.START, {}, "in_progress", None),
    (Action.BLOCK, {"note": "waits"}, "pending", "blocked"),
    (Action.DONE, {"note": "fixed in 1.2"}, "completed", None),
    (Action.CANCEL, {}, "cancelled", None),
    (Action.ACCEPT, {"note": "behind a firewall", "until": LATER}, "cancelled", "accepted"),
    (Action.FALSE_POSITIVE, {}, "cancelled", "false_positive"),
]


@pytest.mark.parametrize("way", WAYS, ids=[str(w[0]) for w in WAYS])
def test_an_action_leads_to_its_state_and_is_remembered(
    queue: Queue, five: list[str], way: tuple[Action, dict[str, Any], str, str | None]
) -> None:
    action, told, status, disposition = way
    (task,) = tasks.act(queue.database, five[:1], action, "asha", **told).tasks
    assert (task.status, task.disposition, task.note) == (status, disposition, told.get("note"))
    assert (task.completed_at is None) == (status in {"pending", "in_progress"})
    newest = tasks.show(queue.database, five[0]).events[0]
    assert (newest.actor, newest.note) == ("asha", told.get("note"))
    assert newest.after
    if status in {"completed", "cancelled"}:
        with pytest.raises(StateMoved, match="cannot be changed by done"):
            tasks.act(queue.database, five[:1], Action.DONE, "asha")
        (back,) = tasks.act(queue.database, five[:1], Action.REOPEN, "asha").tasks
        assert (back.status, back.disposition, back.completed_at, back.accepted_until) == (
            "pending",
            "reopened",
            None,
            None,
        )


def test_an_accepted_risk_comes_back_on_its_day(queue: Queue, five: list[str]) -> None:
    tasks.act(queue.database, five[:1], Action.ACCEPT, "asha", note="for now", until=LATER)
    assert queue.database.call("post_audit_apply_returned_tasks") == {"returned": 0}
    queue.person("accepted_until = now()", "rule-0")
    assert queue.database.call("post_audit_apply_returned_tasks") == {"returned": 1}
    assert queue.states()["rule-0"] == ("pending", "reopened")
    assert events(queue, five[0])[-1] == ("acceptance_ended", "protocol")


@pytest.mark.parametrize(
    ("action", "told", "what"),
    [
        (Action.ACCEPT, {"note": "why not"}, "until a day"),
        (Action.ACCEPT, {"note": "why not", "until": LATER + timedelta(days=400)}, "until a day"),
        (Action.ACCEPT, {"note": "why not", "until": datetime(2020, 1, 1, tzinfo=UTC)}, "until a day"),
        (Action.ACCEPT, {"note": " ", "until": LATER}, "without a reason"),
        (Action.BLOCK, {}, "without a reason"),
        (Action.PRIORITISE, {}, "A priority is"),
        (Action.MERGE, {}, "cannot be merged"),
        (Action.MERGE, {"keep": "1"}, "cannot be merged"),
        (Action.START, {"lease_seconds": 0}, "A lease takes"),
    ],
)
def test_what_lacks_its_particulars_is_refused(
    queue: Queue, action: Action, told: dict[str, Any], what: str
) -> None:
    queue.bring([finding(1)])
    before = queue.rows()
    with pytest.raises(InvalidArgument, match=what):
        tasks.act(queue.database, ["1"], action, "asha", **told)
    assert queue.rows() == before


def test_nothing_is_done_with_a_task_that_has_changed_since(queue: Queue, five: list[str]) -> None:
    read = tasks.show(queue.database, five[0]).task
    queue.person("priority = 'low'", "rule-0")
    with pytest.raises(StateMoved, match="has changed since it was read"):
        tasks.act(queue.database, five[:1], Action.DONE, "asha", seen=read.version)
    tasks.act(
        queue.database, five[:1], Action.DONE, "asha", seen=tasks.show(queue.database, five[0]).task.version
    )


def test_duplicates_are_merged_and_stay_merged(queue: Queue, five: list[str]) -> None:
    tasks.act(queue.database, five[1:3], Action.MERGE, "asha", keep=five[0])
    rows = queue.rows("SELECT status, disposition, duplicate_of FROM public.enhancement_tasks ORDER BY id")
    assert rows[1:3] == [("cancelled", "duplicate", int(five[0]))] * 2
    report = queue.bring([finding(n, line=77) for n in range(5)])
    assert (report.kept, report.reopened) == (2, 0)


def test_a_priority_that_a_person_sets_stays(queue: Queue, five: list[str]) -> None:
    tasks.act(queue.database, [five[-1]], Action.PRIORITISE, "asha", priority="critical")
    queue.bring([finding(n, severity="medium") for n in range(5)])
    assert tasks.show(queue.database, five[-1]).task.priority == "critical"


def test_what_was_under_review_is_confirmed(queue: Queue, five: list[str]) -> None:
    queue.person("disposition = 'review'", "rule-0")
    assert five[0] not in ids(tasks.list_tasks(queue.database, PENDING).tasks)
    tasks.act(queue.database, five[:1], Action.CONFIRM, "asha")
    assert five[0] in ids(tasks.list_tasks(queue.database, PENDING).tasks)
    with pytest.raises(StateMoved, match="cannot be changed by confirm"):
        tasks.act(queue.database, five[:1], Action.CONFIRM, "asha")


def test_of_several_each_stands_for_itself(queue: Queue, five: list[str]) -> None:
    tasks.act(queue.database, five[:1], Action.DONE, "asha")
    done = tasks.act(queue.database, [*five[:3], "999", "abc"], Action.CANCEL, "asha", note="out of scope")
    assert sorted(ids(done.tasks)) == sorted(five[1:3])
    assert {refused.id for refused in done.refused} == {five[0], "999", "abc"}
    assert all(refused.message for refused in done.refused)


def test_an_unknown_task_is_named(queue: Queue) -> None:
    with pytest.raises(NotFound, match="no task 7"):
        tasks.act(queue.database, ["7"], Action.DONE, "asha")
    with pytest.raises(NotFound, match="no task 7"):
        tasks.show(queue.database, "7")


def test_a_table_without_our_columns_is_listed_and_not_worked_on(queue: Queue, five: list[str]) -> None:
    queue.connection.execute("ALTER TABLE public.enhancement_tasks DROP COLUMN owner CASCADE")
    queue.connection.execute("SELECT post_audit.build_role_view('tasks', 'public.enhancement_tasks', '{}')")
    assert tasks.list_tasks(queue.database, PENDING).count == len(five)
    with pytest.raises(BindingNeeded, match="no column for: owner"):
        tasks.claim(queue.database, "w")


# ---- what is told ----


def test_statistics_add_up(queue: Queue, five: list[str]) -> None:
    tasks.act(queue.database, five[:1], Action.DONE, "asha")
    tasks.act(queue.database, five[1:2], Action.CANCEL, "asha")
    queue.bring([finding(n, severity="high") for n in (0, 1, 2, 3, 9)])
    told = tasks.statistics(queue.database, days=7)
    today = told.daily[-1]
    assert len(told.daily) == 7
    assert (today.opened, today.completed, today.put_aside, today.closed_by_audits, today.reopened) == (
        6,
        1,
        1,
        1,
        1,
    )
    assert today.open_at_end == sum(row.open for row in told.open) == 4
    assert (told.daily[0].open_at_end, today.opened_in_all, today.closed_in_all) == (0, 7, 3)
    assert Counter({row.priority: row.closed for row in told.closed}).total() == 1, "gone, and seen at once"


def test_late_closing_is_counted(queue: Queue, five: list[str]) -> None:
    queue.person("first_seen_at = now() - interval '10 days'", "rule-0")
    tasks.act(queue.database, five[:1], Action.DONE, "asha")
    (row,) = tasks.statistics(queue.database).closed
    assert (row.priority, row.closed, row.late, row.median_days) == ("critical", 1, 1, 10.0)


def test_the_last_audits_say_what_they_did(queue: Queue) -> None:
    queue.bring([finding(n) for n in range(4)])
    queue.bring([finding(n) for n in range(2, 5)])
    newest, first = tasks.recent_audits(queue.database).audits
    assert newest.report is not None
    assert (newest.report["new"], newest.report["closed"], newest.report["unchanged"]) == (1, 2, 2)
    page = tasks.recent_audits(queue.database, limit=1)
    assert page.next == newest.id
    assert tasks.recent_audits(queue.database, limit=1, before=page.next).audits == (first,)
