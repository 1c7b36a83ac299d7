"""How often the guards of the A/B engine speak on noise, and how soon on truth: sharing, wear and harm."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from measures.conversion_runs import DAY, POLICY, SEED, UNITS, Ints, Row, block, upper
from numpy.typing import NDArray

from app.post_audit.replay.simulation import first_looks
from app.post_audit.steps.conversions.health import decay_log_e, harm_log_e, mismatch_log_e

__all__ = ["decay", "harm", "mismatch"]


def mismatch_limits(looks: int, units: int) -> tuple[Ints, Ints]:
    """Within which counts of the first arm the step stays silent, look by look, by bisection."""
    needed, wanted = math.log(1 / POLICY.mismatch_alpha), {1: {"a": 5_000, "b": 5_000}}

    def strays(of_a: int, everybody: int) -> bool:
        return mismatch_log_e({1: {"a": of_a, "b": everybody - of_a}}, wanted, ("a", "b")) >= needed

    most = []
    for everybody in range(units, units * looks + 1, units):
        silent, loud = everybody // 2, everybody + 1
        while loud - silent > 1:
            middle = (silent + loud) // 2
            silent, loud = (silent, middle) if strays(middle, everybody) else (middle, loud)
        most.append(silent)
    highest = np.array(most)
    return units * np.arange(1, looks + 1) - highest, highest


def mismatch(runs: int) -> list[Row]:
    """Shares of 52/48 where 50/50 was meant, a look every 100 units, to 20,000 in all and 10,000 an arm.

    Beside it what can be: the sequential ratio test that knows the 52 %, and the best test of all that looks only
    once, at 10,000 units in all, at the same 1 in 1,000.
    """
    generator = np.random.default_rng(SEED)
    looks, many = 200, runs * 50
    lowest, highest = mismatch_limits(looks, 100)
    sent = 100 * np.arange(1, looks + 1)
    found: dict[str, NDArray[np.float64]] = {}
    for name, share in (("ours", 0.52), ("equal", 0.5), ("oracle", 0.52)):
        parts = []
        for _ in range(0, many, 5_000):
            of_a = np.cumsum(generator.binomial(100, share, (min(many, 5_000), looks)), axis=1)
            over = (of_a < lowest) | (of_a > highest)
            if name == "oracle":
                known = of_a * math.log(1.04) + (sent - of_a) * math.log(0.96)
                over = known >= math.log(1_000)
            parts.append(first_looks(np.where(over, 1, -1)) * 100)
        found[name] = np.concatenate(parts)
    in_all, an_arm = (float((found["ours"] <= most).mean()) for most in (10_000, 20_000))
    best_in_all, best_an_arm = (float((found["oracle"] <= most).mean()) for most in (10_000, 20_000))
    normal = NormalDist()
    once = 1 - normal.cdf(normal.inv_cdf(1 - POLICY.mismatch_alpha / 2) - 0.04 * math.sqrt(10_000))
    false = int((found["equal"] <= 20_000).sum())
    bound = upper(false, many)
    return [
        (
            "6 shares 52/48, within 10,000 an arm",
            f"{an_arm:.1%} blocked; oracle {best_an_arm:.1%}",
            an_arm >= 0.95,
        ),
        (
            "6 shares 52/48, within 10,000 in all",
            f"{in_all:.1%} blocked; oracle {best_in_all:.1%}; the best single look {once:.1%}",
            None,
        ),
        (
            "6 shares 50/50 block",
            f"{false / many:.3%} (at most {bound:.3%}) of {many:,}",
            bound <= POLICY.mismatch_alpha,
        ),
    ]


def decay(runs: int) -> list[Row]:
    """After the switch the winner brings 3.5 %, the holdout (5 %) 4 %: at once, or after two good weeks."""
    rows: list[Row] = []
    for name, good in (("at once", 0), ("after 14 days at 5 %", 14)):
        generator = np.random.default_rng(SEED)
        days = []
        for _ in range(runs):
            blocks = []
            for look in range((good + 40) * DAY):
                rate = 0.05 if look < good * DAY else 0.035
                winner, rest = generator.binomial(3_167, rate), generator.binomial(167, 0.04)
                blocks.append(block(look, {"w": (3_167, int(winner)), "h": (167, int(rest))}))
                due = look >= good * DAY and (look + 1) % 3 == 0
                if due and decay_log_e(blocks, "w", ("w", "h"), POLICY.log_ratio_deviation) >= math.log(20):
                    break
            days.append((len(blocks) / DAY) - good)
        median = float(np.median(days))
        rows.append(
            (f"7 decay to 3.5 %, {name}", f"reverted after {median:.1f} d of matured traffic", median <= 7)
        )
    rows[1] = (*rows[1][:2], None)
    return rows


def harm(runs: int) -> list[Row]:
    """Opt-outs of .6 % against .3 %: when the arm is stopped; and how often an equal one is, in 14 days."""
    generator = np.random.default_rng(SEED)
    needed = math.log(2 / POLICY.guardrail_alpha)
    sent = UNITS * np.arange(1, 14 * DAY + 1)
    firsts: dict[str, list[float]] = {"b": [], "any": []}
    for rate, arms, name in ((0.006, "b", "b"), (0.003, "ab", "any")):
        sums = np.cumsum(
            generator.binomial(UNITS, np.array([0.003, rate])[:, None], (runs, 2, 14 * DAY)), axis=2
        )
        for run in sums:
            first = math.inf
            for look in range(14 * DAY):
                # One block of all: with even shares the coin is the same, and faster.
                counts = {arm: (int(sent[look]), int(run[place, look])) for place, arm in enumerate("ab")}
                if any(harm_log_e([block(0, counts)], arm, ("a", "b"), "opt_outs") >= needed for arm in arms):
                    first = float(sent[look])
                    break
            firsts[name].append(first)
    median, false = float(np.median(firsts["b"])), float(np.isfinite(firsts["any"]).mean())
    return [
        ("7 opt-outs doubled", f"stopped at {median:,.0f} sends an arm (median)", median <= 12_000),
        ("7 opt-outs equal", f"{false:.2%} false alarms, 14 d", false <= 0.01),
    ]
