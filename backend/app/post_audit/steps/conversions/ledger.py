"""Everything that judging has to remember of past blocks, so that its time does not grow with history.

All of it are sums over blocks. `fold` goes on with blocks; folding in two parts gives what folding at once
does. A ledger that was kept (`post_audit_maintain_conversion_memory`) belongs to one question: `key` names the
variants, the bets, the window and the allocation it was asked under, and under another one it is not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from statistics import NormalDist
from typing import Final

import numpy as np
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from app.post_audit.ports import JSON
from app.post_audit.steps.conversions.coin import Coin, lead_points, ratio_points
from app.post_audit.steps.conversions.evidence import Bets, Capital, Floats
from app.post_audit.steps.conversions.facts import Block, Counts, Experiment
from app.post_audit.steps.conversions.health import HARM_EXPECTED, HARMS, WEEK
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["Ledger", "Pair", "bets_of", "fold", "ledger_of", "to_memory"]

_NONE: Final = Counts(units=0, converted=0)
_WHATS: Final = ("units", "converted", *HARMS)

Totals = Mapping[int, Mapping[str, Counts]]
"""Counts by epoch and variant."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Two variants: the evidence that they differ, and the coin that their ratio is read from."""

    capital: Capital
    coin: Coin


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """Sums of closed blocks.

    `pairs` go by two variants in the order of their names, `harms` by variant and harm (the variant against all
    others). `weeks` are, for each week since the present allocation began, the coin of those who kept the
    holdout against the winner from that week on; empty while nothing has won.
    """

    totals: Totals = field(default_factory=dict)
    pairs: Mapping[tuple[str, str], Pair] = field(default_factory=dict)
    harms: Mapping[tuple[str, str], Coin] = field(default_factory=dict)
    weeks: Sequence[tuple[datetime, Coin]] = ()
    first_hour: datetime | None = None
    last_hour: datetime | None = None

    def total(self, variant: str, *, since_epoch: int = 0) -> Counts:
        """Add up one variant over the epochs from `since_epoch` on."""
        parts = [
            counts[variant]
            for epoch, counts in self.totals.items()
            if epoch >= since_epoch and variant in counts
        ]
        return Counts(**{what: sum(getattr(part, what) for part in parts) for what in _WHATS})


def bets_of(policy: ConversionsPolicy) -> Bets:
    """Lay the policy's bets."""
    return Bets(
        log_ratio_deviation=policy.log_ratio_deviation,
        prior_rate=policy.prior_rate,
        prior_units=policy.prior_units,
    )


def _columns(blocks: Sequence[Block], variants: Sequence[str]) -> dict[str, dict[str, Floats]]:
    """Give the counts of each variant and kind, block by block."""
    columns: dict[str, dict[str, Floats]] = {}
    for name in variants:
        counts = [block.counts.get(name, _NONE) for block in blocks]
        columns[name] = {
            what: np.array([getattr(count, what) for count in counts], dtype=np.float64) for what in _WHATS
        }
    return columns


def _rest(columns: Mapping[str, Mapping[str, Floats]], variant: str, what: str) -> Floats:
    """Add up all other variants, block by block."""
    others: list[Floats] = [of[what] for name, of in columns.items() if name != variant]
    total: Floats = np.sum(others, axis=0)
    return total


def fold(
    ledger: Ledger, blocks: Sequence[Block], experiment: Experiment, policy: ConversionsPolicy
) -> Ledger:
    """Go on with closed blocks, in time order, none of which is in the ledger yet."""
    names = sorted(variant.id for variant in experiment.variants)
    if not blocks or len(names) <= 1:
        return ledger
    columns = _columns(blocks, names)
    hours = [block.hour for block in blocks]
    return Ledger(
        totals=_add(ledger.totals, blocks, names),
        pairs=_fold_pairs(ledger, columns, policy),
        harms=_fold_harms(ledger, columns),
        weeks=_fold_weeks(ledger, blocks, experiment, policy),
        first_hour=ledger.first_hour or min(hours),
        last_hour=max(hours),
    )


def _add(totals: Totals, blocks: Sequence[Block], names: Sequence[str]) -> Totals:
    sums: dict[int, dict[str, list[int]]] = {
        epoch: {name: [getattr(counts, what) for what in _WHATS] for name, counts in of.items()}
        for epoch, of in totals.items()
    }
    for block in blocks:
        of_epoch = sums.setdefault(block.epoch, {})
        for name in names:
            if (counts := block.counts.get(name)) is not None:
                former = of_epoch.get(name, [0] * len(_WHATS))
                of_epoch[name] = [
                    number + getattr(counts, what) for number, what in zip(former, _WHATS, strict=True)
                ]
    return {
        epoch: {name: Counts(**dict(zip(_WHATS, numbers, strict=True))) for name, numbers in of.items()}
        for epoch, of in sums.items()
    }


def _fold_pairs(
    ledger: Ledger, columns: Mapping[str, Mapping[str, Floats]], policy: ConversionsPolicy
) -> dict[tuple[str, str], Pair]:
    bets, points = bets_of(policy), ratio_points(policy.log_ratio_deviation)
    pairs: dict[tuple[str, str], Pair] = {}
    for first, second in combinations(columns, 2):
        series = tuple(columns[name][what] for name in (first, second) for what in ("units", "converted"))
        former = ledger.pairs.get((first, second))
        capital = former.capital if former else Capital.empty()
        coin = former.coin if former else Coin.empty(points)
        pairs[first, second] = Pair(capital=capital.after(bets, *series), coin=coin.after(points, *series))
    return pairs


