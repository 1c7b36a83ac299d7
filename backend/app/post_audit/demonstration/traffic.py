"""Invites and the claims that came of them, and the log of messages.

Two invite messages are sent side by side for fourteen days; the second one is truly better. Claims come hours
after the invite, later for the second message, and are verified within some hours.

The log of messages goes back to midnight two days ago, row by row: older rows are thinned out, as logs are. SMS
demand grows from day to day until today's is near its quota; WhatsApp has room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.post_audit.demonstration.suppliers import CLAIMED_FAKE, EXPERIMENT_DAYS, Directory
from app.post_audit.demonstration.tables import (
    DAY,
    HOUR,
    IST_OFFSET,
    MINUTE,
    NOW,
    Ints,
    Table,
    iso_all,
    table,
)

__all__ = [
    "QUOTAS",
    "TRUE_RATES",
    "VARIANTS",
    "WINNER",
    "Claims",
    "Invites",
    "make_claims",
    "make_invites",
    "make_opt_outs",
    "make_sends",
]

VARIANTS: Final = ("variant_a", "variant_b")
TRUE_RATES: Final = (0.040, 0.060)
"""Share of the invited whose claim is verified in the end, by variant."""

WINNER: Final = "variant_b"
QUOTAS: Final[Mapping[str, int]] = {"sms": 20_000, "whatsapp": 20_000}

_AIRDROP_PAISE: Final = 500_000
_INVITED_SHARE: Final = 0.97
_FORMER_CLAIMS: Final = 900
"""Suppliers that claimed their page before the experiment began."""

_FORMER_DAYS: Final = 60
_CLAIM_HOURS: Final = (4.0, 9.0)
"""Median hours from invite to claim, by variant: a gift is taken at once, inquiries are thought over."""

_CLAIM_SPREAD: Final = 0.8
"""Standard deviation of the logarithm of these hours; 99.5 % of the slower ones come within 72."""

_REJECTED_SHARE: Final = 0.03
_OPTED_OUT_SHARE: Final = 0.004

# Shares of a day's messages by hour in India: promotional ones between 10:00 and 21:00, one-time passwords at
# any time.
_SENDING_HOURS: Final = np.array(
    [2, 1, 1, 1, 1, 2, 6, 14, 30, 62, 96, 108, 100, 84, 82, 90, 96, 92, 78, 62, 44, 18, 8, 4], dtype=float
)
_PROMOTIONAL_HOURS: Final = np.where((np.arange(24) >= 10) & (np.arange(24) < 21), _SENDING_HOURS, 0.0)  # noqa: PLR2004 - hours

_SMS_A_DAY: Final = (9_600, 11_900, 15_100)
"""Messages a whole day: two days ago, yesterday, today. Most of today's are sent by 18:00."""

_WHATSAPP_A_DAY: Final = (5_300, 5_700, 6_200)
_LONG_SMS: Final = 0.35
"""So many take two segments: in Hindi's own letters only 70 characters fit into one."""

