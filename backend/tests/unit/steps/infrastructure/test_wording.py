"""Tests of `app.post_audit.steps.infrastructure.wording`: every sentence that people are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given

from app.post_audit.step import Reason
from app.post_audit.steps.infrastructure.facts import Capacity, ChannelFacts, Hold, InfrastructureFacts
from app.post_audit.steps.infrastructure.judge import Cost, CostAlert, State, Verdict, judge, judge_cost
from app.post_audit.steps.infrastructure.wording import (
    channel_reasons,
    cost_reasons,
    headline,
    missing_reason,
    next_step,
    text_at_maximum,
    text_of_cost,
    text_of_raise,
)
from tests.unit.steps.infrastructure.examples import POLICY, any_facts, at, channel, facts

TAKEN_BACK = Hold(undone=Capacity(daily_quota=30_000, batch_size=750), until=at(24), decision_id=7)


def judged(each: ChannelFacts, as_of: datetime | None = None) -> Verdict:
    return judge(each, facts(each, as_of=as_of), POLICY)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def said(each: ChannelFacts, as_of: datetime | None = None) -> list[str]:
    return [plain(reason.text) for reason in channel_reasons(judged(each, as_of), POLICY)]


def codes(reasons: tuple[Reason, ...]) -> list[str]:
    return [reason.code.removeprefix("infrastructure.") for reason in reasons]


def test_a_raise_is_told_with_use_pace_and_what_binds() -> None:
    verdict = judged(channel(used_today=16_400, queued=300))
    reasons = channel_reasons(verdict, POLICY)

    assert codes(reasons) == ["runs_out", "pace", "quota_binds"]
    assert [plain(reason.text) for reason in reasons] == [
        "SMS: 16,400 used and 300 waiting are 83 % of 20,000; from 80 % on it grows by 50 %.",
        "SMS: at today's pace 20,000 last until 14:52 IST, 30,000 until 17:19 IST.",
        "SMS: what binds is the quota; its maximum is 1,00,000 a day.",
    ]
    assert reasons[1].numbers["runs_dry_at"] == "2025-11-12T09:22:41+00:00"
    assert reasons[2].numbers["new_quota"] == 30_000


def test_an_empty_quota_is_told_as_of_now_and_a_lasting_one_until_midnight() -> None:
    assert (
        said(channel(used_today=20_000, last_sent_at=at(23)), at(23))[1]
        == "SMS: at today's pace 20,000 last until 23:00 IST, 30,000 until midnight."
    )


@pytest.mark.parametrize("first_sent_at", [at(13.6), None])
def test_no_pace_is_told_where_none_can_be_read(first_sent_at: datetime | None) -> None:
    verdict = judged(channel(used_today=9_000, queued=9_000, first_sent_at=first_sent_at))

    assert codes(channel_reasons(verdict, POLICY)) == ["runs_out", "quota_binds"]


def test_reaching_the_maximum_is_said() -> None:
    verdict = judged(channel(daily_quota=80_000, used_today=64_000))
    reasons = channel_reasons(verdict, POLICY)

    assert reasons[-1].text.endswith("what binds is the maximum of 1,00,000 a day; it cannot grow again.")
    assert "quota_binds" not in codes(reasons)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"used_today": 15_999},
            "SMS: 15,999 used and 0 waiting are 79 % of 20,000, under 80 %.",
        ),
        (
            {"daily_quota": 100_000, "used_today": 90_000, "queued": 20_000},
            "SMS: 90,000 used and 20,000 waiting are 110 % of 1,00,000, and 1,00,000 a day is the maximum.",
        ),
        (
            {"used_today": 16_000, "hold": TAKEN_BACK},
            (
                "SMS: 16,000 used and 0 waiting are 80 % of 20,000, but a raise to 30,000 was taken back or declined; "
                "that holds until 13 Nov, 00:00 IST unless more than 30,000 are needed."
            ),
        ),
        (
            {"daily_quota": 0, "used_today": 0, "queued": 300},
            "SMS is switched off: its quota is 0, and 300 wait.",
        ),
        (
            {"used_today": 0, "first_sent_at": None, "last_sent_at": None},
            "SMS: no sent message was ever recorded. That is unknown, not zero.",
        ),
        (
            {"used_today": 900, "last_sent_at": at(11)},
            (
                "SMS: nothing was recorded since 12 Nov, 11:00 IST, over 30 minutes of sending hours ago; "
                "whether 900 of 20,000 is all that was used cannot be told."
            ),
        ),
    ],
    ids=["enough", "at its maximum", "taken back", "switched off", "never seen", "silent"],
)
def test_a_channel_that_stays_is_told_in_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    assert said(channel(**fields)) == [sentence]


def test_a_channel_without_a_capacity_is_named() -> None:
    assert missing_reason("whatsapp").text == "WhatsApp: no capacity is configured."
    assert missing_reason("rcs").text == "rcs: no capacity is configured."


@pytest.mark.parametrize(
    ("alert", "sentences"),
    [
        (None, []),
        (CostAlert.SPENT, ["₹10,447.20 spent today is over the alert at ₹10,000."]),
        (CostAlert.PROJECTED, ["With the higher quota ₹20,862 is over the alert at ₹10,000."]),
    ],
)
def test_the_cost_is_told_and_what_is_over_the_limit(alert: CostAlert | None, sentences: list[str]) -> None:
    cost = Cost(spent_paise=1_044_720, projected_paise=2_086_200, alert=alert)

    assert [reason.text for reason in cost_reasons(cost, POLICY)] == [
        "Today has cost ₹10,447.20 so far, and costs ₹20,862 if every quota is used up.",
        *sentences,
    ]


def test_no_cost_is_told_where_nothing_was_ever_recorded() -> None:
    assert cost_reasons(Cost(spent_paise=None, projected_paise=1, alert=None), POLICY) == ()


@pytest.mark.parametrize(
    ("channels", "missing", "sentence"),
    [
        ([channel()], [], "Today's capacity is enough."),
        ([channel(used_today=17_000)], [], "SMS gets 30,000 a day."),
        ([channel(daily_quota=100_000, used_today=90_000)], [], "SMS is full at its maximum."),
        ([channel(used_today=16_000, hold=TAKEN_BACK)], [], "SMS stays at 20,000."),
        ([channel(last_sent_at=at(11))], [], "SMS cannot be judged."),
        (
            [channel(used_today=17_000)],
            ["whatsapp"],
            "SMS gets 30,000 a day; WhatsApp cannot be judged.",
        ),
        ([], ["whatsapp", "sms"], "SMS and WhatsApp cannot be judged."),
        ([channel("rcs", used_today=17_000)], [], "rcs gets 30,000 a day."),
    ],
)
def test_the_headline_names_each_channel_that_needs_a_word(
    channels: list[ChannelFacts], missing: list[str], sentence: str
) -> None:
    assert headline([judged(each) for each in channels], missing) == sentence


def test_the_most_pressing_step_is_the_next() -> None:
    assert "maximum_daily_quota" in next_step({State.UNKNOWN, State.TAKEN_BACK, State.AT_MAXIMUM})
    assert next_step({State.UNKNOWN, State.TAKEN_BACK}).endswith("free again after midnight.")
    assert next_step({State.UNKNOWN, State.RAISE}) == "See whether n8n still records what it sends."
    assert next_step({State.RAISE, State.ENOUGH, State.OFF}) == ""


def test_a_raise_is_told_with_the_change_first_and_the_way_back_last() -> None:
    verdict = judged(channel(used_today=16_400, queued=300))
    first, second, *others, last = text_of_raise(verdict, channel_reasons(verdict, POLICY)).splitlines()

    assert first == "SMS quota: 20,000 → 30,000 a day."
    assert second == "n8n batch: 500 → 750 messages."
    assert others == [reason.text for reason in channel_reasons(verdict, POLICY)]
    assert last == "To take it back: post-audit undo {decision}"


def test_a_channel_at_its_maximum_is_told_with_what_may_be_done() -> None:
    verdict = judged(channel(daily_quota=100_000, used_today=90_000))
    told, may = text_at_maximum(channel_reasons(verdict, POLICY)).splitlines()

    assert told.endswith("1,00,000 a day is the maximum.")
    assert may == "Raise maximum_daily_quota if the carrier allows more; the rest waits for tomorrow."


def test_a_cost_is_told_with_what_is_over_first_and_only_channels_that_sent() -> None:
    unseen = channel(used_today=0, first_sent_at=None, last_sent_at=None)
    verdicts = [judged(channel("whatsapp", used_today=12_000)), judged(unseen)]
    reasons = cost_reasons(judge_cost(verdicts, POLICY), POLICY)

    assert text_of_cost(reasons, verdicts).splitlines() == [
        "₹10,357.20 spent today is over the alert at ₹10,000.",
        "Today has cost ₹10,357.20 so far, and costs ₹20,862 if every quota is used up.",
        "WhatsApp: 12,000 used, ₹10,357.20.",
    ]


@given(any_facts)
def test_headlines_are_short_and_sentences_have_no_gaps(given_facts: InfrastructureFacts) -> None:
    verdicts = [judge(each, given_facts, POLICY) for each in given_facts.channels]

    assert len(headline(verdicts, []).split()) <= 14
    for verdict in verdicts:
        reasons = channel_reasons(verdict, POLICY)
        assert reasons
        for reason in reasons:
            assert "{" not in reason.text
            assert "None" not in reason.text
