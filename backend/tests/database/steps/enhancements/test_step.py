"""Audits that arrived are taken up by a run, and a run's import can be taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from app.post_audit.errors import StateMoved
from app.post_audit.step import Outcome
from app.post_audit.steps.enhancements import STEP
from tests.database.steps.enhancements.audited import Queue, finding
from tests.support import decisions

if TYPE_CHECKING:
    from app.post_audit.ports import Database

pytestmark = pytest.mark.database

MANY = [finding(number) for number in range(20)]
WITHOUT_CLOCK = "SELECT * FROM public.enhancement_tasks ORDER BY id"


@pytest.fixture(autouse=True)
def _armed(database: Database) -> None:
    decisions.arm(database, "enhancements")


def test_no_audit_ever_is_unknown(queue: Queue) -> None:
    decision = queue.run()
    assert (decision["outcome"], decision["headline"]) == ("unknown", "No audit was ever seen.")


def test_a_received_audit_is_imported_by_the_next_run(queue: Queue) -> None:
    audit_id = queue.store([finding(1, severity="critical"), *MANY[2:]])
    assert queue.rows() == []
    decision = queue.run()
    assert (decision["state"], decision["changes"][0]["subject"]) == ("applied", f"audit:{audit_id}")
    assert decision["numbers"]["audits"][0]["preview"]["new"] == 19
    assert len(queue.rows()) == 19
    assert [m["subject"] for m in decision["messages"]] == [f"audit:{audit_id}"]
    after = queue.run()
    assert (after["outcome"], after["headline"]) == ("nothing", "No new audit; 19 open tasks, 0 late.")


def test_an_import_that_is_taken_back_leaves_the_queue_as_it_was(queue: Queue) -> None:
    queue.store(MANY)
    queue.run()
    queue.person("status = 'completed'", "rule-5")
    before = queue.rows()
    queue.store([*MANY[:3], *(finding(n, line=99) for n in range(3, 18)), finding(50)])
    decision = queue.run()
    assert queue.rows() != before
    undone = queue.undo(decision)
    assert undone["state"] == "applied"
    assert queue.rows() == before
    assert queue.run()["outcome"] == "blocked", "held: it is not imported again by itself"
    queue.undo(undone)
    assert queue.states()["rule-50"] == ("pending", None)
    assert queue.states()["rule-19"] == ("completed", "gone")


def test_an_import_whose_tasks_were_worked_on_stays(queue: Queue) -> None:
    queue.store(MANY)
    decision = queue.run()
    queue.person("status = 'in_progress'", "rule-5")
    before = queue.rows()
    with pytest.raises(StateMoved, match="1 of its tasks were worked on since"):
        queue.undo(decision)
    assert queue.rows() == before


def test_an_import_under_a_later_one_stays(queue: Queue) -> None:
    queue.store(MANY)
    first = queue.run()
    queue.store(MANY[1:])
    second = queue.run()
    with pytest.raises(StateMoved, match="was imported after it"):
        queue.undo(first)
    queue.undo(second)
    queue.undo(first)
    assert queue.rows() == []


def test_closing_most_of_a_scope_waits_for_a_person(queue: Queue) -> None:
    queue.store(MANY)
    queue.run()
    queue.store(MANY[:4])
    decision = queue.run()
    assert (decision["state"], decision["headline"]) == ("proposed", "One audit waits for approval.")
    assert queue.states()["rule-9"] == ("pending", None)
    answer: Any = queue.database.call("post_audit_apply_approval", decision_id=decision["id"], actor="a test")
    assert answer["decision"]["state"] == "applied"
    assert queue.states()["rule-9"] == ("completed", "gone")
    undone = queue.undo(decision)
    assert queue.states()["rule-9"] == ("pending", None)
    queue.undo(undone)
    assert queue.states()["rule-9"] == ("completed", "gone"), "who restores it has seen the numbers"


def test_an_approval_is_good_for_the_number_that_was_approved(queue: Queue) -> None:
    queue.store(MANY)
    queue.run()
    queue.store(MANY[:4])
    decision = queue.run()
    queue.connection.execute(
        "INSERT INTO public.enhancement_tasks (title, source, fingerprint) VALUES ('One more', 'Scanner', 'x')"
    )
    with pytest.raises(StateMoved, match="would close 17 of the 21 open tasks"):
        queue.database.call("post_audit_apply_approval", decision_id=decision["id"], actor="a test")
    assert queue.states()["rule-9"] == ("pending", None)


def test_several_audits_of_one_scope_are_imported_in_order(queue: Queue) -> None:
    queue.store(MANY)
    queue.store(MANY[1:])
    queue.store([*MANY[1:], finding(99)])
    decision = queue.run()
    assert decision["counts"] == {"applied": 3}
    assert queue.states()["rule-0"] == ("completed", "gone")
    assert queue.states()["rule-99"] == ("pending", None)


def test_one_that_would_close_too_much_after_the_others_waits_for_the_next_run(queue: Queue) -> None:
    queue.store(MANY)
    queue.store(MANY[:2])
    assert queue.run()["counts"] == {"applied": 1, "moved": 1}
    assert queue.run()["state"] == "proposed"
    assert queue.states()["rule-9"] == ("pending", None)


def test_an_older_audit_never_overtakes_a_newer_one(queue: Queue) -> None:
    queue.store(MANY)
    queue.run()
    old = queue.store(MANY[:4])
    assert queue.run()["state"] == "proposed"
    queue.store(MANY[1:])
    queue.run()
    assert queue.rows(f"SELECT state FROM post_audit.audits WHERE id = {old}") == [("superseded",)]  # noqa: S608 - a test


def test_a_refused_file_is_named_for_a_while(queue: Queue) -> None:
    queue.database.call(
        "post_audit_apply_refused_audit", content_hash="x", name="cut.json", error="It was cut off."
    )
    queue.database.call(
        "post_audit_apply_refused_audit", content_hash="x", name="cut.json", error="It was cut off."
    )
    texts = [reason["text"] for reason in queue.run()["reasons"]]
    assert "cut.json could not be read: It was cut off." in texts
    later = STEP.run(queue.database, queue.now() + timedelta(days=8))
    assert all("cut.json" not in reason.text for reason in later.reasons)


def test_late_tasks_are_counted_by_their_priority(queue: Queue) -> None:
    queue.store([finding(1, severity="critical"), finding(2)])
    queue.run()
    decision = STEP.run(queue.database, queue.now() + timedelta(days=8))
    assert (decision.outcome, decision.headline) == (Outcome.NOTHING, "No new audit; 2 open tasks, 1 late.")
    assert STEP.run(queue.database, queue.now() + timedelta(days=50)).outcome is Outcome.UNKNOWN