_WAITING: Final[Mapping[str, int]] = {"sms": 140, "whatsapp": 60}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invites:
    """First invites of the experiment in the order they were sent: supplier, variant (0 or 1), moment, channel."""

    supplier: Ints
    variant: Ints
    sent_at: Ints
    by_sms: NDArray[np.bool_]
    table: Table

    def by(self, channel: str) -> Invites:
        """Give those of one channel."""
        which = self.by_sms == (channel == "sms")
        return replace(
            self,
            supplier=self.supplier[which],
            variant=self.variant[which],
            sent_at=self.sent_at[which],
            by_sms=self.by_sms[which],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Claims up to now in the order they came; `verified_at` is 0 for those that are not verified."""

    supplier: Ints
    user: tuple[str, ...]
    amount_paise: Ints
    claimed_at: Ints
    verified_at: Ints
    table: Table


def _midnight(days_ago: int) -> int:
    """Give midnight in India, today's or that of some days ago."""
    return (NOW + IST_OFFSET) // DAY * DAY - IST_OFFSET - days_ago * DAY


def _within_day(
    generator: np.random.Generator, midnight: int, number: int, hours: NDArray[np.float64]
) -> Ints:
    """Draw moments of one day by the weights of its hours."""
    hour = generator.choice(24, number, p=hours / hours.sum())
    moments: Ints = midnight + hour * HOUR + generator.integers(0, HOUR, number)
    return moments


def make_invites(directory: Directory, seed: int) -> Invites:
    """Invite nearly everybody who was listed and unclaimed when the experiment began, once, by the toss of a coin."""
    generator = np.random.default_rng([seed, 2])
    began = NOW - EXPERIMENT_DAYS * DAY
    created = np.array([one.created_at for one in directory.suppliers], dtype=np.int64)
    listed = np.flatnonzero(created < began) + 1
    listed = np.setdiff1d(listed, list(directory.planted(CLAIMED_FAKE)))
    chosen = generator.permutation(listed)
    chosen = chosen[_FORMER_CLAIMS : _FORMER_CLAIMS + int(len(listed) * _INVITED_SHARE)]
    # A little more every day; the first and the last day are cut by the experiment's beginning and by now.
    weights = 1.0 + 0.02 * np.arange(EXPERIMENT_DAYS + 1)
    day = generator.choice(EXPERIMENT_DAYS + 1, len(chosen), p=weights / weights.sum())
    moments = np.concatenate(
        [
            _within_day(
                generator, _midnight(EXPERIMENT_DAYS - number), int((day == number).sum()), _PROMOTIONAL_HOURS
            )
            for number in range(EXPERIMENT_DAYS + 1)
        ]
    )
    moments = np.sort(moments[(moments > began) & (moments <= NOW)])
    chosen = chosen[: len(moments)]
    variant = generator.integers(0, 2, len(chosen))
    by_sms = generator.random(len(chosen)) < 0.6  # noqa: PLR2004 - the others by WhatsApp
    return Invites(
        supplier=chosen,
        variant=variant,
        sent_at=moments,
        by_sms=by_sms,
        table=table(
            "public.invites_ab_test",
            {
                "id": range(1, len(chosen) + 1),
                "experiment_id": [1] * len(chosen),
                "supplier_id": chosen.tolist(),
                "variant": [VARIANTS[which] for which in variant.tolist()],
                "channel": ["sms" if sms else "whatsapp" for sms in by_sms.tolist()],
                "sent_at": iso_all(moments),
            },
        ),
    )


def make_claims(directory: Directory, invites: Invites, seed: int) -> Claims:
    """Let suppliers claim their pages: some before the experiment, invited ones by the rate of their message."""
    generator = np.random.default_rng([seed, 3])
    began = NOW - EXPERIMENT_DAYS * DAY
    created = np.array([one.created_at for one in directory.suppliers], dtype=np.int64)
    listed = np.flatnonzero(created < began - DAY) + 1
    # Behind an invented supplier is nobody who would claim it; those that are claimed were meant for that.
    nobody = [number for number, one in enumerate(directory.suppliers, start=1) if one.is_fake]
    free = np.setdiff1d(np.setdiff1d(listed, invites.supplier), nobody)
    former = generator.permutation(free)[:_FORMER_CLAIMS]
    former = np.union1d(former, list(directory.planted(CLAIMED_FAKE)))
    since = np.maximum(created[former - 1], began - _FORMER_DAYS * DAY)
    former_at = since + (generator.random(len(former)) * (began - since)).astype(np.int64)

    rates = np.array(TRUE_RATES)[invites.variant]
    converts = generator.random(len(rates)) < rates / (1 - _REJECTED_SHARE)
    converts &= ~np.isin(invites.supplier, nobody)
    medians = np.array(_CLAIM_HOURS)[invites.variant[converts]]
    hours = medians * np.exp(_CLAIM_SPREAD * generator.standard_normal(int(converts.sum())))
    invited_at = invites.sent_at[converts] + (hours * HOUR).astype(np.int64)

    supplier = np.concatenate([former, invites.supplier[converts]])
    claimed_at = np.concatenate([former_at, invited_at])
    gift = np.concatenate(
        [np.full(len(former), _AIRDROP_PAISE), np.where(invites.variant[converts] == 0, _AIRDROP_PAISE, 0)]
    ).astype(np.int64)
    verified_at = claimed_at + generator.integers(5 * MINUTE, 4 * HOUR, len(supplier))
    rejected = generator.random(len(supplier)) < _REJECTED_SHARE
    rejected[: len(former)] = False

    order = np.argsort(claimed_at, kind="stable")
    order = order[claimed_at[order] <= NOW]
    supplier, claimed_at, gift = supplier[order], claimed_at[order], gift[order]
    is_verified = (verified_at[order] <= NOW) & ~rejected[order]
    verified_at = np.where(is_verified, verified_at[order], 0)
    user = tuple(f"u{10_000 + number}" for number in generator.permutation(len(order)).tolist())
    states = [
        "verified" if verified else "rejected" if turned_down else "pending"
        for verified, turned_down in zip(is_verified.tolist(), rejected[order].tolist(), strict=True)
    ]
    return Claims(
        supplier=supplier,
        user=user,
        amount_paise=gift,
        claimed_at=claimed_at,
        verified_at=verified_at,
        table=_claims_table(supplier, user, states, gift, claimed_at, verified_at),
    )


def _claims_table(  # noqa: PLR0913, PLR0917 - one for each column
    supplier: Ints, user: Sequence[str], states: list[str], gift: Ints, claimed_at: Ints, verified_at: Ints
) -> Table:
    """Write the log of claims; `verified_at` counts where the state is verified."""
    return table(
        "public.claim_airdrop_log",
        {
            "id": range(1, len(supplier) + 1),
            "supplier_id": supplier.tolist(),
            "claimed_by": user,
            "status": states,
            "amount_paise": gift.tolist(),
            "claimed_at": iso_all(claimed_at),
            "verified_at": [
                text if state == "verified" else None
                for text, state in zip(iso_all(verified_at), states, strict=True)
            ],
        },
    )


def make_opt_outs(invites: Invites, seed: int) -> Table:
    """Let a few of the invited ask for no more messages."""
    generator = np.random.default_rng([seed, 4])
    asked = generator.random(len(invites.supplier)) < _OPTED_OUT_SHARE
    moments = invites.sent_at[asked] + generator.integers(MINUTE, 2 * DAY, int(asked.sum()))
    past = moments <= NOW
    return table(
        "post_audit.opt_out_log",
        {
            "id": range(1, int(past.sum()) + 1),
            "supplier_id": invites.supplier[asked][past].tolist(),
            "channel": ["sms" if sms else "whatsapp" for sms in invites.by_sms[asked][past].tolist()],
            "opted_out_at": iso_all(moments[past]),
        },
    )


def make_sends(directory: Directory, invites: Invites, seed: int) -> Table:
    """Write the log: the invites of these days, alerts of inquiries, one-time passwords, and what waits."""
    generator = np.random.default_rng([seed, 5])
    suppliers = len(directory.suppliers)
    parts = [
        (*_sent(generator, suppliers, invites.by(channel), _midnight(days_ago), number), channel == "sms")
        for channel, numbers in (("sms", _SMS_A_DAY), ("whatsapp", _WHATSAPP_A_DAY))
        for days_ago, number in zip((2, 1, 0), numbers, strict=True)
    ]
    supplier = np.concatenate([part[0] for part in parts])
    moments = np.concatenate([part[1] for part in parts])
    is_sms = np.concatenate([np.full(len(part[0]), part[3]) for part in parts])
    is_invite = np.concatenate([part[2] for part in parts])
    order = np.argsort(moments, kind="stable")
    supplier, moments, is_sms, is_invite = supplier[order], moments[order], is_sms[order], is_invite[order]
    number = len(order)
    kind = np.where(is_invite, 0, 1 + (generator.random(number) < 0.3))  # noqa: PLR2004 - a third are passwords
    outcome = generator.random(number)
    status = np.where(outcome < 0.93, 0, np.where(outcome < 0.97, 1, 2))  # noqa: PLR2004 - as carriers report
    segments = np.where(is_sms & (generator.random(number) < _LONG_SMS), 2, 1)
    queued = moments - generator.integers(500, 90_000, number)

    waiting = [channel for channel, count in _WAITING.items() for _ in range(count)]
    waits_since = NOW - generator.integers(1_000, 12 * MINUTE, len(waiting))
    waits_for = generator.integers(1, suppliers + 1, len(waiting))
    return table(
        "public.invites_sent",
        {
            "id": range(1, number + len(waiting) + 1),
            "supplier_id": supplier.tolist() + waits_for.tolist(),
            "channel": ["sms" if sms else "whatsapp" for sms in is_sms.tolist()] + waiting,
            "category": [("marketing", "utility", "authentication")[which] for which in kind.tolist()]
            + ["utility"] * len(waiting),
            "status": [("delivered", "sent", "failed")[which] for which in status.tolist()]
            + ["queued"] * len(waiting),
            "segments": segments.tolist() + [1] * len(waiting),
            "queued_at": iso_all(queued) + iso_all(waits_since),
            "sent_at": [*iso_all(moments), *[None] * len(waiting)],
        },
    )


def _sent(
    generator: np.random.Generator, suppliers: int, invites: Invites, midnight: int, number: int
) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Give the messages of one day: to whom, when, and whether an invite; all of `invites` are of that channel."""
    of_day = (invites.sent_at >= midnight) & (invites.sent_at < midnight + DAY)
    others = _within_day(generator, midnight, number - int(of_day.sum()), _SENDING_HOURS)
    others = others[others <= NOW]
    # Suppliers that are listed longer hear more often.
    to_whom = (generator.random(len(others)) ** 1.5 * suppliers).astype(np.int64) + 1
    supplier = np.concatenate([invites.supplier[of_day], to_whom])
    moments = np.concatenate([invites.sent_at[of_day], others])
    is_invite = np.concatenate([np.ones(int(of_day.sum()), bool), np.zeros(len(others), bool)])
    return supplier, moments, is_invite
