"""Invites, claims and messages: a true difference, days with nights, and a quota that runs short."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from app.post_audit.demonstration.market import Market
from app.post_audit.demonstration.suppliers import EXPERIMENT_DAYS, Directory, make_directory
from app.post_audit.demonstration.tables import DAY, HOUR, IST_OFFSET, NOW, iso
from app.post_audit.demonstration.traffic import (
    QUOTAS,
    TRUE_RATES,
    VARIANTS,
    WINNER,
    Claims,
    Invites,
    make_claims,
    make_invites,
)

SEED = 5
MIDNIGHT = (NOW + IST_OFFSET) // DAY * DAY - IST_OFFSET


@pytest.fixture(scope="module")
def directory() -> Directory:
    return make_directory(SEED)


@pytest.fixture(scope="module")
def invites(directory: Directory) -> Invites:
    return make_invites(directory, SEED)


@pytest.fixture(scope="module")
def claims(directory: Directory, invites: Invites) -> Claims:
    return make_claims(directory, invites, SEED)


def used(market: Market, days_ago: int) -> Counter[str]:
    """Units a channel has used on one day in India."""
    begins, ends = iso(MIDNIGHT - days_ago * DAY), iso(MIDNIGHT - (days_ago - 1) * DAY)
    sends = market.table("public.invites_sent")
    units: Counter[str] = Counter()
    rows = zip(sends.column("channel"), sends.column("segments"), sends.column("sent_at"), strict=True)
    for channel, segments, sent_at in rows:
        if sent_at is not None and begins <= str(sent_at) < ends:
            units[str(channel)] += int(segments or 0)
    return units


def test_a_supplier_is_invited_once_within_the_experiment(invites: Invites) -> None:
    assert len(set(invites.supplier.tolist())) == len(invites.supplier) > 20_000
    assert invites.sent_at.min() > NOW - EXPERIMENT_DAYS * DAY
    assert invites.sent_at.max() <= NOW


def test_invites_leave_only_in_the_hours_of_promotion(invites: Invites) -> None:
    hours = (invites.sent_at + IST_OFFSET) % DAY // HOUR
    assert set(hours.tolist()) == set(range(10, 21))


def test_a_coin_decides_which_message_a_supplier_gets(invites: Invites) -> None:
    assert abs(invites.variant.mean() - 0.5) < 0.02


def test_a_claim_comes_after_its_invite_and_is_verified_after_it_came(
    invites: Invites, claims: Claims
) -> None:
    invited_at = dict(zip(invites.supplier.tolist(), invites.sent_at.tolist(), strict=True))
    came = [
        claimed_at - invited_at[supplier]
        for supplier, claimed_at in zip(claims.supplier.tolist(), claims.claimed_at.tolist(), strict=True)
        if supplier in invited_at
    ]
    assert min(came) >= 0
    verified = claims.verified_at > 0
    assert (claims.verified_at[verified] > claims.claimed_at[verified]).all()


def test_nearly_all_verified_claims_come_within_three_days(invites: Invites, claims: Claims) -> None:
    invited_at = dict(zip(invites.supplier.tolist(), invites.sent_at.tolist(), strict=True))
    hours = [
        (verified_at - invited_at[supplier]) / HOUR
        for supplier, verified_at in zip(claims.supplier.tolist(), claims.verified_at.tolist(), strict=True)
        if verified_at and invited_at.get(supplier, NOW) < NOW - 6 * DAY
    ]
    assert len(hours) > 300
    assert np.mean(np.array(hours) <= 72) >= 0.98


def test_the_second_message_is_truly_better(invites: Invites, claims: Claims) -> None:
    mature = invites.sent_at < NOW - 4 * DAY
    converted = np.isin(invites.supplier, claims.supplier[claims.verified_at > 0])
    assert VARIANTS[int(np.argmax(TRUE_RATES))] == WINNER
    for variant, rate in enumerate(TRUE_RATES):
        share = converted[mature & (invites.variant == variant)].mean()
        assert abs(share - rate) < 0.008


def test_invented_suppliers_claim_nothing_unless_they_were_meant_to(
    directory: Directory, claims: Claims
) -> None:
    claimed = {directory.suppliers[number - 1].plant for number in claims.supplier.tolist()}
    fakes = {one.plant for one in directory.suppliers if one.is_fake}
    assert claimed & fakes == {"numbered name and invented tax number, already claimed"}


def test_sms_runs_short_today_and_whatsapp_does_not(market: Market) -> None:
    today = used(market, 0)
    assert 0.8 * QUOTAS["sms"] < today["sms"] < QUOTAS["sms"]
    assert today["whatsapp"] < 0.5 * QUOTAS["whatsapp"]


def test_demand_grows_from_day_to_day(market: Market) -> None:
    for channel in QUOTAS:
        before, yesterday = used(market, 2)[channel], used(market, 1)[channel]
        assert before < yesterday
    assert used(market, 1)["sms"] < used(market, 0)["sms"]
    assert not used(market, 3)


def test_messages_come_until_now_and_few_wait(market: Market) -> None:
    sends = market.table("public.invites_sent")
    states = Counter(sends.column("status"))
    assert 0 < states["queued"] < 500
    for channel in QUOTAS:
        last = max(str(row[7]) for row in sends.rows if row[2] == channel and row[7] is not None)
        assert last > iso(NOW - HOUR // 6)
