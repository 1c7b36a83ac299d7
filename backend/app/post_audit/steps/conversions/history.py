"""An experiment over time, as the pages show it: rates, evidence and allocations. Nothing is counted anew."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.post_audit.ports import JSON
from app.post_audit.steps.conversions.assessment import Assessment
from app.post_audit.steps.conversions.comparisons import judged_blocks, series_of
from app.post_audit.steps.conversions.evidence import evidence_path
from app.post_audit.steps.conversions.facts import BLOCK_LENGTH, Block, Experiment
from app.post_audit.steps.conversions.intervals import rate_intervals
from app.post_audit.steps.conversions.ledger import bets_of
from app.post_audit.steps.conversions.numbers import finite
from app.post_audit.steps.conversions.policy import ConversionsPolicy

__all__ = ["Buckets", "allocations_over_time", "evidence_over_time", "rates_over_time"]

_HOURLY_UP_TO: Final = timedelta(days=5)
"""A longer history is told by day: 120 points of hours, or one a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """How the history is cut: hours, or days from the first hour's midnight on (UTC)."""

    hours: int

    @classmethod
    def of(cls, experiment: Experiment) -> Buckets:
        """Choose by the length of the history."""
        hours = [block.hour for block in experiment.blocks]
        short = not hours or max(hours) - min(hours) <= _HOURLY_UP_TO
        return cls(hours=1 if short else 24)

    def end(self, hour: datetime) -> datetime:
        """Give the end of the bucket that an hour lies in."""
        if self.hours == 1:
            return hour + BLOCK_LENGTH
        return hour.replace(hour=0) + timedelta(days=1)


def rates_over_time(experiment: Experiment, buckets: Buckets, policy: ConversionsPolicy) -> list[JSON]:
    """Tell rates by bucket and in total up to it, with the interval of the total."""
    names = [variant.id for variant in experiment.variants]
    counts: defaultdict[datetime, dict[str, list[int]]] = defaultdict(
        lambda: {name: [0, 0] for name in names}
    )
    for block in judged_blocks(experiment):
        at = counts[buckets.end(block.hour)]
        for name in names:
            if (found := block.counts.get(name)) is not None:
                at[name][0] += found.units
                at[name][1] += found.converted
    times = sorted(counts)
    told: list[dict[str, JSON]] = [{} for _ in times]
    for name in names:
        units = converted = 0
        totals: list[tuple[int, int]] = []
        for time in times:
            units, converted = units + counts[time][name][0], converted + counts[time][name][1]
            totals.append((units, converted))
        low, high = rate_intervals([k for _, k in totals], [n for n, _ in totals], policy.alpha)
        for place, time in enumerate(times):
            (sent, hits), (n, k) = counts[time][name], totals[place]
            told[place][name] = {
                "sent": sent,
                "converted": hits,
                "rate": hits / sent if sent else None,
                "total_sent": n,
                "total_converted": k,
                "total_rate": k / n if n else None,
                "interval": [float(low[place]), float(high[place])] if n else None,
            }
    return [{"time": time.isoformat(), "variants": of} for time, of in zip(times, told, strict=True)]


def evidence_over_time(
    assessment: Assessment, buckets: Buckets, as_of: datetime, policy: ConversionsPolicy
) -> list[JSON]:
    """Tell the e-value of leader against rival after each bucket of closed blocks, and whom it favoured."""
    leader, rival = assessment.leader, assessment.rival
    blocks = assessment.experiment.closed_blocks(as_of)
    if leader is None or rival is None or not blocks:
        return []
    series = series_of(assessment.experiment, as_of)
    path = evidence_path(*series[leader.variant.id], *series[rival.variant.id], bets_of(policy))
    last = {buckets.end(block.hour): place for place, block in enumerate(blocks)}
    names = {1: leader.variant.id, -1: rival.variant.id}
    return [
        {
            "time": time.isoformat(),
            "e_value": finite(float(path.log_e[place])),
            "favours": names.get(int(math.copysign(1, path.lean[place])) if path.lean[place] else 0),
        }
        for time, place in last.items()
    ]


def allocations_over_time(experiment: Experiment) -> list[JSON]:
    """Tell each allocation: its shares, who was assigned, and who of those that can be judged converted."""
    blocks: defaultdict[int, list[Block]] = defaultdict(list)
    for block in experiment.blocks:
        blocks[block.epoch].append(block)
    told: list[JSON] = []
    for epoch in sorted({*experiment.assigned, *blocks, experiment.allocation_epoch}):
        hours = [block.hour for block in blocks[epoch]]
        wanted = experiment.epoch_allocations.get(epoch)
        told.append(
            {
                "epoch": epoch,
                "is_present": epoch == experiment.allocation_epoch,
                "is_judged": epoch >= experiment.judged_from_epoch,
                "first_hour": min(hours).isoformat() if hours else None,
                "last_hour": max(hours).isoformat() if hours else None,
                "basis_points": None if wanted is None else dict(wanted),
                "assigned": dict(experiment.assigned.get(epoch, {})),
                "units": _sums(blocks[epoch], "units"),
                "converted": _sums(blocks[epoch], "converted"),
            }
        )
    return told


def _sums(blocks: Sequence[Block], what: str) -> dict[str, JSON]:
    sums: defaultdict[str, int] = defaultdict(int)
    for block in blocks:
        for name, counts in block.counts.items():
            sums[name] += getattr(counts, what)
    return dict(sums)
