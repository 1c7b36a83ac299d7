"""The earnings ledger, the leaderboard that was added up from it, and the airdrop's counters, with errors in them.

The errors are those that such tables collect: a bonus counted twice, two users' totals in each other's place,
a row that nobody earned, one that was never written, and a counter that somebody rounded up for a banner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.post_audit.demonstration.tables import HOUR, MINUTE, NOW, Ints, Label, Table, iso, iso_all, table
from app.post_audit.demonstration.traffic import Claims
from app.post_audit.demonstration.vocabulary import FIRST_NAMES, SURNAMES

__all__ = ["Earnings", "make_earnings"]

_REFERRAL_PAISE: Final = 25_000
_AIRDROP, _REFERRAL, _INQUIRY = 0, 1, 2
_BENEFITS: Final = ("airdrop", "referral", "inquiry")
_BANNER_PAISE: Final = 10_000_000
"""Rs 1 lakh: the airdrop's value was rounded up to the next full one, and one was added."""

_PHANTOM_USER: Final = "u90417"
_PHANTOM_PAISE: Final = 1_840_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Earnings:
    """The ledger, what is shown of it, and what of that is wrong."""

    ledger: Table
    leaderboard: Table
    counters: Table
    labels: tuple[Label, ...]


def make_earnings(claims: Claims, seed: int) -> Earnings:
    """Let users earn, add up what they have, and put the errors in."""
    generator = np.random.default_rng([seed, 6])
    ledger, user_number, amounts, moments = _ledger(claims, generator)
    totals = np.bincount(user_number, weights=amounts, minlength=len(claims.user)).astype(np.int64)
    reached = np.zeros(len(claims.user), dtype=np.int64)
    np.maximum.at(reached, user_number, moments)
    ranked = sorted(
        np.flatnonzero(totals > 0).tolist(),
        key=lambda user: (-totals[user], reached[user], claims.user[user]),
    )
    names = [
        f"{FIRST_NAMES[int(first)]} {SURNAMES[int(last)][0]}."
        for first, last in zip(
            generator.integers(0, len(FIRST_NAMES), len(claims.user)),
            generator.integers(0, len(SURNAMES), len(claims.user)),
            strict=True,
        )
    ]
    twice, one, other, left_out = ranked[1], ranked[13], ranked[30], ranked[21]
    shown = {user: int(totals[user]) for user in ranked}
    last = int(amounts[np.flatnonzero(user_number == twice)[-1]])
    shown[twice] += last
    shown[one], shown[other] = shown[other], shown[one]
    del shown[left_out]

    rows = [(claims.user[user], names[user], total, iso(int(reached[user]))) for user, total in shown.items()]
    rows.append((_PHANTOM_USER, "Kabir W.", _PHANTOM_PAISE, iso(NOW - 31 * HOUR)))
    swapped = "two users' totals stand in each other's place"
    labels = [
        _wrong(claims.user[twice], int(totals[twice]), "the last earning was counted twice"),
        _wrong(claims.user[one], int(totals[one]), swapped),
        _wrong(claims.user[other], int(totals[other]), swapped),
        _wrong(claims.user[left_out], int(totals[left_out]), "the row was never written"),
        _wrong(_PHANTOM_USER, 0, "nobody earned this"),
    ]
    counters, counter_label = _counters(claims)
    return Earnings(
        ledger=ledger,
        leaderboard=table(
            "public.earnings_leaderboard",
            {
                "id": range(1, len(rows) + 1),
                "user_id": [row[0] for row in rows],
                "display_name": [row[1] for row in rows],
                "total_paise": [row[2] for row in rows],
                "reached_at": [row[3] for row in rows],
                "updated_at": [row[3] for row in rows],
            },
        ),
        counters=counters,
        labels=(*labels, counter_label),
    )


def _wrong(user: str, total_paise: int, detail: str) -> Label:
    return Label(kind="leaderboard", subject=f"leaderboard:{user}", truth=str(total_paise), detail=detail)


def _ledger(claims: Claims, generator: np.random.Generator) -> tuple[Table, Ints, Ints, Ints]:
    """Write what every verified claimant earned: the airdrop, referrals, inquiries answered; a few earn much."""
    verified = np.flatnonzero(claims.verified_at > 0)
    zeal = np.exp(0.9 * generator.standard_normal(len(verified)))
    numbers = {
        _AIRDROP: (claims.amount_paise[verified] > 0).astype(np.int64),
        _REFERRAL: generator.poisson(0.7 * zeal),
        _INQUIRY: generator.poisson(2.5 * zeal),
    }
    user = np.concatenate([np.repeat(verified, count) for count in numbers.values()])
    kind = np.concatenate([np.full(int(count.sum()), which) for which, count in numbers.items()])
    amounts = np.select(
        [kind == _AIRDROP, kind == _REFERRAL],
        [claims.amount_paise[user], _REFERRAL_PAISE],
        generator.integers(15, 120, len(user)) * 100,
    )
    since = claims.verified_at[user]
    spent = (generator.random(len(user)) * (NOW - MINUTE - since)).astype(np.int64)
    moments = np.minimum(since + np.where(kind == _AIRDROP, 1_500, np.maximum(spent, 2_000)), NOW - 3_000)
    order = np.lexsort((kind, user, moments))
    user, kind, amounts, moments = user[order], kind[order], amounts[order], moments[order]
    ledger = table(
        "post_audit.earnings_ledger",
        {
            "id": range(1, len(user) + 1),
            "user_id": [claims.user[which] for which in user.tolist()],
            "supplier_id": claims.supplier[user].tolist(),
            "benefit_type": [_BENEFITS[which] for which in kind.tolist()],
            "amount_paise": amounts.tolist(),
            "tracked_at": iso_all(moments),
        },
    )
    return ledger, user, amounts.astype(np.int64), moments


def _counters(claims: Claims) -> tuple[Table, Label]:
    """Show how many claims were verified, which is true, and what they are worth, which is not."""
    verified = claims.verified_at > 0
    paise = int(claims.amount_paise[verified].sum())
    shown = (paise // _BANNER_PAISE + 2) * _BANNER_PAISE
    shown_at = iso(NOW - 20 * MINUTE)
    counters = table(
        "public.leaderboard_tickertape_views",
        {
            "id": (1, 2),
            "counter": ("airdrop_claims", "airdrop_paise"),
            "shown_value": (int((verified & (claims.verified_at <= NOW - 20 * MINUTE)).sum()), shown),
            "state": ("verified", "verified"),
            "version": (0, 0),
            "shown_at": (shown_at, shown_at),
        },
    )
    label = Label(
        kind="counter",
        subject="counter:airdrop_paise",
        truth=str(paise),
        detail="rounded up for a banner",
    )
    return counters, label
