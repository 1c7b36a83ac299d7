"""How often equal messages are switched, and how soon a better one is, beside two usual rules in the same run.

Each repetition is 14 days at 20,000 invites a day and message, looked at every two hours (1,667 invites a message and
look). The rules: our evidence (switch at 1 in 20), a z-test at 5 % peeked at each look, and "the higher rate of the
last two hours wins".
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray

from app.post_audit.steps.conversions.evidence import Bets, evidence_path
from app.post_audit.steps.conversions.policy import ConversionsPolicy

LOOKS, UNITS, SEED = 168, 1_667, 20251109


def first_switch(decides: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The first look of each repetition at which a rule decides; infinity where it never does."""
    return np.where(decides.any(axis=1), decides.argmax(axis=1) + 1.0, np.inf)


def rules(rate_a: float, rate_b: float, repetitions: int) -> dict[str, NDArray[np.float64]]:
    """The look of the first switch under each rule, shape (repetitions,)."""
    generator = np.random.default_rng(SEED)
    shape = (repetitions, LOOKS)
    first, second = generator.binomial(UNITS, rate_a, shape), generator.binomial(UNITS, rate_b, shape)
    units = np.full(shape, UNITS)
    policy = ConversionsPolicy()
    bets = Bets(
        log_ratio_deviation=policy.log_ratio_deviation,
        prior_rate=policy.prior_rate,
        prior_units=policy.prior_units,
    )
    ours = evidence_path(units, first, units, second, bets).log_e >= np.log(1 / policy.alpha)
    sent = np.cumsum(units, axis=1)
    sum_a, sum_b = np.cumsum(first, axis=1), np.cumsum(second, axis=1)
    pooled = (sum_a + sum_b) / (2 * sent)
    z = (sum_a - sum_b) / sent / np.sqrt(2 * pooled * (1 - pooled) / sent)
    return {
        "evidence, 1 in 20": first_switch(ours),
        "z-test, peeked": first_switch(np.abs(z) >= 1.96),
        "last two hours": first_switch(first != second),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repetitions", type=int, default=400)
    options = parser.parse_args()
    started = time.perf_counter()
    null, real = rules(0.04, 0.04, options.repetitions), rules(0.04, 0.05, options.repetitions)
    table = {
        name: {
            "false_switches": float(np.isfinite(null[name]).mean()),
            "median_sends_per_message_4_to_5_percent": float(np.median(real[name])) * UNITS,
        }
        for name in null
    }
    document = {"repetitions": options.repetitions, "seconds": time.perf_counter() - started, "rules": table}
    if options.json:
        print(json.dumps(document))
        return
    print(f"conversions: {options.repetitions} repetitions of 14 days, {document['seconds']:.1f} s")
    print(f"{'rule':<20}{'equal, switched':>18}{'4 % to 5 %: sends per message':>32}")
    for name, row in table.items():
        print(
            f"{name:<20}{row['false_switches']:>17.1%}"
            f"{row['median_sends_per_message_4_to_5_percent']:>32,.0f}"
        )


if __name__ == "__main__":
    main()
