"""How often the A/B engine switches on noise, and how soon on truth."""

from __future__ import annotations

import math

import numpy as np
from measures.conversion_runs import BETS, CHUNK, DAY, POLICY, SEED, UNITS, Row, flat, paths, upper
from measures.sequential_rules import always_valid_lift, mixture_test, peeked_z, rate_of_the_last_look
from numpy.typing import NDArray

from app.post_audit.replay.conversions import proven_path
from app.post_audit.replay.simulation import first_looks
from app.post_audit.steps.conversions.intervals import difference_interval, rate_interval, ratio_interval

__all__ = ["clusters", "delay", "drift", "equal_arms", "speed", "usual"]


def equal_arms(name: str, rates: tuple[float, ...], units: int, runs: int) -> list[Row]:
    """False switches after 14 and 60 days."""
    looks = 60 * 20_000 // units
    path = paths(*flat(rates, looks, units), runs, SEED)
    first = first_looks(path)
    told = []
    for days in (14, 60):
        bound = upper(int((first <= days * 20_000 // units).sum()), runs)
        told.append(
            (bound, f"{(first <= days * 20_000 // units).mean():.2%} (at most {bound:.2%}), {days} d")
        )
    flips = np.median([(np.diff(row[row >= 0]) != 0).sum() for row in path])
    passed = all(bound <= 0.05 for bound, _ in told) and bool(flips == 0)
    return [(f"1 equal, {name}", f"{told[0][1]}; {told[1][1]}; flips {flips:.0f}", passed)]


def drift(runs: int) -> list[Row]:
    """Equal arms whose rate falls or swings while the shares change; false switches and miscoverage."""
    looks = 14 * DAY
    share = np.linspace(0.5, 0.1, looks)
    units = np.array([(2 * UNITS * (1 - share)), (2 * UNITS * share)]).astype(np.int64)
    falling = np.linspace(0.05, 0.03, looks)
    swinging = 0.04 * (1 + 0.6 * np.sin(2 * np.pi * np.arange(looks) / DAY))
    rows: list[Row] = []
    for name, rate in (("5 to 3 %, 50/50 to 90/10", falling), ("+-60 % day cycle, same shares", swinging)):
        path = paths(np.array([rate, rate]), units, runs, SEED)
        false = int(np.isfinite(first_looks(path)).sum())
        generator = np.random.default_rng(SEED)
        missed = np.zeros(3)
        repetitions = max(runs // 8, 20)
        for _ in range(repetitions):
            converted = generator.binomial(units, rate)
            out = np.zeros(3, dtype=bool)
            for look in range(6, looks + 1, 6):
                n, k = units[:, :look], converted[:, :look]
                ratio = ratio_interval(n[0], k[0], n[1], k[1], BETS, 0.05)
                half = ratio_interval(n[0], k[0], n[1], k[1], BETS, 0.025)
                second = rate_interval(int(k[1].sum()), int(n[1].sum()), 0.025)
                difference = difference_interval(half, second)
                low, high = rate_interval(int(k[1].sum()), int(n[1].sum()), 0.05)
                truth = float((n[1] * rate[:look]).sum() / n[1].sum())
                out |= [
                    not low <= truth <= high,
                    not ratio[0] <= 1 <= ratio[1],
                    not difference[0] <= 0 <= difference[1],
                ]
            missed += out
        text = ", ".join(f"{part / repetitions:.1%}" for part in missed)
        bound = upper(false, runs)
        rows.append((f"2 equal, {name}", f"{false / runs:.2%} (at most {bound:.2%})", bound <= 0.05))
        rows.append(
            (
                "  missed by rate, ratio, difference",
                f"{text} of {repetitions}",
                bool(max(missed) / repetitions <= 0.05),
            )
        )
    return rows


def speed(rates: tuple[float, float], most: int, target: int, runs: int) -> list[Row]:
    """Median units per arm to the right decision, and the oracle's, in the same run."""
    rows: list[Row] = []
    for units in (UNITS, 100):
        looks = most // units
        generator = np.random.default_rng(SEED)
        ours, rightly = [], 0
        others: dict[str, list[NDArray[np.float64]]] = {}
        middle = sum(rates) / 2
        gain = [math.log(rate / middle) for rate in rates]
        loss = [math.log((1 - rate) / (1 - middle)) for rate in rates]
        size = max(1, CHUNK // looks)
        for begin in range(0, runs, size):
            shape = (min(size, runs - begin), 2, looks)
            converted = generator.binomial(units, np.array(rates)[:, None], shape)
            path = proven_path(np.full(shape, units), converted, POLICY)
            first = first_looks(path)
            at = np.minimum(first, looks).astype(np.int64) - 1
            rightly += int((path[np.arange(shape[0]), at] == 1).sum())
            ours.append(first * units)
            sums = np.cumsum(converted, axis=2)
            sent = units * np.arange(1, looks + 1)
            known = sum(sums[:, arm] * gain[arm] + (sent - sums[:, arm]) * loss[arm] for arm in (0, 1))
            for name, decided in (
                ("oracle", known >= math.log(20)),
                ("GrowthBook's interval", always_valid_lift(sums, sent)),
                ("mSPRT", mixture_test(sums, sent)),
            ):
                others.setdefault(name, []).append(first_looks(np.where(decided, 1, -1)) * units)
        median = float(np.median(np.concatenate(ours)))
        beside = {name: float(np.median(np.concatenate(found))) for name, found in others.items()}
        text = f"{median:,.0f}; right arm {rightly / runs:.1%}; " + ", ".join(
            f"{name} {other:,.0f} (ratio {median / other:.2f})" for name, other in beside.items()
        )
        rows.append(
            (
                f"3 {rates[0]:.1%} to {rates[1]:.1%}, a look every {units:,}",
                text,
                bool(median <= target and rightly / runs >= 0.995),
            )
        )
    return rows


def usual(runs: int) -> list[Row]:
    """What other rules make of equal arms: false switches within 14 and 60 days, a look every two hours."""
    generator = np.random.default_rng(SEED)
    looks = 60 * DAY
    sums = np.cumsum(generator.binomial(UNITS, 0.04, (runs, 2, looks)), axis=2)
    sent = UNITS * np.arange(1, looks + 1)
    rows: list[Row] = []
    for name, decided in (
        ("z-test, peeked", peeked_z(sums, sent)),
        ("GrowthBook's interval", always_valid_lift(sums, sent)),
        ("mSPRT", mixture_test(sums, sent)),
    ):
        text = "; ".join(
            f"{decided[:, : days * DAY].any(axis=1).mean():.1%} false, {days} d" for days in (14, 60)
        )
        rows.append((f"  equal by {name}", text, None))
    active = rate_of_the_last_look(sums[:, :, : 14 * DAY])
    flips = np.median((np.diff(active, axis=1) != 0).sum(axis=1))
    text = f"{active.any(axis=1).mean():.1%} false, 14 d; flips {flips:.0f}"
    return [*rows, ("  equal by the last two hours", text, None)]


def delay(runs: int) -> list[Row]:
    """Claims come 4 h after A and 24 h after B on average; the window grows from 72 h to 144 h by itself.

    Claims that keep coming near the end of the window forbid a switch until invites are two windows old. Then the
    99 % point of the delays is known (110 h), and the window that it asks for is 144 h.
    """
    rows: list[Row] = []
    looks, mean = 30 * DAY, np.array([4.0, 24.0])[:, None]
    for name, rates in (("B 25 % better", (0.04, 0.05)), ("equal", (0.04, 0.04))):
        generator = np.random.default_rng(SEED)
        winners: list[int] = []
        for _ in range(0, runs, 100):
            rate = np.array(rates)[:, None]
            shape = (100, 2, looks)
            units = np.full(shape, UNITS)
            converted = generator.binomial(UNITS, rate * -np.expm1(-144 / mean), shape)
            path = proven_path(units, converted, POLICY)
            at = np.minimum(first_looks(path), path.shape[1]).astype(np.int64) - 1
            winners.extend(path[np.arange(100), at].tolist())
        found = np.array(winners)
        if name == "equal":
            bound = upper(int((found >= 0).sum()), len(found))
            text = f"{(found >= 0).mean():.2%} false (at most {bound:.2%}), 30 d"
            rows.append((f"4 delay 4 h, 24 h, {name}", text, (found >= 0).mean() <= 0.05))
        else:
            right = float((found == 1).mean())
            rows.append((f"4 delay 4 h, 24 h, {name}", f"right arm {right:.1%}", right >= 0.99))
    return rows


def clusters(runs: int) -> list[Row]:
    """Five sends to each supplier with a correlation of .2: suppliers are counted, not sends."""
    generator = np.random.default_rng(SEED)
    looks, suppliers = 14 * DAY, UNITS // 5
    false, naive = 0, 0
    for _ in range(0, runs, 50):
        shape = (50, 2, looks)
        chance = generator.beta(0.04 * 4, 0.96 * 4, (*shape, suppliers)).astype(np.float32)
        sends = generator.binomial(5, chance)
        by_supplier, by_send = (sends > 0).sum(axis=3), sends.sum(axis=3)
        false += int(
            np.isfinite(first_looks(proven_path(np.full(shape, suppliers), by_supplier, POLICY))).sum()
        )
        naive += int(
            np.isfinite(first_looks(proven_path(np.full(shape, suppliers * 5), by_send, POLICY))).sum()
        )
    text = f"{false / runs:.2%} (at most {upper(false, runs):.2%}); counting sends {naive / runs:.1%}"
    return [("5 equal, five sends a supplier", text, false / runs <= 0.05)]
