"""Decisions are stored once, carried out as compare-and-set, approved, declined and taken back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from app.post_audit.errors import NotFound, StateMoved
from app.post_audit.ports import Database
from app.post_audit.step import Change, Channel, Decision, Message, Outcome
from tests.support import decisions

pytestmark = [pytest.mark.database]


def quota(connection: psycopg.Connection, channel: str = "sms") -> int:
    row = connection.execute(
        "SELECT daily_quota FROM public.infrastructure_config WHERE channel = %s", (channel,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def outbox(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT subject, version, payload ->> 'daily_quota', state FROM post_audit.outbox ORDER BY sequence"
    ).fetchall()


def test_an_armed_step_changes_state_and_leaves_messages_in_one_go(
    database: Database, connection: psycopg.Connection
) -> None:
    decisions.arm(database)
    decision = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
    assert decision["state"] == "applied"
    assert quota(connection) == 30_000
    assert outbox(connection) == [("capacity:sms", 1, "30000", "pending")]


def test_a_proposing_step_waits_for_approval(database: Database, connection: psycopg.Connection) -> None:
    decision = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
    assert (decision["state"], quota(connection), outbox(connection)) == ("proposed", 20_000, [])
    answer: Any = database.call(
        "post_audit_apply_approval", decision_id=decision["id"], actor=decisions.ACTOR
    )
    assert (answer["decision"]["state"], quota(connection)) == ("applied", 30_000)
    assert len(outbox(connection)) == 1
    with pytest.raises(StateMoved, match="nothing that waits"):
        database.call("post_audit_apply_approval", decision_id=decision["id"], actor=decisions.ACTOR)


def test_a_change_that_needs_a_person_waits_even_when_the_step_is_armed(
    database: Database, connection: psycopg.Connection
) -> None:
    decisions.arm(database)
    proposal = decisions.raise_quota(20_000, 30_000, needs_approval=decisions.reason("Costs a lot."))
    decision = decisions.decide(database, proposal, tick="1")
    assert (decision["state"], quota(connection)) == ("proposed", 20_000)
    assert decision["changes"][0]["needs_approval"]["text"] == "Costs a lot."


def test_a_declined_proposal_is_held(database: Database, connection: psycopg.Connection) -> None:
    decision = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
    answer: Any = database.call(
        "post_audit_apply_rejection", decision_id=decision["id"], actor=decisions.ACTOR, hold_days=3
    )
    assert (answer["decision"]["state"], quota(connection)) == ("rejected", 20_000)
    held = connection.execute(
        "SELECT subject, undone, until - now() > '2 days' FROM post_audit.holds"
    ).fetchall()
    assert held == [("capacity:sms", decisions.capacity(30_000), True)]


def test_a_newer_look_replaces_an_older_proposal(database: Database) -> None:
    first = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
    second = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="2")
    states: Any = database.call("post_audit_read_decisions")
    assert {decision["id"]: decision["state"] for decision in states} == {
        first["id"]: "superseded",
        second["id"]: "proposed",
    }
    waiting: Any = database.call("post_audit_read_decisions", waiting=True)
    assert [decision["id"] for decision in waiting] == [second["id"]]


def test_the_same_run_and_step_decides_once(database: Database, connection: psycopg.Connection) -> None:
    decisions.arm(database)
    run_id, token = decisions.begin(database, tick="1")
    arguments = {"run_id": run_id, "token": token, "step": "infrastructure"}
    first: Any = database.call(
        "post_audit_apply_decision", **arguments, decision=decisions.raise_quota(20_000, 30_000)
    )
    again: Any = database.call(
        "post_audit_apply_decision", **arguments, decision=decisions.raise_quota(30_000, 45_000)
    )
    assert again["repeated"]
    assert again["decision"] == first["decision"]
    assert quota(connection) == 30_000
    assert len(outbox(connection)) == 1


def test_state_that_moved_refuses_the_whole_decision(
    database: Database, connection: psycopg.Connection
) -> None:
    decisions.arm(database)
    connection.execute("UPDATE public.infrastructure_config SET daily_quota = 25000 WHERE channel = 'sms'")
    run_id, token = decisions.begin(database, tick="1")
    with pytest.raises(StateMoved, match="capacity:sms has changed"):
        database.call(
            "post_audit_apply_decision",
            run_id=run_id,
            token=token,
            step="infrastructure",
            decision=decisions.raise_quota(20_000, 30_000),
        )
    left = connection.execute(
        "SELECT (SELECT count(*) FROM post_audit.decisions), (SELECT count(*) FROM post_audit.outbox), "
        "(SELECT count(*) FROM post_audit.subjects)"
    ).fetchone()
    assert (quota(connection), left) == (25_000, (0, 0, 0))


def test_independent_changes_leave_out_only_what_moved(
    database: Database, connection: psycopg.Connection
) -> None:
    decisions.arm(database)
    both = Decision(
        outcome=Outcome.ACT,
        headline="Raised both.",
        reasons=(decisions.reason(),),
        independent=True,
        changes=(
            Change(subject="capacity:sms", before=decisions.capacity(1), after=decisions.capacity(30_000)),
            Change(
                subject="capacity:whatsapp",
                before=decisions.capacity(20_000),
                after=decisions.capacity(30_000),
            ),
        ),
    )
    decision = decisions.decide(database, both, tick="1")
    assert decision["counts"] == {"moved": 1, "applied": 1}
    assert (quota(connection), quota(connection, "whatsapp")) == (20_000, 30_000)


def test_a_long_decision_is_carried_out_in_batches(
    database: Database, connection: psycopg.Connection
) -> None:
    decisions.arm(database)
    ladder = Decision(
        outcome=Outcome.ACT,
        headline="Climbed.",
        reasons=(decisions.reason(),),
        changes=tuple(
            Change(
                subject="capacity:sms", before=decisions.capacity(rung), after=decisions.capacity(rung + 1)
            )
            for rung in range(20_000, 20_007)
        ),
        messages=(Message(channel=Channel.TELEGRAM, subject="ladder", payload={"text": "At the top."}),),
    )
    run_id, token = decisions.begin(database, tick="1")
    answer: Any = database.call(
        "post_audit_apply_decision",
        run_id=run_id,
        token=token,
        step="infrastructure",
        decision=ladder,
        batch=3,
    )
    assert (answer["remaining"], answer["decision"]["state"], quota(connection)) == (4, "applying", 20_003)
    assert outbox(connection) == []
    decision_id = answer["decision"]["id"]
    remaining = [
        database.call("post_audit_apply_batch", decision_id=decision_id, batch=3)["remaining"]  # type: ignore[call-overload,index]
        for _ in range(3)
    ]
    assert remaining == [1, 0, 0]
    assert quota(connection) == 20_007
    assert [row[0] for row in outbox(connection)] == ["ladder"]


def test_an_alert_leaves_whatever_becomes_of_the_changes(
    database: Database, connection: psycopg.Connection
) -> None:
    proposal = decisions.raise_quota(20_000, 30_000)
    alert = Message(channel=Channel.TELEGRAM, subject="spend", payload={"text": "Over."}, alert=True)
    decisions.decide(database, replace(proposal, messages=(*proposal.messages, alert)), tick="1")
    assert [row[0] for row in outbox(connection)] == ["spend"]


class TestUndo:
    """Taking back restores the exact values, tells the receivers under a higher version, and holds."""

    def test_restores_and_tells_and_holds(self, database: Database, connection: psycopg.Connection) -> None:
        decisions.arm(database)
        before = connection.execute(
            "SELECT to_jsonb(c) - '{version,updated_at}'::text[] FROM public.infrastructure_config c ORDER BY id"
        ).fetchall()
        decision = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
        answer: Any = database.call(
            "post_audit_apply_undo", decision_id=decision["id"], actor=decisions.ACTOR
        )
        after = connection.execute(
            "SELECT to_jsonb(c) - '{version,updated_at}'::text[] FROM public.infrastructure_config c ORDER BY id"
        ).fetchall()
        assert after == before
        # the raise had not left yet, so it is superseded and only the undo will be sent
        assert outbox(connection) == [
            ("capacity:sms", 1, "30000", "superseded"),
            ("capacity:sms", 2, "20000", "pending"),
        ]
        assert answer["decision"]["undoes"] == decision["id"]
        undone: Any = database.call("post_audit_read_decision", decision_id=decision["id"])
        assert (undone["state"], undone["undone_by"]) == ("undone", answer["decision"]["id"])
        assert connection.execute("SELECT undone, decision_id FROM post_audit.holds").fetchall() == [
            (decisions.capacity(30_000), answer["decision"]["id"])
        ]

    def test_under_a_later_decision_is_refused_naming_it(self, database: Database) -> None:
        decisions.arm(database)
        first = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
        second = decisions.decide(database, decisions.raise_quota(30_000, 45_000), tick="2")
        with pytest.raises(StateMoved, match=rf"stands under decision {second['id']}") as refused:
            database.call("post_audit_apply_undo", decision_id=first["id"], actor=decisions.ACTOR)
        assert f"post-audit undo {second['id']}" in refused.value.cure

    def test_one_after_the_other_goes_back_to_the_start(
        self, database: Database, connection: psycopg.Connection
    ) -> None:
        decisions.arm(database)
        first = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
        second = decisions.decide(database, decisions.raise_quota(30_000, 45_000), tick="2")
        for decision in (second, first):
            database.call("post_audit_apply_undo", decision_id=decision["id"], actor=decisions.ACTOR)
        assert quota(connection) == 20_000
        assert [row[1] for row in outbox(connection)] == [1, 2, 3, 4]

    def test_when_somebody_changed_it_by_hand_is_refused(
        self, database: Database, connection: psycopg.Connection
    ) -> None:
        decisions.arm(database)
        decision = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
        connection.execute(
            "UPDATE public.infrastructure_config SET daily_quota = 50000 WHERE channel = 'sms'"
        )
        with pytest.raises(StateMoved, match="has changed"):
            database.call("post_audit_apply_undo", decision_id=decision["id"], actor=decisions.ACTOR)
        assert quota(connection) == 50_000

    def test_twice_is_refused(self, database: Database) -> None:
        decisions.arm(database)
        decision = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
        database.call("post_audit_apply_undo", decision_id=decision["id"], actor=decisions.ACTOR)
        with pytest.raises(StateMoved, match="it is undone"):
            database.call("post_audit_apply_undo", decision_id=decision["id"], actor=decisions.ACTOR)

    def test_of_an_undo_does_it_again_and_lifts_the_hold(
        self, database: Database, connection: psycopg.Connection
    ) -> None:
        decisions.arm(database)
        decision = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
        undo: Any = database.call("post_audit_apply_undo", decision_id=decision["id"], actor=decisions.ACTOR)
        database.call("post_audit_apply_undo", decision_id=undo["decision"]["id"], actor=decisions.ACTOR)
        assert quota(connection) == 30_000
        assert connection.execute("SELECT count(*) FROM post_audit.holds").fetchone() == (0,)
        assert outbox(connection)[-1] == ("capacity:sms", 3, "30000", "pending")
        restored: Any = database.call("post_audit_read_decision", decision_id=decision["id"])
        assert restored["state"] == "applied"

    def test_of_a_redo_points_to_the_decision_that_stands(self, database: Database) -> None:
        decisions.arm(database)
        number = decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")["id"]
        last = number
        for _ in range(2):
            answer: Any = database.call("post_audit_apply_undo", decision_id=last, actor=decisions.ACTOR)
            last = answer["decision"]["id"]
        with pytest.raises(StateMoved) as refused:
            database.call("post_audit_apply_undo", decision_id=last, actor=decisions.ACTOR)
        assert f"post-audit undo {number}" in refused.value.cure
        database.call("post_audit_apply_undo", decision_id=number, actor=decisions.ACTOR)

    def test_of_what_must_not_come_back_is_refused_with_the_reason(self, database: Database) -> None:
        decisions.arm(database)
        final = replace(decisions.raise_quota(20_000, 30_000), final_because="It would show a false number.")
        decision = decisions.decide(database, final, tick="1")
        with pytest.raises(StateMoved, match="false number"):
            database.call("post_audit_apply_undo", decision_id=decision["id"], actor=decisions.ACTOR)

    def test_of_a_decision_that_does_not_exist_says_so(self, database: Database) -> None:
        with pytest.raises(NotFound, match="no decision 404"):
            database.call("post_audit_apply_undo", decision_id=404, actor=decisions.ACTOR)


def test_a_demonstration_sends_nothing(database: Database, connection: psycopg.Connection) -> None:
    connection.execute(
        "UPDATE post_audit.marketplace SET kind = 'demonstration', as_of = '2025-11-09' WHERE id = 1"
    )
    decisions.arm(database)
    decisions.decide(database, decisions.raise_quota(20_000, 30_000), tick="1")
    assert [row[3] for row in outbox(connection)] == ["demonstration"]
    assert database.call("post_audit_apply_claim_messages", owner="x") == []
