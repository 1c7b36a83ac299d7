"""Alerts reach a chat within its limits, say the same thing once, and lose nothing."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace

import psycopg
import pytest

from app.post_audit.outbox import dispatch
from app.post_audit.step import Channel, Message
from tests.support import decisions
from tests.support.outbox import Outbox, Passing, telegram
from tests.support.telegram import CHAT, GROUP, BotApi

pytestmark = [pytest.mark.database]

PATIENCE = 3.5


@pytest.fixture
def clocked(passing: Passing) -> BotApi:
    """Telegram by the clock that passes without anybody waiting."""
    began = time.monotonic()
    return BotApi(clock=lambda: time.monotonic() - began + passing.seconds)


@pytest.mark.both_transports
def test_an_alert_says_what_happened_why_how_to_take_it_back_and_which_decision_it_was(
    outbox: Outbox, api: BotApi
) -> None:
    decisions.arm(outbox.database)
    raised = decisions.raise_quota(20_000, 30_000)
    told = Message(
        channel=Channel.TELEGRAM,
        subject="capacity:sms",
        payload={"text": "Raised <b>SMS</b> & more.\n5 < 7."},
    )
    decision = decisions.decide(outbox.database, replace(raised, messages=(told,)), tick="1")
    assert outbox.deliver(telegram(api)) == {"delivered": 1}
    number = decision["id"]
    footer = (
        f"Decision {number}. Why: post-audit decisions {number}\nTo take it back: post-audit undo {number}"
    )
    assert api.shown == [f"Raised <b>SMS</b> & more.\n5 < 7.\n\n{footer}"]


def test_a_proposal_says_how_to_agree(outbox: Outbox, api: BotApi) -> None:
    alert = Message(channel=Channel.TELEGRAM, subject="spend", payload={"text": "Costs a lot."}, alert=True)
    proposal = replace(decisions.raise_quota(20_000, 30_000), messages=(alert,))
    number = decisions.decide(outbox.database, proposal, tick="1")["id"]
    outbox.deliver(telegram(api))
    assert api.shown[0].endswith(f"To agree: post-audit approve {number}")


def test_after_429_with_three_seconds_there_is_one_delivery_three_to_four_seconds_later(
    outbox: Outbox, passing: Passing, clocked: BotApi
) -> None:
    outbox.tell("Spend is high.")
    with clocked as api:
        api.asks.append(3)
        assert outbox.deliver(telegram(api), patience=PATIENCE, stop=passing) == {
            "pending": 1,
            "delivered": 1,
        }
        (_, asked), (_, told) = api.calls
        assert 3 <= told - asked <= 4
        assert len(api.shown) == 1


@pytest.mark.slow
def test_the_same_by_the_clock_on_the_wall(outbox: Outbox, api: BotApi) -> None:
    outbox.tell("Spend is high.")
    api.asks.append(3)
    assert outbox.deliver(telegram(api), patience=PATIENCE) == {"pending": 1, "delivered": 1}
    (_, asked), (_, told) = api.calls
    assert 3 <= told - asked <= 4
    assert len(api.shown) == 1


@pytest.mark.parametrize("amount", [(200, 25), pytest.param((1000, 50), marks=pytest.mark.slow)])
def test_many_alerts_a_minute_stay_within_the_limit_of_a_group_and_none_is_lost(
    outbox: Outbox, passing: Passing, clocked: BotApi, amount: tuple[int, int]
) -> None:
    total, different = amount
    for number in range(total):
        outbox.tell(f"Alert {number % different}.", f"subject:{number % different}")
    with clocked as api:
        senders = telegram(api, chat=GROUP)

        def work() -> None:
            while (
                dispatch(outbox.database, senders, patience_seconds=PATIENCE, stop=passing).due_in_seconds
                is not None
            ):
                passing.wait(2)

        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert api.exceeded == 0
        told = [at for _, at in api.calls]
        for first, last in zip(told, told[20:], strict=False):
            assert last - first >= 60
        assert set(outbox.states()) == {"delivered"}
        assert sorted(text.split("\n")[0] for text in api.shown) == sorted(
            f"Alert {n}." for n in range(different)
        )
        assert all(f"Said {total // different} times" in text for text in api.shown)


def test_what_says_the_same_is_counted_on_the_message_that_said_it_first(
    outbox: Outbox, passing: Passing, clocked: BotApi
) -> None:
    with clocked as api:
        senders = telegram(api)
        outbox.tell("Spend is high.")
        outbox.deliver(senders, patience=PATIENCE, stop=passing)
        for _ in range(3):
            outbox.tell("Spend is high.")
        outbox.deliver(senders, patience=PATIENCE, stop=passing)
        assert Counter(method for method, _ in api.calls) == {"sendMessage": 1, "editMessageText": 1}
        (text,) = api.shown
        assert "Said 4 times since " in text
        # the same words after others about the subject are news again
        outbox.tell("Spend is fine.")
        outbox.deliver(senders, patience=PATIENCE, stop=passing)
        outbox.tell("Spend is high.")
        outbox.deliver(senders, patience=PATIENCE, stop=passing)
        assert [text.split("\n")[0] for text in api.shown] == [
            "Spend is high.",
            "Spend is fine.",
            "Spend is high.",
        ]
        # and so they are after a day
        passing.wait(90_000)
        outbox.tell("Spend is high.")
        outbox.deliver(senders, patience=PATIENCE, stop=passing)
        assert len(api.shown) == 4


def test_waiting_alerts_are_not_merged_across_what_was_said_in_between(
    outbox: Outbox, passing: Passing, clocked: BotApi
) -> None:
    for text in ("Hidden.", "Hidden.", "Shown.", "Hidden."):
        outbox.tell(text, "leaderboard")
    with clocked as api:
        outbox.deliver(telegram(api), patience=PATIENCE, stop=passing)
        assert [text.split("\n")[0] for text in api.shown] == ["Hidden.", "Shown.", "Hidden."]
    assert outbox.states() == ["delivered"] * 4


def test_a_message_that_was_deleted_is_said_anew_in_a_turn_of_its_own(
    outbox: Outbox, passing: Passing, clocked: BotApi
) -> None:
    with clocked as api:
        senders = telegram(api)
        outbox.tell("Spend is high.")
        outbox.deliver(senders, patience=PATIENCE, stop=passing)
        api.chats[CHAT].clear()
        outbox.tell("Spend is high.")
        outbox.deliver(senders, patience=PATIENCE, stop=passing)
        assert [method for method, _ in api.calls] == ["sendMessage", "editMessageText", "sendMessage"]
        assert (len(api.shown), api.exceeded) == (1, 0)


def test_what_telegram_refuses_waits_and_says_why(
    outbox: Outbox, passing: Passing, clocked: BotApi, connection: psycopg.Connection
) -> None:
    def told(senders: object) -> str:
        connection.execute("UPDATE post_audit.receivers SET free_at = '-infinity'")
        connection.execute("UPDATE post_audit.outbox SET next_attempt_at = now() - interval '1 hour'")
        outbox.deliver(senders)  # type: ignore[arg-type]
        return outbox.details()[0]

    outbox.tell("Spend is high.")
    with clocked as api:
        assert told(telegram(api, token="123456789:" + "A" * 35)).startswith("Telegram does not know the bot")
        assert told(telegram(api, chat="5")) == "Telegram answered 400: Bad Request: chat not found"
        api.moved_to = -100_5
        assert told(telegram(api)).endswith("set TELEGRAM_CHAT_ID to -1005.")
        api.moved_to = None
        api.faults.append(502)
        assert (
            told(telegram(api))
            == "Telegram answered 502: Internal Server Error at /bot[redacted]/sendMessage"
        )
        assert outbox.states() == ["pending"]
        passing.wait(60)
        assert told(telegram(api)) == "Message 101."


def test_a_lost_answer_costs_at_most_a_repeat_that_names_the_same_decision(
    outbox: Outbox, passing: Passing, clocked: BotApi
) -> None:
    outbox.tell("Spend is high.")
    with clocked as api:
        api.faults.append(0)
        assert outbox.deliver(telegram(api), patience=7, stop=passing) == {"pending": 1, "delivered": 1}
        assert len(set(api.shown)) == 1
        assert f"Decision {outbox.decision}." in api.shown[0]


def test_nothing_of_a_demonstration_is_sent(
    outbox: Outbox, api: BotApi, connection: psycopg.Connection
) -> None:
    connection.execute("UPDATE post_audit.marketplace SET kind = 'demonstration', as_of = now()")
    outbox.tell("Spend is high.")
    outbox.set(1)
    assert outbox.deliver(telegram(api)) == {}
    assert outbox.states() == ["demonstration", "demonstration"]
