"""How often the A/B engine switches on noise, and how soon on truth: every number of its guarantee, seeded.

20,000 units a day and arm and a look every two hours (1,667 units a look) unless a line says otherwise. The oracle
knows both rates. Beside ours: a z-test at 5 % peeked at each look, "the higher rate of the last two hours",
GrowthBook's sequential interval and the mixture sequential probability ratio test (mSPRT), each from its paper.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import NormalDist

import numpy as np
from measures.conversion_rollup import rollup
from measures.sequential_rules import always_valid_lift, mixture_test, peeked_z, rate_of_the_last_look
from numpy.typing import NDArray

from app.post_audit.replay.conversions import evaluate, proven_path
from app.post_audit.replay.simulation import first_looks
from app.post_audit.replay.units import read_units
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.evidence import Bets
from app.post_audit.steps.conversions.facts import Block, Counts, Experiment, Variant
from app.post_audit.steps.conversions.health import decay_log_e, harm_log_e, mismatch_log_e
from app.post_audit.steps.conversions.intervals import difference_interval, rate_interval, ratio_interval
from app.post_audit.steps.conversions.ledger import Ledger, fold, to_memory
from app.post_audit.steps.conversions.policy import ConversionsPolicy

Row = tuple[str, str, bool | None]
Ints = NDArray[np.int64]

SEED, UNITS, DAY = 20251109, 1_667, 12
POLICY = ConversionsPolicy()
BETS = Bets(
    log_ratio_deviation=POLICY.log_ratio_deviation,
    prior_rate=POLICY.prior_rate,
    prior_units=POLICY.prior_units,
)
START = datetime(2025, 10, 1, tzinfo=UTC)
HILLSTROM = Path(__file__).resolve().parents[2] / "shared/data/ab/hillstrom.csv"
CHUNK = 60_000


def upper(hits: int, runs: int) -> float:
    """The one-sided upper 95 % bound of a share (Clopper and Pearson's, by bisection)."""
    low, high = hits / runs, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        logs = [
            math.lgamma(runs + 1)
            - math.lgamma(k + 1)
            - math.lgamma(runs - k + 1)
            + k * math.log(middle)
            + (runs - k) * math.log1p(-middle)
            for k in range(hits + 1)
        ]
        low, high = (middle, high) if sum(map(math.exp, logs)) > 0.05 else (low, middle)
    return high


def paths(rates: NDArray[np.float64], units: Ints, runs: int, seed: int) -> Ints:
    """Which arm is proved after each look; rates and units have the shape (arms, looks)."""
    generator = np.random.default_rng(seed)
    size = max(1, CHUNK // units.shape[1])
    found = []
    for begin in range(0, runs, size):
        shape = (min(size, runs - begin), *units.shape)
        converted = generator.binomial(units, rates, shape)
        found.append(proven_path(np.broadcast_to(units, shape), converted, POLICY))
    return np.concatenate(found)


def flat(rates: tuple[float, ...], looks: int, units: int) -> tuple[NDArray[np.float64], Ints]:
    """Constant rates and sizes."""
    return np.repeat(np.array(rates)[:, None], looks, axis=1), np.full((len(rates), looks), units)


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


def block(look: int, counts: dict[str, tuple[int, int]]) -> Block:
    """Give {variant: (units, events)} as a block of the facts."""
    return Block(
        hour=START + timedelta(hours=2 * look),
        epoch=1,
        counts={name: Counts(units=n, converted=k, opt_outs=k) for name, (n, k) in counts.items()},
    )


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


def real(orders: int) -> list[Row]:
    """A real e-mail test in random orders."""
    if not HILLSTROM.exists():
        return [("8 real e-mail test", "not measured: the file lies outside the project", None)]
    wins, blocked, at = 0, 0, []
    for seed in range(orders):
        told = evaluate(
            read_units(HILLSTROM, unit="row", variant="segment", outcome="visit", order_seed=seed), POLICY
        )
        shares = told["srm"]
        blocked += int(isinstance(shares, dict) and bool(shares["blocked"]))
        wins += told["winner"] == "Mens E-Mail"
        at.append(int(str(told["decided_at_unit"] or 0)))
    text = f"{wins} of {orders} orders won by Mens E-Mail, {blocked} blocked, median at unit {np.median(at):,.0f}"
    return [("8 real e-mail test", text, wins == orders and blocked == 0)]


def evaluation() -> list[Row]:
    """Time of one judgement: two weeks of hours, and the 250 days that 10 million invites take."""
    rows: list[Row] = []
    for name, hours in (("14 days", 336), ("10M invites, 250 days", 6_000)):
        generator = np.random.default_rng(SEED)
        blocks = tuple(
            Block(
                hour=START + timedelta(hours=hour),
                epoch=1,
                counts={
                    arm: Counts(units=833, converted=int(generator.binomial(833, 0.04))) for arm in ("a", "b")
                },
            )
            for hour in range(hours)
        )
        experiment = Experiment(
            id=1,
            name="E",
            active_variant="a",
            winner=None,
            variants=(Variant(id="a", label="A"), Variant(id="b", label="B")),
            allocation_basis_points={"a": 5_000, "b": 5_000},
            allocation_epoch=1,
            version=0,
            attribution_window_hours=72,
            started_at=START,
            last_invite_at=None,
            blocks=blocks,
            immature={},
        )
        # As `gather` gives them: what is older than two windows, and up to a day more, is remembered.
        as_of, old = START + timedelta(hours=hours + 80), len(blocks) - 2 * 72 - 24 + 80
        past = fold(Ledger(), blocks[:old], experiment, POLICY)
        memory = json.loads(json.dumps(to_memory(past, experiment, POLICY)))
        for what, one in (
            ("", replace(experiment, blocks=blocks[old:], memory=memory)),
            (", nothing remembered", experiment),
        ):
            spent = []
            for _ in range(15):
                begin = time.perf_counter()
                assess(one, as_of, (), POLICY)
                spent.append(time.perf_counter() - begin)
            median, least = 1000 * float(np.median(spent)), 1000 * min(spent)
            text = f"{median:.1f} ms an experiment (least {least:.1f})"
            rows.append((f"9 evaluation, {name}{what}", text, None if what else median <= 10))
    return rows


def cells(runs: int) -> list[tuple[Callable[..., list[Row]], tuple[object, ...]]]:
    """Everything that is measured, the longest first."""
    few = max(runs // 10, 20)
    return [
        (equal_arms, ("2 arms 4 %, a look every 100", (0.04, 0.04), 100, runs)),
        (equal_arms, ("5 arms 4 %", (0.04,) * 5, UNITS, runs)),
        (real, (max(runs // 20, 3),)),
        (clusters, (runs // 4 // 50 * 50 or 50,)),
        (equal_arms, ("3 arms 4 %", (0.04,) * 3, UNITS, runs)),
        (equal_arms, ("2 arms 4 %", (0.04, 0.04), UNITS, runs)),
        (equal_arms, ("2 arms 0.1 %", (0.001, 0.001), UNITS, runs)),
        (equal_arms, ("2 arms 30 %", (0.3, 0.3), UNITS, runs)),
        (drift, (runs,)),
        (speed, ((0.04, 0.05), 60_000, 8_400, runs)),
        (speed, ((0.04, 0.044), 250_000, 42_000, runs)),
        (usual, (runs,)),
        (delay, (runs // 100 * 100 or 100,)),
        (mismatch, (runs,)),
        (decay, (few,)),
        (harm, (runs // 2,)),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="100 runs a line instead of 2,000")
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--only", choices=["rollup", "statistics"], help="measure only this part")
    options = parser.parse_args()
    runs = 100 if options.quick else options.runs
    started = time.perf_counter()
    rows: list[Row] = []
    if options.only != "rollup":
        rows += evaluation()
        with ProcessPoolExecutor(2) as pool:
            waiting = [pool.submit(measure, *arguments) for measure, arguments in cells(runs)]
            rows += [row for one in waiting for row in one.result()]
    if options.only != "statistics":
        # A tenth of the size where it has to be quick: the ratio of the two is what is asked.
        rows += rollup((100_000, 1_000_000)) if options.quick else rollup()
    seconds = time.perf_counter() - started
    if options.json:
        table = [{"line": name, "result": text, "holds": holds} for name, text, holds in rows]
        print(json.dumps({"runs": runs, "seed": SEED, "seconds": seconds, "rows": table}))
        return
    print(f"conversions: {runs} runs a line, seed {SEED}, {seconds:.0f} s")
    for name, text, holds in rows:
        print(f"{'    ' if holds is None else 'yes ' if holds else 'NO  '}{name:<44}{text}")


if __name__ == "__main__":
    main()
