"""Tests of `app.post_audit.steps.infrastructure.decide`: changes, messages and numbers, and what always holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.step import Channel, Decision, Outcome
from app.post_audit.steps.infrastructure.decide import decide
from app.post_audit.steps.infrastructure.facts import (
    Capacity,
    ChannelFacts,
    FormerDay,
    Hold,
    InfrastructureFacts,
)
from app.post_audit.steps.infrastructure.policy import InfrastructurePolicy
from tests.unit.steps.infrastructure.examples import (
    MIDNIGHT,
    POLICY,
    any_channel,
    any_facts,
    at,
    channel,
    facts,
)


def codes(decision: Decision) -> list[str]:
    return [reason.code.removeprefix("infrastructure.") for reason in decision.reasons]


def texts(decision: Decision) -> str:
    return "\n".join(reason.text for reason in decision.reasons).replace("\N{NO-BREAK SPACE}", " ")


def telegrams(decision: Decision) -> dict[str, str]:
    return {
        message.subject: str(message.payload["text"]).replace("\N{NO-BREAK SPACE}", " ")
        for message in decision.messages
        if message.channel is Channel.TELEGRAM
    }


def test_under_the_limit_nothing_is_done() -> None:
    decision = decide(facts(channel(used_today=15_999)), POLICY)

    assert decision.outcome is Outcome.NOTHING
    assert decision.headline == "Today's capacity is enough."
    assert codes(decision) == ["enough", "enough", "cost"]
    assert "SMS: 15,999 used and 0 waiting are 79 % of 20,000, under 80 %." in texts(decision)
    assert decision.messages == ()
    assert decision.next == ""


@pytest.mark.parametrize(("used", "queued"), [(16_000, 0), (10_000, 6_000), (25_000, 40_000)])
def test_from_the_limit_on_the_quota_grows_by_half(used: int, queued: int) -> None:
    decision = decide(facts(channel(used_today=used, queued=queued)), POLICY)

    assert decision.outcome is Outcome.ACT
    assert decision.headline == "SMS gets 30,000 a day."
    (change,) = decision.changes
    assert change.subject == "capacity:sms"
    assert change.before == {"daily_quota": 20_000, "batch_size": 500}
    assert change.after == {"daily_quota": 30_000, "batch_size": 750}


def test_n8n_is_told_absolute_values_and_the_way_back() -> None:
    decision = decide(facts(channel(used_today=16_400)), POLICY)

    (message,) = (each for each in decision.messages if each.channel is Channel.N8N_SCALE)
    (undo,) = decision.undo_messages
    assert message.subject == undo.subject == "capacity:sms"
    assert message.payload == {
        "channel": "sms",
        "daily_quota": 30_000,
        "batch_size": 750,
        "day": "2025-11-12",
    }
    assert undo.payload == {"channel": "sms", "daily_quota": 20_000, "batch_size": 500, "day": "2025-11-12"}
    assert undo.channel is Channel.N8N_SCALE


def test_telegram_is_told_use_change_pace_cost_and_the_way_back() -> None:
    decision = decide(facts(channel(used_today=16_400, queued=300)), POLICY)

    assert telegrams(decision)["capacity:sms"].splitlines() == [
        "SMS quota: 20,000 → 30,000 a day.",
        "n8n batch: 500 → 750 messages.",
        "SMS: 16,400 used and 300 waiting are 83 % of 20,000; from 80 % on it grows by 50 %.",
        "SMS: at today's pace 20,000 last until 14:52 IST, 30,000 until 17:19 IST.",
        "SMS: what binds is the quota; its maximum is 1,00,000 a day.",
        "Today has cost ₹7,267.50 so far, and costs ₹22,662 if every quota is used up.",
        "With the higher quota ₹22,662 is over the alert at ₹10,000.",
        "To take it back: post-audit undo {decision}",
    ]
    assert not decision.messages[1].alert


@pytest.mark.parametrize("quota", [100_000, 120_000])
def test_full_at_the_maximum_is_blocked_and_alerted_once_a_day(quota: int) -> None:
    full = channel(daily_quota=quota, used_today=quota)
    decision = decide(facts(full), POLICY)

    assert decision.outcome is Outcome.BLOCKED
    assert decision.headline == "SMS is full at its maximum."
    assert "1,00,000 a day is the maximum." in texts(decision)
    assert "maximum_daily_quota" in decision.next
    assert "1,00,000 a day is the maximum." in telegrams(decision)["capacity:sms:maximum"]
    assert all(message.alert for message in decision.messages)

    again = decide(facts(full, alerted=frozenset({"capacity:sms:maximum", "capacity:cost:spent"})), POLICY)
    assert again.outcome is Outcome.BLOCKED
    assert again.messages == ()


@pytest.mark.parametrize("need", [16_000, 30_000])
def test_a_raise_that_was_taken_back_stays_so_while_it_would_do(need: int) -> None:
    hold = Hold(undone=Capacity(daily_quota=30_000, batch_size=750), until=at(24), decision_id=7)
    decision = decide(facts(channel(used_today=16_000, queued=need - 16_000, hold=hold)), POLICY)

    assert decision.outcome is Outcome.BLOCKED
    assert decision.headline == "SMS stays at 20,000."
    assert "holds until 13 Nov, 00:00 IST unless more than 30,000 are needed" in texts(decision)
    assert decision.messages == ()


def test_never_recorded_is_unknown_and_not_zero() -> None:
    silent: dict[str, Any] = {"used_today": 0, "first_sent_at": None, "last_sent_at": None}
    decision = decide(facts(channel(**silent, queued=50_000), channel("whatsapp", **silent)), POLICY)

    assert decision.outcome is Outcome.UNKNOWN
    assert decision.headline == "SMS and WhatsApp cannot be judged."
    assert codes(decision) == ["never_seen", "never_seen"]
    assert decision.numbers["spent_paise"] is None
    channels = decision.numbers["channels"]
    assert isinstance(channels, dict)
    assert channels["sms"]["used"] is None
    assert channels["sms"]["share"] is None


def test_silence_is_told_with_what_is_certain() -> None:
    decision = decide(facts(channel(last_sent_at=at(11), used_today=900)), POLICY)

    assert decision.headline == "SMS cannot be judged."
    assert "nothing was recorded since 12 Nov, 11:00 IST" in texts(decision)
    assert "whether 900 of 20,000 is all" in texts(decision)
    assert decision.next == "See whether n8n still records what it sends."


def test_one_acts_and_one_is_unknown() -> None:
    decision = decide(facts(channel(used_today=17_000), channel("whatsapp", last_sent_at=at(11))), POLICY)

    assert decision.outcome is Outcome.ACT
    assert decision.headline == "SMS gets 30,000 a day; WhatsApp cannot be judged."
    assert [change.subject for change in decision.changes] == ["capacity:sms"]
    assert "silent" in codes(decision)
    assert decision.independent


def test_both_act_each_by_its_own_use() -> None:
    busy = channel(used_today=17_000), channel("whatsapp", used_today=40_000, daily_quota=45_000)
    decision = decide(facts(*busy), POLICY)

    assert decision.headline == "SMS gets 30,000 a day; WhatsApp gets 67,500 a day."
    assert [change.subject for change in decision.changes] == ["capacity:sms", "capacity:whatsapp"]
    assert len(decision.undo_messages) == 2


def test_an_uneven_split_hides_no_full_channel() -> None:
    decision = decide(facts(channel(used_today=19_000), channel("whatsapp", used_today=500)), POLICY)

    assert decision.headline == "SMS gets 30,000 a day."


def test_a_channel_that_is_switched_off_is_left_off() -> None:
    decision = decide(facts(channel(daily_quota=0, used_today=0, queued=300)), POLICY)

    assert decision.outcome is Outcome.NOTHING
    assert "SMS is switched off: its quota is 0, and 300 wait." in texts(decision)


def test_a_channel_without_a_capacity_is_unknown() -> None:
    alone = replace(facts(), channels=(channel(),))
    decision = decide(alone, POLICY)

    assert decision.outcome is Outcome.UNKNOWN
    assert decision.headline == "WhatsApp cannot be judged."
    assert "WhatsApp: no capacity is configured." in texts(decision)
    assert decision.numbers["not_configured"] == ["whatsapp"]


def test_no_capacity_at_all_is_unknown() -> None:
    decision = decide(replace(facts(), channels=()), POLICY)

    assert decision.outcome is Outcome.UNKNOWN
    assert decision.headline == "SMS and WhatsApp cannot be judged."


def test_a_channel_of_another_name_is_judged_too() -> None:
    decision = decide(facts(channel("rcs", used_today=17_000)), POLICY)

    assert decision.headline == "rcs gets 30,000 a day."


def test_cost_over_the_limit_is_alerted_once_a_day() -> None:
    expensive = channel("whatsapp", daily_quota=20_000, used_today=12_000), channel(used_today=500)
    decision = decide(facts(*expensive), POLICY)

    assert decision.outcome is Outcome.NOTHING
    assert "₹10,447.20 spent today is over the alert at ₹10,000." in texts(decision)
    (alert,) = decision.messages
    assert alert.alert
    assert telegrams(decision)["capacity:cost:spent"].splitlines() == [
        "₹10,447.20 spent today is over the alert at ₹10,000.",
        "Today has cost ₹10,447.20 so far, and costs ₹20,862 if every quota is used up.",
        "WhatsApp: 12,000 used, ₹10,357.20.",
        "SMS: 500 used, ₹90.",
    ]

    again = decide(facts(*expensive, alerted=frozenset({"capacity:cost:spent"})), POLICY)
    assert again.messages == ()
    assert "cost_spent" in codes(again)


def test_an_alert_on_cost_reads_no_zero_from_a_channel_without_records() -> None:
    unseen = channel(used_today=0, first_sent_at=None, last_sent_at=None)
    decision = decide(facts(unseen, channel("whatsapp", used_today=12_000)), POLICY)

    assert "SMS" not in telegrams(decision)["capacity:cost:spent"]


@pytest.mark.parametrize(("limit_paise", "codes_of_cost"), [(540_000, []), (539_999, ["cost_projected"])])
def test_a_raise_whose_cost_passes_the_limit_is_alerted(limit_paise: int, codes_of_cost: list[str]) -> None:
    only_sms = InfrastructurePolicy(channels=("sms",), cost_alert_paise=limit_paise)
    alone = replace(facts(), channels=(channel(used_today=16_000),))
    decision = decide(alone, only_sms)

    assert [code for code in codes(decision) if code.startswith("cost_")] == codes_of_cost
    assert ("capacity:cost:projected" in telegrams(decision)) is bool(codes_of_cost)


def test_the_cost_of_full_quotas_alone_is_no_alarm() -> None:
    decision = decide(facts(), POLICY)

    assert decision.numbers["projected_paise"] == 2_086_200
    assert codes(decision)[-1] == "cost"


def test_the_numbers_of_a_channel_are_complete() -> None:
    former = FormerDay(day=date(2025, 11, 11), used=18_000, used_by_this_time=9_000)
    decision = decide(facts(channel(used_today=16_400, queued=300, former_days=(former,))), POLICY)

    channels = decision.numbers["channels"]
    assert isinstance(channels, dict)
    assert channels["sms"] == {
        "state": "raise",
        "used": 16_400,
        "queued": 300,
        "quota": 20_000,
        "new_quota": 30_000,
        "maximum": 100_000,
        "batch_size": 500,
        "new_batch_size": 750,
        "share": 0.82,
        "rate_millipaise": 18_000,
        "spent_paise": 295_200,
        "projected_paise": 540_000,
        "runs_dry_at": "2025-11-12T09:22:41+00:00",
        "new_runs_dry_at": "2025-11-12T11:49:01+00:00",
        "last_sent_at": "2025-11-12T08:29:00+00:00",
        "former_days": [{"day": "2025-11-11", "used": 18_000, "used_by_this_time": 9_000}],
    }
    assert decision.numbers["spent_paise"] == 295_200 + 431_550
    assert decision.numbers["day"] == "2025-11-12"


@given(any_facts)
def test_no_quota_is_ever_lowered_or_raised_above_the_maximum(given_facts: InfrastructureFacts) -> None:
    decision = decide(given_facts, POLICY)

    by_name = {each.channel: each for each in given_facts.channels}
    for change in decision.changes:
        each = by_name[change.subject.removeprefix("capacity:")]
        maximum = min(each.maximum_daily_quota, POLICY.maximum_daily_quota)
        maximum_batch = max(each.batch_size, min(each.maximum_batch_size, POLICY.maximum_batch_size))
        quota, batch = change.after["daily_quota"], change.after["batch_size"]
        assert isinstance(quota, int)
        assert isinstance(batch, int)
        assert each.daily_quota < quota <= maximum
        assert each.batch_size <= batch <= maximum_batch


@given(any_facts)
def test_before_after_messages_and_the_way_back_agree(given_facts: InfrastructureFacts) -> None:
    decision = decide(given_facts, POLICY)

    told = {each.subject: each.payload for each in decision.messages if each.channel is Channel.N8N_SCALE}
    back = {each.subject: each.payload for each in decision.undo_messages}
    assert set(told) == set(back) == {change.subject for change in decision.changes}
    for change in decision.changes:
        address = {"channel": change.subject.removeprefix("capacity:"), "day": "2025-11-12"}
        assert told[change.subject] == {**address, **change.after}
        assert back[change.subject] == {**address, **change.before}


@given(any_channel())
def test_what_is_unknown_never_acts(each: ChannelFacts) -> None:
    decision = decide(facts(each), POLICY)

    channels = decision.numbers["channels"]
    assert isinstance(channels, dict)
    assert (channels["sms"]["state"] == "raise") is (decision.outcome is Outcome.ACT)
    if each.last_sent_at is None:
        assert decision.outcome is not Outcome.ACT
    if decision.outcome is Outcome.ACT:
        certain = each.used_today
        if each.last_sent_at is not None and at(14) - each.last_sent_at <= POLICY.stale_after:
            certain += each.queued
        assert certain >= POLICY.scale_at * each.daily_quota


@given(any_channel(), st.integers(0, 100_000))
def test_more_use_never_leads_to_less_capacity(each: ChannelFacts, more: int) -> None:
    if each.last_sent_at is None or each.last_sent_at < MIDNIGHT:
        more = 0
    less_used = decide(facts(each), POLICY)
    more_used = decide(facts(replace(each, used_today=each.used_today + more)), POLICY)

    assert {change.subject for change in less_used.changes} <= {
        change.subject for change in more_used.changes
    }
    assert _new_quota(less_used) <= _new_quota(more_used)


@given(any_facts)
def test_headlines_are_short_and_reasons_have_no_gaps(given_facts: InfrastructureFacts) -> None:
    decision = decide(given_facts, POLICY)

    assert len(decision.headline.split()) <= 14
    assert decision.reasons
    for reason in decision.reasons:
        assert "{" not in reason.text
        assert "None" not in reason.text


def _new_quota(decision: Decision) -> int:
    channels = decision.numbers["channels"]
    assert isinstance(channels, dict)
    quota = channels["sms"]["new_quota"]
    assert isinstance(quota, int)
    return quota
