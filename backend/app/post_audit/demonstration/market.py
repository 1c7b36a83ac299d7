"""The demonstration marketplace as a whole: every table and every label, from one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

import numpy as np

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A marketplace to load: tables in the order of their foreign keys, settings, labels, and the seed list.

    `experiment_started_at` and `quotas` are set in rows that the migration has made.
    """

    seed: int
    as_of: datetime
    tables: tuple[Table, ...]
    labels: tuple[Label, ...]
    seed_list: tuple[Mapping[str, str], ...]
    experiment_started_at: str
    quotas: Mapping[str, int]

    def table(self, relation: str) -> Table:
        """Find one table by its relation."""
        return next(one for one in self.tables if one.relation == relation)

    def digest(self) -> str:
        """Name the content: the same for the same seed, to the byte."""
        content = repr((self.seed, self.tables, self.labels, self.seed_list, self.experiment_started_at))
        return sha256(content.encode()).hexdigest()


def generate(seed: int = DEFAULT_SEED) -> Market:
    """Make the marketplace of one seed; nothing but the seed goes into it."""
    directory = make_directory(seed)
    invites = make_invites(directory, seed)
    claims = make_claims(directory, invites, seed)
    earnings = make_earnings(directory, claims, seed)
    bugs = make_bug_reports(seed)
    return Market(
        seed=seed,
        as_of=AS_OF,
        tables=(
            _suppliers(directory, claims),
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
        experiment_started_at=iso(NOW - EXPERIMENT_DAYS * DAY),
        quotas=QUOTAS,
    )


def _suppliers(directory: Directory, claims: Claims) -> Table:
    """Write the suppliers, with what their claims made of them."""
    number = len(directory.suppliers)
    status = ["unclaimed"] * number
    user: list[str | None] = [None] * number
    claimed_at: list[str | None] = [None] * number
    rows = zip(
        claims.supplier.tolist(), claims.user, claims.table.column("status"), iso_all(claims.claimed_at), strict=True
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
        Label(kind="experiment", subject="experiment:1", truth=WINNER, detail=f"claims of the invited: {rates}"),
        Label(
            kind="capacity", subject="capacity:sms", truth="short", detail=f"over 80 % of {count(QUOTAS['sms'])}"
        ),
        Label(kind="capacity", subject="capacity:whatsapp", truth="enough", detail="a little over half"),
    )
