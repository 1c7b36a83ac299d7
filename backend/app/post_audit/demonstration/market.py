"""The demonstration marketplace as a whole: every table and every label, from one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

import numpy as np

from app.post_audit.codec import encode
from app.post_audit.demonstration.bug_reports import make_bug_reports
from app.post_audit.demonstration.earnings import make_earnings
from app.post_audit.demonstration.suppliers import EXPERIMENT_DAYS, Directory, make_directory
from app.post_audit.demonstration.tables import AS_OF, DAY, NOW, Label, Table, iso, iso_all, table
from app.post_audit.demonstration.traffic import (
    QUOTAS,
    TRUE_RATES,
    VARIANTS,
    WINNER,
    Claims,
    make_claims,
    make_invites,
    make_opt_outs,
    make_sends,
)
from app.post_audit.formats import count, percent

__all__ = ["DEFAULT_SEED", "SEED_LIST_NAME", "Market", "generate"]

DEFAULT_SEED: Final = 20_251_112
SEED_LIST_NAME: Final = "demonstration: rows of the mock generator"

_MESSAGES: Final = (
    ("Rs 5,000 Credit Airdrop", "Claim your Rs 5,000 credit today.", 500_000),
    ("50 Inquiries Focus", "50 buyers are asking for what you sell. Claim your page.", 0),
)
"""Label, text and cost of a conversion in paise, by variant."""

_RATES_MILLIPAISE: Final[Mapping[str, int]] = {"sms": 18_000, "whatsapp": 86_310}


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A marketplace to load: tables in the order of their foreign keys, labels, and the list of seed rows."""

    seed: int
    as_of: datetime
    tables: tuple[Table, ...]
    labels: tuple[Label, ...]
    seed_list: tuple[Mapping[str, str], ...]

    def table(self, relation: str) -> Table:
        """Find one table by its relation."""
        return next(one for one in self.tables if one.relation == relation)

    def digest(self) -> str:
        """Name the content: the same for the same seed, to the byte."""
        content = repr((self.seed, self.as_of, self.tables, self.labels, self.seed_list))
        return sha256(content.encode()).hexdigest()


def generate(seed: int = DEFAULT_SEED) -> Market:
    """Make the marketplace of one seed; nothing but the seed goes into it."""
    directory = make_directory(seed)
    invites = make_invites(directory, seed)
    claims = make_claims(directory, invites, seed)
    earnings = make_earnings(claims, seed)
    bugs = make_bug_reports(seed)
    return Market(
        seed=seed,
        as_of=AS_OF,
        tables=(
            _suppliers(directory, claims),
            _experiment(),
            _capacity(),
            invites.table,
            claims.table,
            make_opt_outs(invites, seed),
            make_sends(directory, invites, seed),
            earnings.ledger,
            earnings.leaderboard,
            earnings.counters,
            bugs.bugs,
            bugs.reports,
        ),
        labels=(*_settings_labels(), *_supplier_labels(directory), *earnings.labels, *bugs.labels),
        seed_list=directory.seed_list,
    )


def _experiment() -> Table:
    """Set the one experiment up: half of the invites for each message since its beginning."""
    began = iso(NOW - EXPERIMENT_DAYS * DAY)
    variants = [
        {
            "id": variant,
            "label": label,
            "message": message,
            "cost_paise": cost_paise,
        }
        for variant, (label, message, cost_paise) in zip(VARIANTS, _MESSAGES, strict=True)
    ]
    return table(
        "public.ab_test_config",
        {
            "id": (1,),
            "name": ("Invite message",),
            "active_variant": (VARIANTS[0],),
            "variants": (encode(variants),),
            "allocation_basis_points": (encode(dict.fromkeys(VARIANTS, 5_000)),),
            "started_at": (began,),
            "updated_at": (began,),
        },
    )


def _capacity() -> Table:
    """Set the channels up as a marketplace starts: quotas, batches, and the price lists of 2025."""
    channels = tuple(QUOTAS)
    return table(
        "public.infrastructure_config",
        {
            "id": range(1, len(channels) + 1),
            "channel": channels,
            "daily_quota": tuple(QUOTAS.values()),
            "maximum_daily_quota": [100_000] * len(channels),
            "n8n_batch_size": [500] * len(channels),
            "maximum_batch_size": [5_000] * len(channels),
            "rate_millipaise": [_RATES_MILLIPAISE[channel] for channel in channels],
            "updated_at": [iso(NOW - 30 * DAY)] * len(channels),
        },
    )


def _suppliers(directory: Directory, claims: Claims) -> Table:
    """Write the suppliers, with what their claims made of them."""
    number = len(directory.suppliers)
    status = ["unclaimed"] * number
    user: list[str | None] = [None] * number
    claimed_at: list[str | None] = [None] * number
    rows = zip(
        claims.supplier.tolist(),
        claims.user,
        claims.table.column("status"),
        iso_all(claims.claimed_at),
        strict=True,
    )
    for supplier, who, state, at in rows:
        if state == "rejected":
            continue
        status[supplier - 1] = "claimed" if state == "verified" else "pending"
        user[supplier - 1] = who
        claimed_at[supplier - 1] = at
    everyone = directory.suppliers
    columns = ("name", "email", "phone", "website", "city", "state", "category", "gstin")
    return table(
        "public.suppliers",
        {
            "id": range(1, number + 1),
            **{column: [getattr(one, column) for one in everyone] for column in columns},
            "claim_status": status,
            "claimed_by": user,
            "claimed_at": claimed_at,
            "created_at": iso_all(np.array([one.created_at for one in everyone], dtype=np.int64)),
        },
    )


def _supplier_labels(directory: Directory) -> tuple[Label, ...]:
    return tuple(
        Label(
            kind="supplier",
            subject=f"supplier:{number}",
            truth="fake" if one.is_fake else "real",
            detail=one.plant,
        )
        for number, one in enumerate(directory.suppliers, start=1)
        if one.plant
    )


def _settings_labels() -> tuple[Label, ...]:
    rates = ", ".join(
        f"{variant} {percent(rate, 1)}" for variant, rate in zip(VARIANTS, TRUE_RATES, strict=True)
    )
    return (
        Label(
            kind="experiment", subject="experiment:1", truth=WINNER, detail=f"claims of the invited: {rates}"
        ),
        Label(
            kind="capacity",
            subject="capacity:sms",
            truth="short",
            detail=f"over 80\N{NO-BREAK SPACE}% of {count(QUOTAS['sms'])}",
        ),
        Label(
            kind="capacity", subject="capacity:whatsapp", truth="enough", detail="under a third of its quota"
        ),
    )
