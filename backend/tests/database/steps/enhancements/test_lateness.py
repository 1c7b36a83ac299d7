"""What is late is the same everywhere: in the list, in the statistics, and in what the step says."""

from __future__ import annotations

import pytest

from app.post_audit.steps.enhancements import STEP
from app.post_audit.steps.enhancements import queue as tasks
from app.post_audit.steps.enhancements.tasks import Action, Filters, Sort, Status
from tests.database.steps.enhancements.audited import Queue, finding

pytestmark = pytest.mark.database


def test_what_waits_for_a_review_is_late_nowhere(queue: Queue) -> None:
    queue.bring([finding(number) for number in range(4)])
    for rule in ("rule-0", "rule-1", "rule-2"):
        queue.person("first_seen_at = now() - interval '400 days'", rule)
    queue.person("disposition = 'review'", "rule-1")
    queue.person("disposition = 'blocked'", "rule-2")
    listed = tasks.list_tasks(queue.database, Filters(not_disposition=("review",), late=True))
    (counted,) = tasks.statistics(queue.database).open
    decided = STEP.run(queue.database, queue.now())
    assert {task.rule for task in listed.tasks} == {"rule-0", "rule-2"}
    assert (counted.open, counted.review, counted.late) == (4, 1, 2)
    assert (decided.numbers["open"], decided.numbers["late"]) == (4, 2)


@pytest.mark.parametrize("sort", ["score", "age", "recent"])
def test_what_is_closed_is_not_late(queue: Queue, sort: Sort) -> None:
    queue.bring([finding(number) for number in range(3)])
    queue.person("first_seen_at = now() - interval '400 days'", "rule-0")
    queue.person("first_seen_at = now() - interval '400 days'", "rule-1")
    (closed,) = (
        task.id for task in tasks.list_tasks(queue.database, Filters()).tasks if task.rule == "rule-1"
    )
    tasks.act(queue.database, [str(closed)], Action.DONE, "asha")
    every: tuple[Status, ...] = ("pending", "in_progress", "completed", "cancelled")

    def rules(*, late: bool | None) -> tuple[dict[str | None, bool | None], int | None]:
        page = tasks.list_tasks(queue.database, Filters(status=every, late=late), sort=sort)
        return {task.rule: task.late for task in page.tasks}, page.count

    if sort == "recent":  # lists only what is closed, without a score and what belongs to it
        assert rules(late=None)[0] == rules(late=False)[0] == {"rule-1": None}
        assert rules(late=True)[0] == {}
    else:
        assert rules(late=None) == ({"rule-0": True, "rule-1": False, "rule-2": False}, 3)
        assert rules(late=False) == ({"rule-1": False, "rule-2": False}, 2)
        assert rules(late=True) == ({"rule-0": True}, 1)
