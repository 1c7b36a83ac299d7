"""Tests of `app.post_audit.steps.infrastructure.judge`: every state of a channel, its growth, and the cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from app.post_audit.steps.infrastructure.facts import Capacity, ChannelFacts, Hold, InfrastructureFacts
from app.post_audit.steps.infrastructure.judge import CostAlert, State, Verdict, judge, judge_cost
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


def judged(each: ChannelFacts, as_of: datetime | None = None) -> Verdict:
    return judge(each, facts(each, as_of=as_of), POLICY)


@pytest.mark.parametrize(
    ("used", "queued", "state"),
    [
        (15_999, 0, State.ENOUGH),
        (16_000, 0, State.RAISE),
        (10_000, 5_999, State.ENOUGH),
        (10_000, 6_000, State.RAISE),
        (25_000, 40_000, State.RAISE),
    ],
)
def test_a_channel_is_full_from_eighty_percent_on(used: int, queued: int, state: State) -> None:
    verdict = judged(channel(used_today=used, queued=queued))

    assert verdict.state is state
    assert verdict.present == Capacity(daily_quota=20_000, batch_size=500)
    assert (verdict.target != verdict.present) is (state is State.RAISE)


def test_the_ends_of_the_quotas_follow_todays_pace() -> None:
    verdict = judged(channel(used_today=16_000))

    assert verdict.has_pace
    assert (verdict.runs_dry_at, verdict.new_runs_dry_at) == (at(15), at(17.5))


def test_an_empty_quota_runs_dry_now_and_a_lasting_one_not_today() -> None:
    verdict = judged(channel(used_today=20_000, last_sent_at=at(23)), as_of=at(23))

    assert (verdict.runs_dry_at, verdict.new_runs_dry_at) == (at(23), None)


@pytest.mark.parametrize("first_sent_at", [at(13.6), None])
def test_no_pace_is_read_from_a_short_day(first_sent_at: datetime | None) -> None:
    verdict = judged(channel(used_today=9_000, queued=9_000, first_sent_at=first_sent_at))

    assert verdict.state is State.RAISE
    assert not verdict.has_pace
    assert (verdict.runs_dry_at, verdict.new_runs_dry_at) == (None, None)


def test_no_pace_is_read_from_messages_that_count_nothing() -> None:
    verdict = judged(channel(used_today=0, queued=18_000))

    assert verdict.state is State.RAISE
    assert not verdict.has_pace


@pytest.mark.parametrize(
    ("quota", "maximum", "batch", "quota_after", "batch_after"),
    [
        (20_000, 100_000, 500, 30_000, 750),
        (45_000, 100_000, 1_125, 67_500, 1_690),
        (67_500, 100_000, 4_000, 100_000, 5_000),
        (99_999, 100_000, 5_000, 100_000, 5_000),
        (20_000, 25_000, 500, 25_000, 625),
        (20_000, 500_000, 6_000, 30_000, 6_000),
        (90_000, 500_000, 500, 100_000, 556),
        (1, 100_000, 1, 2, 2),
        (33_333, 100_000, 500, 50_000, 751),
    ],
)
def test_growth_is_rounded_up_and_stops_at_the_maximum(
    quota: int, maximum: int, batch: int, quota_after: int, batch_after: int
) -> None:
    full = channel(daily_quota=quota, maximum_daily_quota=maximum, batch_size=batch, used_today=quota)

    verdict = judged(full)

    assert verdict.target == Capacity(daily_quota=quota_after, batch_size=batch_after)
    assert verdict.maximum == min(maximum, 100_000)


@pytest.mark.parametrize("quota", [100_000, 120_000])
def test_a_full_channel_at_its_maximum_stays(quota: int) -> None:
    verdict = judged(channel(daily_quota=quota, used_today=quota))

    assert verdict.state is State.AT_MAXIMUM
    assert verdict.target.daily_quota == quota


@pytest.mark.parametrize("need", [16_000, 30_000])
def test_a_raise_that_was_taken_back_stays_so_while_it_would_do(need: int) -> None:
    hold = Hold(undone=Capacity(daily_quota=30_000, batch_size=750), until=at(24), decision_id=7)
    verdict = judged(channel(used_today=16_000, queued=need - 16_000, hold=hold))

    assert (verdict.state, verdict.hold) == (State.TAKEN_BACK, hold)
    assert verdict.target == verdict.present


@pytest.mark.parametrize(
    ("fields", "until"),
    [
        ({"used_today": 16_000, "queued": 14_001}, at(24)),
        ({"used_today": 16_000}, at(14)),
        ({"daily_quota": 30_000, "used_today": 29_000}, at(24)),
    ],
    ids=["the need is higher", "the hold has ended", "the quota was raised by hand"],
)
def test_a_hold_binds_no_longer_than_it_should(fields: dict[str, Any], until: datetime) -> None:
    hold = Hold(undone=Capacity(daily_quota=30_000, batch_size=750), until=until, decision_id=7)
    verdict = judged(channel(hold=hold, **fields))

    assert (verdict.state, verdict.hold) == (State.RAISE, None)


def test_never_recorded_is_unknown_and_not_zero() -> None:
    unseen = channel(used_today=0, queued=50_000, first_sent_at=None, last_sent_at=None)
    verdict = judged(unseen)

    assert verdict.state is State.UNKNOWN
    assert not verdict.is_seen
    assert (verdict.runs_dry_at, verdict.new_runs_dry_at) == (None, None)


def test_a_channel_that_is_switched_off_is_left_off() -> None:
    assert judged(channel(daily_quota=0, used_today=0, queued=300)).state is State.OFF


@pytest.mark.parametrize(
    ("as_of", "last_sent_at", "state"),
    [
        (at(14), at(13.5), State.ENOUGH),
        (at(14), at(13.4), State.UNKNOWN),
        (at(0.2), at(-3.1), State.ENOUGH),
        (at(9.9), at(-3.1), State.ENOUGH),
        (at(10.3), at(-3.1), State.ENOUGH),
        (at(10.6), at(-3.1), State.UNKNOWN),
        (at(0.2), at(-9), State.UNKNOWN),
        (at(23.9), at(20.9), State.ENOUGH),
        (at(10.2), at(-24 - 3.1), State.UNKNOWN),
        (at(14), at(-24 * 400), State.UNKNOWN),
    ],
    ids=[
        "half an hour",
        "more than half an hour",
        "a quiet night",
        "before the sending hours",
        "the sending hours have just begun",
        "the sending hours begin without it",
        "silent since yesterday afternoon",
        "after the sending hours",
        "silent for a whole day",
        "silent for a year",
    ],
)
def test_silence_counts_in_sending_hours(as_of: datetime, last_sent_at: datetime, state: State) -> None:
    used = 1_000 if last_sent_at >= MIDNIGHT else 0
    quiet: dict[str, Any] = {"used_today": used, "first_sent_at": None, "last_sent_at": last_sent_at}

    assert judged(channel(**quiet), as_of).state is state
    assert judged(channel("whatsapp", **quiet), as_of).state is state


def test_recorded_use_is_evidence_even_when_records_stopped() -> None:
    assert judged(channel(last_sent_at=at(11), used_today=16_000)).state is State.RAISE


def test_what_waits_is_no_evidence_when_records_stopped() -> None:
    assert judged(channel(last_sent_at=at(11), used_today=900, queued=19_000)).state is State.UNKNOWN


def test_a_cost_adds_up_what_was_recorded() -> None:
    unseen = channel(used_today=0, first_sent_at=None, last_sent_at=None)
    seen = channel("whatsapp", used_today=5_000)

    assert judge_cost([judged(unseen)], POLICY).spent_paise is None
    cost = judge_cost([judged(unseen), judged(seen)], POLICY)
    assert (cost.spent_paise, cost.projected_paise) == (431_550, 360_000 + 1_726_200)


def test_a_cost_over_the_limit_asks_for_an_alert() -> None:
    over = judged(channel("whatsapp", used_today=12_000))

    assert over.spent_paise == 1_035_720
    assert judge_cost([over], POLICY).alert is CostAlert.SPENT
    exactly = InfrastructurePolicy(cost_alert_paise=1_035_720)
    assert judge_cost([over], exactly).alert is None


@pytest.mark.parametrize(("limit_paise", "alert"), [(540_000, None), (539_999, CostAlert.PROJECTED)])
def test_a_raise_whose_cost_passes_the_limit_asks_for_an_alert(
    limit_paise: int, alert: CostAlert | None
) -> None:
    limited = InfrastructurePolicy(cost_alert_paise=limit_paise)

    assert judge_cost([judged(channel(used_today=16_000))], limited).alert is alert


def test_the_cost_of_full_quotas_alone_is_no_alarm() -> None:
    cost = judge_cost([judged(channel()), judged(channel("whatsapp"))], POLICY)

    assert cost.projected_paise == 2_086_200
    assert cost.alert is None


# --- what always holds ------------------------------------------------------------------------------------


@given(any_facts)
def test_only_a_raise_grows_and_nothing_shrinks(given_facts: InfrastructureFacts) -> None:
    for each in given_facts.channels:
        verdict = judge(each, given_facts, POLICY)
        if verdict.state is State.RAISE:
            assert each.daily_quota < verdict.target.daily_quota <= verdict.maximum
            assert each.batch_size <= verdict.target.batch_size
        else:
            assert verdict.target == verdict.present


@given(any_channel())
def test_a_raise_rests_on_what_is_certain(each: ChannelFacts) -> None:
    verdict = judged(each)

    if verdict.state is State.RAISE:
        assert each.last_sent_at is not None
        is_observed = at(14) - each.last_sent_at <= timedelta(minutes=30)
        certain = each.used_today + (each.queued if is_observed else 0)
        assert certain >= POLICY.scale_at * each.daily_quota


@given(any_channel())
def test_a_larger_quota_never_ends_earlier(each: ChannelFacts) -> None:
    verdict = judged(each)

    if verdict.new_runs_dry_at is not None:
        assert verdict.runs_dry_at is not None
        assert verdict.runs_dry_at <= verdict.new_runs_dry_at
