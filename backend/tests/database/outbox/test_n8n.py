"""Settings reach n8n signed, are acknowledged by the version that comes back, and survive whatever it does."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest

from app.post_audit.errors import StateMoved
from app.post_audit.outbox import dispatch
from app.post_audit.ports import Database
from tests.support import decisions
from tests.support.outbox import Outbox, Passing, n8n
from tests.support.receiver import Kind, Receiver

pytestmark = [pytest.mark.database]

# Longer than the first retry.
PATIENCE = 10.0


@pytest.mark.both_transports
def test_a_setting_is_signed_applied_once_and_acknowledged_by_its_version(
    outbox: Outbox, receiver: Receiver
) -> None:
    decisions.arm(outbox.database)
    decision = decisions.decide(outbox.database, decisions.raise_quota(20_000, 30_000), tick="1")
    assert outbox.deliver(n8n(receiver)) == {"applied": 1}
    (request,) = receiver.requests
    assert request.body["data"] == {"daily_quota": 30_000, "batch_size": 500}
    assert (request.body["subject"], request.body["version"]) == ("capacity:sms", 1)
    assert (request.body["decision_id"], request.body["id"]) == (
        decision["id"],
        request.headers["webhook-id"],
    )
    assert outbox.details() == ["It has applied version 1."]
    assert outbox.deliver(n8n(receiver)) == {}


FAULTS: dict[Kind, tuple[str, str]] = {
    "500": ("pending", "It answered 500."),
    "404": ("pending", "Nothing listens there: publish the workflow, and check the address."),
    "429": ("pending", "It is asked too often."),
    "silence": ("pending", "It did not answer within 0.3 s."),
    "drip headers": ("pending", "It did not answer within 0.3 s."),
    "drip body": ("pending", "It did not answer within 0.3 s."),
    "drop after applying": ("pending", "The connection broke before the answer was whole."),
    "cut": ("pending", "The connection broke before the answer was whole."),
    "redirect": ("pending", "It answered 302 and pointed to another address, which is not followed."),
    "accept and forget": ("sent", "It answered 200 and did not say which version it applied."),
    "huge body": ("sent", "It answered 200 and did not say which version it applied."),
    "bomb": ("sent", "It answered 200 and did not say which version it applied."),
    "not json": ("sent", "It answered 200 and did not say which version it applied."),
    "other version": ("sent", "It says that version 0 is in force, and was sent 1."),
    "other subject": ("sent", "It answered about another subject."),
}


def test_whatever_goes_wrong_the_message_comes_again_under_its_id_and_is_applied_once(
    outbox: Outbox, receiver: Receiver, passing: Passing
) -> None:
    for number, (fault, expected) in enumerate(FAULTS.items()):
        subject = f"capacity:{number}"
        outbox.set(number, subject)
        receiver.faults.append(fault)
        began = time.monotonic()
        outbox.deliver(n8n(receiver, total_seconds=0.3))
        assert time.monotonic() - began < 2, fault
        assert outbox.rows("state, detail")[-1] == expected, fault
        assert outbox.deliver(n8n(receiver)) == {}, f"{fault}: no retry before its time"
        outbox.deliver(n8n(receiver), patience=PATIENCE, stop=passing)
        assert outbox.states()[-1] == "applied", fault
    tries: dict[str, set[str]] = {}
    for request in receiver.requests:
        tries.setdefault(request.body["subject"], set()).add(request.headers["webhook-id"])
    assert [len(ids) for ids in tries.values()] == [1] * len(FAULTS)
    assert sorted(receiver.applied) == sorted((f"capacity:{number}", 1) for number in range(len(FAULTS)))
    assert receiver.elsewhere == 0


def test_a_receiver_that_asks_for_three_seconds_gets_three(
    outbox: Outbox, receiver: Receiver, passing: Passing
) -> None:
    outbox.set(1)
    receiver.faults.append("429")
    assert outbox.deliver(n8n(receiver), patience=4, stop=passing) == {"pending": 1, "applied": 1}
    assert 2.9 < passing.seconds < 4


def test_a_receiver_that_declines_is_not_asked_again(outbox: Outbox, receiver: Receiver) -> None:
    outbox.set(1)
    receiver.faults.append("declined")
    assert outbox.deliver(n8n(receiver)) == {"refused": 1}
    assert outbox.details() == ["It declined version 1: over [2J the plan's maximum"]
    assert dispatch(outbox.database, n8n(receiver)).due_in_seconds is None


def test_a_receiver_that_is_down_is_tried_once_for_all_that_wait(outbox: Outbox, receiver: Receiver) -> None:
    for number in range(5):
        outbox.set(number, f"capacity:{number}")
    receiver.faults.extend(["500"] * 5)
    delivery = dispatch(outbox.database, n8n(receiver))
    assert (dict(delivery.states), len(receiver.requests)) == ({"pending": 1}, 1)
    assert delivery.due_in_seconds is not None
    assert 3 < delivery.due_in_seconds <= 6.3


def test_a_wrong_secret_is_refused_and_what_waits_arrives_once_it_is_right(
    outbox: Outbox, receiver: Receiver, passing: Passing
) -> None:
    outbox.set(1)
    wrong = n8n(receiver, secret="whsec_" + "A" * 40)
    assert outbox.deliver(wrong) == {"pending": 1}
    assert outbox.details() == [
        "It refuses who we are: the signing secret or the header is not the one it knows."
    ]
    assert receiver.applied == []
    outbox.deliver(n8n(receiver), patience=10, stop=passing)
    assert receiver.applied == [("capacity:sms", 1)]


def test_after_a_day_a_message_is_given_up_and_a_person_may_try_or_drop_it(
    outbox: Outbox, receiver: Receiver, passing: Passing
) -> None:
    outbox.set(1)
    receiver.faults.extend(["500"] * 200)
    senders = n8n(receiver)
    while outbox.states() == ["pending"]:
        passing.wait(dispatch(outbox.database, senders).due_in_seconds or 0)
    assert outbox.states() == ["dead"]
    tries = len(receiver.requests)
    assert 50 < tries < 60
    assert 86_400 <= passing.seconds < 88_700
    assert outbox.details()[0] == f"Given up after {tries} tries. It answered 500."
    receiver.faults.clear()
    (number,) = (row[0] for row in outbox.rows("sequence"))
    outbox.database.call("post_audit_apply_message_retry", number=number, actor="a test")
    assert outbox.deliver(n8n(receiver)) == {"applied": 1}
    for function in ("retry", "drop"):
        with pytest.raises(StateMoved, match="is applied"):
            outbox.database.call(f"post_audit_apply_message_{function}", number=number, actor="a test")
    outbox.set(2)
    dropped: Any = outbox.database.call("post_audit_apply_message_drop", number=number + 1, actor="a test")
    assert dropped["state"] == "dropped"
    assert outbox.deliver(n8n(receiver)) == {}


def test_an_older_version_is_never_sent_after_a_newer_one(
    outbox: Outbox, receiver: Receiver, connection: psycopg.Connection
) -> None:
    outbox.set(1)
    outbox.set(2)
    assert outbox.states() == ["superseded", "pending"]
    assert outbox.deliver(n8n(receiver)) == {"applied": 1}
    # as if somebody had put it back, past the command that refuses to
    connection.execute("UPDATE post_audit.outbox SET state = 'dead' WHERE version = 1")
    (old,) = (row[0] for row in outbox.rows("sequence")[:1])
    with pytest.raises(StateMoved, match="version 2 has followed"):
        outbox.database.call("post_audit_apply_message_retry", number=old, actor="a test")
    connection.execute("UPDATE post_audit.outbox SET state = 'pending' WHERE version = 1")
    assert outbox.deliver(n8n(receiver)) == {}
    assert outbox.states() == ["superseded", "applied"]
    assert receiver.applied == [("capacity:sms", 2)]


def test_a_newer_version_waits_for_the_older_one_that_is_on_its_way(
    outbox: Outbox, receiver: Receiver, connection: psycopg.Connection
) -> None:
    outbox.set(1)
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        assert go_on.wait(30)

    receiver.pause = hold
    slow = threading.Thread(target=outbox.deliver, args=(n8n(receiver, total_seconds=30),))
    slow.start()
    assert inside.wait(30)
    outbox.set(2)
    # The same receiver under another name: its turn does not keep us from it, only the version does.
    other = n8n(receiver)
    assert (
        outbox.database.call(
            "post_audit_apply_claim_messages",
            owner="another",
            receiver="n8n_scale:another",
            channel="n8n_scale",
        )
        == []
    )
    assert outbox.deliver(other) == {}
    receiver.pause = lambda: None
    go_on.set()
    slow.join()
    assert outbox.deliver(other) in ({"applied": 1}, {})
    assert outbox.states() == ["superseded", "applied"]
    assert (
        outbox.details()[0]
        == f"replaced by decision {outbox.decision} It was on its way: It has applied version 1."
    )
    assert receiver.applied == [("capacity:sms", 1), ("capacity:sms", 2)]
    del connection


def test_several_workers_keep_the_order_of_each_subject_and_meet_nobody_at_the_receiver(
    outbox: Outbox, receiver: Receiver, database: Database
) -> None:
    rounds, subjects = 5, 3

    def work() -> None:
        dispatch(database, n8n(receiver), patience_seconds=1)

    for number in range(rounds):
        for subject in range(subjects):
            outbox.set(number, f"capacity:{subject}")
        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    for subject in range(subjects):
        versions = [version for name, version in receiver.applied if name == f"capacity:{subject}"]
        assert versions == sorted(set(versions))
        assert versions[-1] == rounds
    assert receiver.busiest == 1
    assert {row[2] for row in outbox.rows()} == {"applied"}


def test_a_worker_that_died_while_sending_leaves_a_repeat_that_the_receiver_drops(
    outbox: Outbox, receiver: Receiver, passing: Passing
) -> None:
    outbox.set(1)
    senders = n8n(receiver)
    pace = senders["n8n_scale"].pace
    assert pace is not None
    claimed: Any = outbox.database.call(
        "post_audit_apply_claim_messages", owner="dead", receiver=pace.receiver, channel="n8n_scale"
    )
    assert len(claimed) == 1
    assert outbox.deliver(senders) == {}
    assert outbox.deliver(senders, patience=61, stop=passing) == {"applied": 1}
    assert 59 < passing.seconds < 61
    assert receiver.requests[0].headers["webhook-id"] == claimed[0]["message_id"]
    with pytest.raises(StateMoved, match="no longer claimed"):
        outbox.database.call(
            "post_audit_apply_settle_message",
            message_id=claimed[0]["message_id"],
            owner="dead",
            state="applied",
            detail="late",
        )


def test_old_messages_are_pruned_but_not_what_is_still_looked_at(
    outbox: Outbox, receiver: Receiver, connection: psycopg.Connection
) -> None:
    for number in range(3):
        outbox.set(number)
        outbox.tell(f"Spend {number}.")
        outbox.put("telegram", f"bug_alert:{number % 2}", {"text": "A bug.", "bugs": [str(number % 2)]})
    outbox.deliver(n8n(receiver))
    connection.execute(
        "UPDATE post_audit.outbox SET settled_at = now() - interval '91 days',"
        " state = CASE state WHEN 'pending' THEN 'delivered' ELSE state END"
    )
    outbox.set(9)
    assert outbox.database.call("post_audit_apply_prune_messages") == {"pruned": 5}
    decision: Any = outbox.database.call("post_audit_read_decision", decision_id=outbox.decision)
    assert decision["messages_removed"] == {
        "n8n_scale:applied": 1,
        "n8n_scale:superseded": 2,
        "telegram:delivered": 2,
    }
    assert [row[0] for row in outbox.rows("subject")] == [
        "bug_alert:0",
        "bug_alert:1",
        "spend",
        "bug_alert:0",
        "capacity:sms",
    ]


def test_old_messages_go_by_themselves_once_a_day_in_parts(
    outbox: Outbox, connection: psycopg.Connection
) -> None:
    for number in range(6):
        outbox.set(number)
    connection.execute(
        "UPDATE post_audit.outbox SET settled_at = now() - interval '91 days', state = 'applied' WHERE true"
    )

    def tidy() -> Any:  # noqa: ANN401 - JSON
        return outbox.database.call("post_audit_maintain_old_messages", keep_days=90, limit=3)

    # in parts, until nothing is left; then not again within the day, however much there is
    assert [tidy()["pruned"], tidy()["pruned"]] == [3, 2]
    connection.execute("UPDATE post_audit.outbox SET settled_at = now() - interval '91 days' WHERE true")
    outbox.set(7)
    assert tidy() == {"is_due": False, "pruned": 0}
    connection.execute("UPDATE post_audit.upkeep SET done_at = now() - interval '25 hours' WHERE true")
    assert tidy() == {"is_due": True, "pruned": 1}
    assert [row[0] for row in outbox.rows("state")] == ["pending"]


def test_one_worker_at_a_time_deletes_old_messages(
    outbox: Outbox, connection: psycopg.Connection, conninfo: str
) -> None:
    with psycopg.connect(conninfo) as other:
        other.execute("SELECT 1 FROM post_audit.upkeep WHERE what = 'old messages' FOR UPDATE")
        assert outbox.database.call("post_audit_maintain_old_messages") == {"is_due": False, "pruned": 0}
    assert outbox.database.call("post_audit_maintain_old_messages") == {"is_due": True, "pruned": 0}
    assert connection.execute(
        "SELECT done_at > now() - interval '1 minute' FROM post_audit.upkeep"
    ).fetchone()
