"""How often the A/B engine switches on noise, and how soon on truth: every number of its guarantee, seeded.

20,000 units a day and arm and a look every two hours (1,667 units a look) unless a line says otherwise. The oracle
knows both rates. Beside ours: a z-test at 5 % peeked at each look, "the higher rate of the last two hours",
GrowthBook's sequential interval and the mixture sequential probability ratio test (mSPRT), each from its paper.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from measures.conversion_guards import decay, harm, mismatch
from measures.conversion_rollup import rollup
from measures.conversion_runs import POLICY, SEED, START, UNITS, Row
from measures.conversion_switching import clusters, delay, drift, equal_arms, speed, usual

from app.post_audit.replay.conversions import evaluate
from app.post_audit.replay.units import read_units
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.facts import Block, Counts, Experiment, Variant
from app.post_audit.steps.conversions.ledger import Ledger, fold, to_memory

HILLSTROM = Path(__file__).resolve().parents[2] / "shared/data/ab/hillstrom.csv"


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
