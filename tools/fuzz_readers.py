"""Feed broken audit reports to the readers for as long as asked; `make fuzz`.

    python tools/fuzz_readers.py [--minutes 10] [--seed N]

A reader may raise `InputError` and nothing else, and takes no longer than ten seconds for 60 kB. What breaks that is
written to `fuzz-N.report` with the error, and ends the run with 1.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
import traceback
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "backend"))

from app.post_audit.errors import InputError  # noqa: E402 - after the path
from app.post_audit.steps.enhancements.parsing import parse_stream  # noqa: E402 - after the path
from tests.support.mutations import broken, seeds  # noqa: E402 - after the path

SLOWEST = 10.0
"""Seconds for one report of 60 kB at most."""


def main() -> int:
    """Bend, read, and count."""
    parser = argparse.ArgumentParser(description="Feed broken audit reports to the readers.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else time.time_ns()
    chance = random.Random(seed)  # noqa: S311 - broken reports, not secrets
    reports = seeds()
    ends = time.monotonic() + arguments.minutes * 60
    read = refused = 0
    while time.monotonic() < ends:
        report = broken(chance.choice(reports), chance)
        begun = time.process_time()
        try:
            parse_stream(io.BytesIO(report), "fuzz")
            read += 1
        except InputError:
            refused += 1
        except Exception:  # noqa: BLE001 - whatever else is raised is what is looked for
            return _found(report, traceback.format_exc(), seed)
        if time.process_time() - begun > SLOWEST:
            return _found(report, f"took {time.process_time() - begun:.1f} s", seed)
    print(f"{read + refused} reports: {read} read, {refused} refused, nothing else (seed {seed}).")  # noqa: T201 - a command
    return 0


def _found(report: bytes, what: str, seed: int) -> int:
    path = Path(f"fuzz-{seed}.report")
    path.write_bytes(report)
    print(f"{what}\nThe report is in {path}.", file=sys.stderr)  # noqa: T201 - a command
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
