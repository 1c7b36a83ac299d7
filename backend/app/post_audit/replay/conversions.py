"""The A/B engine over a file of real units, and over invented ones: what it decides, when, and how often wrongly.

Uses the functions of the step and none of its own, so what is measured here is what runs.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.post_audit.errors import InputError
from app.post_audit.ports import JSON
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.assessment import Assessment
from app.post_audit.steps.conversions.evidence import evidence_path
from app.post_audit.steps.conversions.facts import Block, Counts, Experiment, Variant
from app.post_audit.steps.conversions.health import mismatch_log_e
from app.post_audit.steps.conversions.ledger import bets_of
from app.post_audit.steps.conversions.numbers import comparison_numbers, variant_numbers
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from app.post_audit.steps.conversions.wording import explain

__all__ = [
    "UNITS_A_LOOK",
    "Traffic",
    "Units",
    "evaluate",
    "first_looks",
    "proven_path",
    "read_units",
    "rows",
    "simulate",
    "with_alpha",
]

UNITS_A_LOOK: Final = 100
"""A replay without a clock looks after each hundred units; they are one block."""

_MOST_VARIANTS: Final = 10
_LEAST_VARIANTS: Final = 2
_YES: Final = frozenset({"1", "true", "t", "yes", "y"})
_NO: Final = frozenset({"0", "false", "f", "no", "n", ""})
_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_CELLS_AT_ONCE: Final = 60_000
"""Runs × looks that are simulated together: 24 MB for each array of bets."""

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Units in the order they arrived: the place of their variant in `variants`, and whether they converted."""

    variants: tuple[str, ...]
    variant: _Ints
    converted: NDArray[np.bool_]
    exposed_to_several: int = 0


def _outcome(text: str, line: int) -> bool:
    """Read one outcome; raises `InputError` naming the line."""
    lowered = text.strip().lower()
    if lowered in _YES or lowered in _NO:
        return lowered in _YES
    raise InputError(
        f"Line {line}: the outcome {text!r} is neither yes nor no.", cure="Write 1 and 0, or true and false."
    )


