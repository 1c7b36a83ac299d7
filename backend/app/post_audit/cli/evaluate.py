"""`post-audit evaluate` and `post-audit simulate`: try a step on history, or on invented traffic, before arming it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app.post_audit.cli.shared import AsJson, app, out, print_json
from app.post_audit.formats import count, percent
from app.post_audit.ports import JSON

__all__ = ["evaluations", "simulations"]

evaluations = typer.Typer(help="Try a step on your own history.", no_args_is_help=True)
simulations = typer.Typer(help="Measure a step on invented traffic.", no_args_is_help=True)
app.add_typer(evaluations, name="evaluate")
app.add_typer(simulations, name="simulate")


@evaluations.callback()
def _evaluations() -> None:
    """Keep `evaluate` a group while it has one command."""


@simulations.callback()
def _simulations() -> None:
    """Keep `simulate` a group while it has one command."""


_Alpha = Annotated[float | None, typer.Option(help="How often equal variants may ever be switched. [0.05]")]


@evaluations.command("conversions")
def evaluate_conversions(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="One line per unit, with a head line.")],
    unit: Annotated[str, typer.Option(help="Column of the unit; `row` where each line is one.")],
    variant: Annotated[str, typer.Option(help="Column of the variant.")],
    outcome: Annotated[str, typer.Option(help="Column of the outcome: 1 or 0.")],
    time: Annotated[str | None, typer.Option(help="Column of the time of arrival.")] = None,
    order_seed: Annotated[int | None, typer.Option(help="Shuffle by this seed, without a time.")] = None,
    alpha: _Alpha = None,
    as_json: AsJson = False,
) -> int:
    """Replay an A/B test as if its units had just arrived, and tell what would have been decided, and when."""
    from app.post_audit.replay.conversions import evaluate, with_alpha
    from app.post_audit.replay.units import read_units
    from app.post_audit.steps.conversions.policy import ConversionsPolicy

    policy = with_alpha(ConversionsPolicy(), alpha)
    units = read_units(file, unit=unit, variant=variant, outcome=outcome, time=time, order_seed=order_seed)
    told = evaluate(units, policy)
    if as_json:
        print_json(told)
        return 0
    decided = told["decided_at_unit"]
    out.print(
        f"{told['winner']} wins after {count(decided)} of {count(len(units.variant))} units."
        if isinstance(decided, int)
        else f"No winner after {count(len(units.variant))} units."
    )
    table = Table("Variant", "Units", "Converted", "Rate")
    for row in _rows(told, "variants"):
        number, converted, rate = row["units"], row["converted"], row["rate"]
        table.add_row(str(row["variant"]), str(number), str(converted), f"{rate:.4%}" if rate else "unknown")
    out.print(table)
    for reason in _rows(told, "reasons"):
        out.print(str(reason["text"]), markup=False)
    return 0


@simulations.command("conversions")
def simulate_conversions(
    rates: Annotated[
        list[float] | None, typer.Option("--rate", help="An arm's true rate; give each.")
    ] = None,
    runs: Annotated[int, typer.Option(help="How many experiments.")] = 400,
    days: Annotated[int, typer.Option(help="How long each of them runs.")] = 14,
    units_a_day: Annotated[int, typer.Option(help="Suppliers a day and arm.")] = 20_000,
    looks_a_day: Annotated[int, typer.Option(help="How often one looks.")] = 12,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 20251109,
    alpha: _Alpha = None,
    as_json: AsJson = False,
) -> int:
    """Tell how often equal messages are switched, how soon a better one is, and what waiting costs."""
    from app.post_audit.replay.conversions import with_alpha
    from app.post_audit.replay.simulation import Traffic, simulate
    from app.post_audit.steps.conversions.policy import ConversionsPolicy

    traffic = Traffic(
        rates=tuple(rates or (0.04, 0.05)),
        units_a_look=units_a_day // max(looks_a_day, 1),
        looks=days * looks_a_day,
    )
    told = simulate(traffic, with_alpha(ConversionsPolicy(), alpha), runs=runs, seed=seed)
    if as_json:
        print_json(told)
        return 0
    false, bound, right = (
        float(str(told[key])) for key in ("false_switches", "false_switches_upper_95", "right_switches")
    )
    out.print(f"{count(runs)} experiments of {days} days, {count(traffic.looks)} looks each (seed {seed}):")
    out.print(f"  switched falsely   {percent(false, 1)} (at most {percent(bound, 1)})")
    out.print(f"  switched rightly   {percent(right, 1)}")
    median = told["median_units_per_arm"]
    out.print(f"  median to decision {count(round(median)) if isinstance(median, float) else 'not decided'}")
    lost, even = (
        round(float(str(told[key]))) for key in ("lost_conversions_mean", "lost_conversions_even_shares")
    )
    out.print(f"  conversions lost   {count(lost)} on average; even shares throughout: {count(even)}")
    return 0


def _rows(document: Mapping[str, JSON], key: str) -> list[Mapping[str, JSON]]:
    """Give a list of objects of a document, for printing."""
    found = document[key]
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, Sequence) else []
