"""What is late is the same everywhere: in the list, in the statistics, and in what the step says."""

from __future__ import annotations

import pytest

from app.post_audit.steps.enhancements import STEP
from app.post_audit.steps.enhancements import queue as tasks
from app.post_audit.steps.enhancements.tasks import Filters
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