def _columns(path: Path, wanted: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a CSV file that has these columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            missing = [name for name in wanted if name not in names]
            if missing:
                raise InputError(
                    f"{path.name} has no column named {missing[0]}.", cure=f"It has: {', '.join(names)}."
                )
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read: {error}.", cure="Give a CSV file in UTF-8.") from error


def _moment(text: str, line: int) -> float:
    """Read a moment: a number, or a date as ISO 8601 writes it (UTC unless it says otherwise)."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"Line {line}: {text!r} is no time.", cure="Write a number or 2025-11-09T14:30:00+05:30."
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_units(  # noqa: PLR0913 - one for each column and way of ordering
    path: Path,
    *,
    unit: str,
    variant: str,
    outcome: str,
    time: str | None = None,
    order_seed: int | None = None,
) -> Units:
    """Read units from a CSV file, in the order of `time`, else shuffled by `order_seed`, else of the lines.

    The first row of a unit gives its variant; it converted if any of its rows of that variant did. `unit` may
    be `row` where there is no such column: then each line is a unit. Raises `InputError`.
    """
    needed = [variant, outcome, *([time] if time else []), *([unit] if unit != "row" else [])]
    rows = _columns(path, needed)
    order = list(range(len(rows)))
    if time is not None:
        moments = [_moment(row[time] or "", line) for line, row in enumerate(rows, start=2)]
        order.sort(key=lambda place: moments[place])
    elif order_seed is not None:
        order = [int(place) for place in np.random.default_rng(order_seed).permutation(len(rows))]
    of_row = unit == "row" and (not rows or "row" not in rows[0])
    first: dict[str, str] = {}
    converted: dict[str, bool] = {}
    several: set[str] = set()
    for place in order:
        row = rows[place]
        key, name = (str(place) if of_row else row[unit] or ""), (row[variant] or "").strip()
        yes = _outcome(row[outcome] or "", place + 2)
        if not name:
            raise InputError(f"Line {place + 2} names no variant.")
        if first.setdefault(key, name) == name:
            converted[key] = converted.get(key, False) or yes
        else:
            several.add(key)
    names = tuple(sorted(set(first.values())))
    if not _LEAST_VARIANTS <= len(names) <= _MOST_VARIANTS:
        raise InputError(
            f"{path.name} has {len(names)} variants in the column {variant}.",
            cure=f"A comparison takes {_LEAST_VARIANTS} to {_MOST_VARIANTS}.",
        )
    places = {name: place for place, name in enumerate(names)}
    return Units(
        variants=names,
        variant=np.array([places[name] for name in first.values()], dtype=np.int64),
        converted=np.array([converted[key] for key in first], dtype=np.bool_),
        exposed_to_several=len(several),
    )


def proven_path(units: _Ints, converted: _Ints, policy: ConversionsPolicy) -> _Ints:
    """Say which arm is proved better than all others after each block; -1 where none is.

    Counts have the shape (runs, arms, blocks); the answer has (runs, blocks). The rule of `assess`: every
    e-value of an arm reaches (arms - 1) / alpha, each arm has the minimum of units, and its rate is greatest.
    """
    runs, arms, blocks = converted.shape
    needed = math.log((arms - 1) / policy.alpha)
    beaten = np.zeros((runs, arms, blocks), dtype=np.int64)
    bets = bets_of(policy)
    for first, second in combinations(range(arms), 2):
        path = evidence_path(
            units[:, first], converted[:, first], units[:, second], converted[:, second], bets
        )
        enough = path.log_e >= needed
        beaten[:, first] += enough & (path.lean > 0)
        beaten[:, second] += enough & (path.lean < 0)
    sums = np.cumsum(units, axis=2)
    rates = np.cumsum(converted, axis=2) / np.maximum(sums, 1)
    best = rates.argmax(axis=1)
    wins = np.take_along_axis(beaten, best[:, None], axis=1)[:, 0] == arms - 1
    wins &= (sums >= policy.minimum_units).all(axis=1)
    return np.where(wins, best, -1)


def _blocks(units: Units) -> tuple[_Ints, _Ints]:
    """Count units and conversions by variant and look, the last look being shorter; shape (1, arms, looks)."""
    look = np.arange(len(units.variant)) // UNITS_A_LOOK
    shape = (1, len(units.variants), int(look[-1]) + 1)
    counted, converted = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    np.add.at(counted[0], (units.variant, look), 1)
    np.add.at(converted[0], (units.variant, look), units.converted)
    return counted, converted


def _experiment(units: Units, counted: _Ints, converted: _Ints) -> Experiment:
    """Make the facts of the step of a file's units: an hour for each look, all of them mature."""
    each, odd = divmod(10_000, len(units.variants))
    shares = {name: each + (place < odd) for place, name in enumerate(units.variants)}
    blocks = tuple(
        Block(
            hour=_START + timedelta(hours=look),
            epoch=1,
            counts={
                name: Counts(units=int(counted[0, place, look]), converted=int(converted[0, place, look]))
                for place, name in enumerate(units.variants)
                if counted[0, place, look]
            },
        )
        for look in range(counted.shape[2])
    )
    totals = counted[0].sum(axis=1)
    return Experiment(
        id=1,
        name="The file",
        active_variant=None,
        winner=None,
        variants=tuple(Variant(id=name, label=name) for name in units.variants),
        allocation_basis_points=shares,
        allocation_epoch=1,
        version=0,
        attribution_window_hours=1,
        started_at=None,
        last_invite_at=None,
        blocks=blocks,
        immature={},
        assigned={1: {name: int(total) for name, total in zip(units.variants, totals, strict=True)}},
        epoch_allocations={1: shares},
        exposed_to_several=units.exposed_to_several,
    )


def _greatest_mismatch(experiment: Experiment, counted: _Ints) -> float:
    """Give the greatest log e-value of the shares over all looks: what a look at each of them would have met."""
    names = [variant.id for variant in experiment.variants]
    sums = np.cumsum(counted[0], axis=1).T.tolist()
    return max(
        mismatch_log_e({1: dict(zip(names, row, strict=True))}, experiment.epoch_allocations, names)
        for row in sums
    )


def _reasons(assessment: Assessment, as_of: datetime, policy: ConversionsPolicy) -> list[JSON]:
    """Say why, without what only concerns a switch that is carried out."""
    told = explain(assessment, as_of, policy)
    return [
        {"code": reason.code, "text": reason.text} for reason in told if reason.code != "conversions.shares"
    ]


def evaluate(units: Units, policy: ConversionsPolicy) -> dict[str, JSON]:
    """Replay units in their order, looking after each hundred, and tell what the step would have decided.

    `decided_at_unit` is after how many units the first winner was proved; shares that stray or units that got
    several variants block it, as they do in the step. Equal shares are expected.
    """
    if not len(units.variant):
        raise InputError("There is no unit in the file.")
    counted, converted = _blocks(units)
    experiment = _experiment(units, counted, converted)
    as_of = _START + timedelta(hours=counted.shape[2] + 2)
    assessment = assess(experiment, as_of, (), policy)
    mismatch = _greatest_mismatch(experiment, counted)
    path = proven_path(counted, converted, policy)[0]
    blocked = mismatch >= -math.log(policy.mismatch_alpha)
    forbidden = blocked or (units.exposed_to_several > policy.maximum_exposed_share * len(units.variant))
    looks = np.flatnonzero(path >= 0)
    winner = None if forbidden or not len(looks) else units.variants[int(path[looks[0]])]
    return {
        "winner": winner,
        "decided_at_unit": (
            None if winner is None else min((int(looks[0]) + 1) * UNITS_A_LOOK, len(units.variant))
        ),
        "units": len(units.variant),
        "status": assessment.status.value,
        "srm": {"p_value": min(1.0, math.exp(-mismatch)), "blocked": blocked},
        "exposed_to_several": units.exposed_to_several,
        "alpha": policy.alpha,
        "variants": [
            {"variant": result.variant.id, **variant_numbers(result)} for result in assessment.results
        ],
        "comparisons": [comparison_numbers(effect) for effect in assessment.effects],
        "reasons": _reasons(assessment, as_of, policy),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Invented traffic: the true rate of each arm, and how many units each of them gets between two looks."""

    rates: tuple[float, ...]
    units_a_look: int
    looks: int

    def __post_init__(self) -> None:
        """Refuse what is no experiment."""
        if not _LEAST_VARIANTS <= len(self.rates) <= _MOST_VARIANTS:
            raise InputError(
                f"{len(self.rates)} rates were given.", cure=f"Give {_LEAST_VARIANTS} to {_MOST_VARIANTS}."
            )
        if not all(0 <= rate <= 1 for rate in self.rates) or self.units_a_look < 1 or self.looks < 1:
            raise InputError("A rate lies between 0 and 1; units and looks are at least 1.")


def first_looks(path: _Ints) -> _Floats:
    """Give the number of the first look at which some arm is proved; infinity where none ever is."""
    decided = path >= 0
    return np.where(decided.any(axis=1), decided.argmax(axis=1) + 1.0, np.inf)


def _chunks(runs: int, looks: int) -> Iterable[int]:
    size = max(1, _CELLS_AT_ONCE // looks)
    return (min(size, runs - begin) for begin in range(0, runs, size))


def _flips(path: _Ints) -> _Ints:
    """Count, run by run, how often another arm is proved than the one before."""
    flips = np.zeros(len(path), dtype=np.int64)
    for place, row in enumerate(path):
        proved = row[row >= 0]
        flips[place] = int((np.diff(proved) != 0).sum())
    return flips


def _upper_bound(hits: int, runs: int) -> float:
    """Give the upper 95 % bound of a share (Wilson's, one-sided): what the share may be, seeing so many."""
    z, share = 1.645, hits / runs
    centre = share + z * z / (2 * runs)
    spread = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    return (centre + spread) / (1 + z * z / runs)


def simulate(traffic: Traffic, policy: ConversionsPolicy, *, runs: int, seed: int) -> dict[str, JSON]:
    """Run experiments of invented traffic and tell how often, how soon and how rightly they are decided.

    `lost_conversions` compares with sending the best arm from the start, the winner getting all but the
    holdout once it is proved. A switch is false where another arm is as good or better.
    """
    if runs < 1:
        raise InputError("At least one run is needed.")
    generator = np.random.default_rng(seed)
    rates = np.array(traffic.rates)
    winners: list[_Ints] = []
    looks: list[_Floats] = []
    flips: list[_Ints] = []
    for size in _chunks(runs, traffic.looks):
        shape = (size, len(rates), traffic.looks)
        converted = generator.binomial(traffic.units_a_look, rates[:, None], shape)
        path = proven_path(np.full(shape, traffic.units_a_look), converted, policy)
        first = first_looks(path)
        at = np.minimum(first, traffic.looks).astype(np.int64) - 1
        winners.append(np.where(np.isfinite(first), path[np.arange(size), at], -1))
        looks.append(first)
        flips.append(_flips(path))
    winner, look = np.concatenate(winners), np.concatenate(looks)
    best = rates.max()
    sole = int((rates == best).sum()) == 1
    right = (winner >= 0) & sole & (rates[winner] == best)
    false = (winner >= 0) & ~right
    decided = np.minimum(look, traffic.looks)
    holdout = policy.holdout_basis_points / 10_000
    others = (rates.sum() - rates[winner]) / (len(rates) - 1)
    after = np.where(winner >= 0, best - (1 - holdout) * rates[winner] - holdout * others, 0.0)
    a_look = traffic.units_a_look * len(rates)
    lost = a_look * (decided * (best - rates.mean()) + (traffic.looks - decided) * after)
    median = float(np.median(look))
    return {
        "runs": runs,
        "seed": seed,
        "rates": list(traffic.rates),
        "false_switches": float(false.mean()),
        "false_switches_upper_95": _upper_bound(int(false.sum()), runs),
        "right_switches": float(right.mean()),
        "median_units_per_arm": median * traffic.units_a_look if math.isfinite(median) else None,
        "median_flips": float(np.median(np.concatenate(flips))),
        "lost_conversions_mean": float(lost.mean()),
        "lost_conversions_even_shares": float(a_look * traffic.looks * (best - rates.mean())),
    }


def with_alpha(policy: ConversionsPolicy, alpha: float | None) -> ConversionsPolicy:
    """Give the policy with another alpha; raises `InputError` where that is none."""
    if alpha is None:
        return policy
    try:
        return replace(policy, alpha=alpha)
    except ValueError as error:
        raise InputError(f"{alpha} cannot be alpha: {error}.", cure="Give 0.05, or less.") from error


def rows(document: Mapping[str, JSON], key: str) -> list[Mapping[str, JSON]]:
    """Give a list of objects of a document, for printing."""
    found = document[key]
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, Sequence) else []