def _fold_harms(ledger: Ledger, columns: Mapping[str, Mapping[str, Floats]]) -> dict[tuple[str, str], Coin]:
    points = lead_points(HARM_EXPECTED)
    harms: dict[tuple[str, str], Coin] = {}
    for what in HARMS:
        for name, own in columns.items():
            rest = (_rest(columns, name, "units"), _rest(columns, name, what))
            former = ledger.harms.get((name, what)) or Coin.empty(points)
            harms[name, what] = former.after(points, own["units"], own[what], *rest)
    return harms


def _fold_weeks(
    ledger: Ledger, blocks: Sequence[Block], experiment: Experiment, policy: ConversionsPolicy
) -> list[tuple[datetime, Coin]]:
    """Bet from each week on: the winner may decay after a good month, which would have to be lost first."""
    winner = experiment.winner
    present = [block for block in blocks if block.epoch == experiment.allocation_epoch]
    names = [variant.id for variant in experiment.variants]
    if not present or winner not in names:
        return list(ledger.weeks)
    points = lead_points(NormalDist(0.0, policy.log_ratio_deviation))
    weeks = list(ledger.weeks) or [(present[0].hour, Coin.empty(points))]
    begin = weeks[0][0]
    for number in range(len(weeks), (present[-1].hour - begin) // WEEK + 1):
        weeks.append((begin + number * WEEK, Coin.empty(points)))
    columns = _columns(present, names)
    hours = np.array([block.hour.timestamp() for block in present])
    rest = (_rest(columns, winner, "units"), _rest(columns, winner, "converted"))
    folded: list[tuple[datetime, Coin]] = []
    for since, coin in weeks:
        later = hours >= since.timestamp()
        series = (*rest, columns[winner]["units"], columns[winner]["converted"])
        folded.append((since, coin.after(points, *(counts[later] for counts in series))))
    return folded


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptCoin:
    first: float
    total: float
    sizes: list[float]

    def coin(self) -> Coin:
        return Coin(first=self.first, total=self.total, sizes=np.array(self.sizes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptPair:
    first: str
    second: str
    units: float
    converted: float
    logs: list[list[float]]
    coin: _KeptCoin


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A ledger as it is kept in the database."""

    key: list[str | int | float | None]
    totals: dict[int, dict[str, Counts]]
    pairs: list[_KeptPair]
    harms: list[tuple[str, str, _KeptCoin]]
    weeks: list[tuple[AwareDatetime, _KeptCoin]]
    first_hour: AwareDatetime | None
    last_hour: AwareDatetime | None


_KEPT: Final = TypeAdapter(_Kept)


def _key(experiment: Experiment, policy: ConversionsPolicy) -> list[str | int | float | None]:
    """What a ledger was folded under."""
    return [
        1,
        *sorted(variant.id for variant in experiment.variants),
        experiment.winner,
        experiment.allocation_epoch,
        experiment.judged_from_epoch,
        experiment.attribution_window_hours,
        policy.log_ratio_deviation,
        policy.prior_rate,
        policy.prior_units,
    ]


def ledger_of(experiment: Experiment, policy: ConversionsPolicy) -> Ledger | None:
    """Read the ledger that was kept; empty where none was, None where it was kept under another question."""
    if experiment.memory is None:
        return Ledger()
    try:
        kept = _KEPT.validate_python(experiment.memory)
    except ValidationError:
        # Of another release: counted anew, which is what None asks for.
        return None
    if kept.key != _key(experiment, policy):
        return None
    return Ledger(
        totals=kept.totals,
        pairs={
            (pair.first, pair.second): Pair(
                capital=Capital(units=pair.units, converted=pair.converted, logs=np.array(pair.logs)),
                coin=pair.coin.coin(),
            )
            for pair in kept.pairs
        },
        harms={(name, what): coin.coin() for name, what, coin in kept.harms},
        weeks=[(since, coin.coin()) for since, coin in kept.weeks],
        first_hour=kept.first_hour,
        last_hour=kept.last_hour,
    )


def _kept_coin(coin: Coin) -> dict[str, JSON]:
    return {"first": coin.first, "total": coin.total, "sizes": coin.sizes.tolist()}


def to_memory(ledger: Ledger, experiment: Experiment, policy: ConversionsPolicy) -> dict[str, JSON]:
    """Write a ledger so that `ledger_of` reads the very same."""
    return {
        "key": _key(experiment, policy),
        "totals": {
            str(epoch): {
                name: {what: getattr(counts, what) for what in _WHATS} for name, counts in of.items()
            }
            for epoch, of in ledger.totals.items()
        },
        "pairs": [
            {
                "first": first,
                "second": second,
                "units": pair.capital.units,
                "converted": pair.capital.converted,
                "logs": pair.capital.logs.tolist(),
                "coin": _kept_coin(pair.coin),
            }
            for (first, second), pair in ledger.pairs.items()
        ],
        "harms": [[name, what, _kept_coin(coin)] for (name, what), coin in ledger.harms.items()],
        "weeks": [[since.isoformat(), _kept_coin(coin)] for since, coin in ledger.weeks],
        "first_hour": ledger.first_hour.isoformat() if ledger.first_hour else None,
        "last_hour": ledger.last_hour.isoformat() if ledger.last_hour else None,
    }
