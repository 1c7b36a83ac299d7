"""Tests of `app.post_audit.replay.conversions` and its commands: files, real and made up, and simulations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.post_audit.cli import main
from app.post_audit.errors import InputError
from app.post_audit.replay.conversions import Traffic, Units, evaluate, read_units, simulate, with_alpha
from app.post_audit.steps.conversions.policy import ConversionsPolicy

POLICY = ConversionsPolicy()
HILLSTROM = Path(__file__).resolve().parents[5] / "shared/data/ab/hillstrom.csv"


def made_up(rates: tuple[float, ...], number: int, shares: tuple[float, ...] | None = None) -> Units:
    random = np.random.default_rng(3)
    variant = random.choice(len(rates), number, p=shares)
    return Units(
        variants=("a", "b", "c")[: len(rates)],
        variant=variant,
        converted=random.random(number) < np.array(rates)[variant],
    )


def told(units: Units) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(evaluate(units, POLICY), allow_nan=False))
    return found


def write(folder: Path, *lines: str) -> Path:
    path = folder / "units.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path, unit: str = "who", time: str | None = None, order_seed: int | None = None) -> Units:
    return read_units(path, unit=unit, variant="arm", outcome="won", time=time, order_seed=order_seed)


def test_a_better_variant_wins_before_the_end() -> None:
    found = told(made_up((0.04, 0.07), 20_000))
    assert found["winner"] == "b"
    assert 1_000 <= found["decided_at_unit"] <= 15_000
    assert found["srm"]["blocked"] is False
    low, high = found["comparisons"][0]["ratio_interval"]
    assert low < 0.04 / 0.07 < high < 1
    assert [row["variant"] for row in found["variants"]] == ["a", "b"]
    assert found["reasons"][0]["code"] == "conversions.rates"


def test_equal_variants_have_no_winner() -> None:
    found = told(made_up((0.04, 0.04, 0.04), 20_000))
    assert (found["winner"], found["decided_at_unit"]) == (None, None)
    assert len(found["comparisons"]) == 3


def test_shares_that_stray_forbid_a_winner() -> None:
    found = told(made_up((0.04, 0.08), 20_000, (0.45, 0.55)))
    assert (found["winner"], found["srm"]["blocked"], found["status"]) == (None, True, "blocked")
    assert found["srm"]["p_value"] < 0.001


def test_an_empty_file_has_nothing_to_replay() -> None:
    nobody = Units(variants=("a", "b"), variant=np.zeros(0, np.int64), converted=np.zeros(0, np.bool_))
    with pytest.raises(InputError, match="no unit"):
        evaluate(nobody, POLICY)


def test_the_first_invite_of_a_unit_counts(tmp_path: Path) -> None:
    path = write(tmp_path, "who,arm,won,at", "1,b,0,2", "1,b,1,3", "2,a,yes,1", "2,b,1,9", "3,a,,4")
    units = read(path, time="at")
    assert (units.variants, units.variant.tolist()) == (("a", "b"), [0, 1, 0])
    assert (units.converted.tolist(), units.exposed_to_several) == ([True, True, False], 1)


def test_lines_can_be_units_and_be_shuffled(tmp_path: Path) -> None:
    path = write(tmp_path, "arm,won", *(f"{'ab'[number % 2]},{number % 2}" for number in range(50)))
    plain, mixed = read(path, unit="row"), read(path, unit="row", order_seed=1)
    assert plain.variant.tolist() == [0, 1] * 25
    assert mixed.variant.tolist() != plain.variant.tolist()
    assert mixed.variant.tolist() == read(path, unit="row", order_seed=1).variant.tolist()


def test_dates_are_times(tmp_path: Path) -> None:
    path = write(tmp_path, "who,arm,won,at", "1,a,0,2025-11-09T01:00:00+05:30", "2,b,1,2025-11-08T19:00:00")
    assert read(path, time="at").variant.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["who,arm", "1,a"], "no column named won"),
        (["who,arm,won,at", "1,a,perhaps,1"], "Line 2: the outcome 'perhaps'"),
        (["who,arm,won,at", "1,a,1,1"], "1 variants"),
        (["who,arm,won,at", "1,,1,1"], "names no variant"),
        (["who,arm,won,at", "1,a,1,soon"], "'soon' is no time"),
        (["who,arm,won,at", *(f"{n},v{n},1,1" for n in range(11))], "11 variants"),
    ],
    ids=["column", "outcome", "one variant", "no variant", "time", "eleven"],
)
def test_an_unusable_file_is_refused(tmp_path: Path, lines: list[str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read(write(tmp_path, *lines), time="at")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.csv")


def test_a_simulation_is_seeded_and_right() -> None:
    traffic = Traffic(rates=(0.04, 0.06), units_a_look=500, looks=40)
    first = simulate(traffic, POLICY, runs=30, seed=5)
    assert first == simulate(traffic, POLICY, runs=30, seed=5)
    assert first["right_switches"] == 1.0
    median, lost, even = (
        first[key]
        for key in ("median_units_per_arm", "lost_conversions_mean", "lost_conversions_even_shares")
    )
    assert isinstance(median, float)
    assert isinstance(lost, float)
    assert isinstance(even, float)
    assert 1_000 <= median <= 5_000
    assert lost < even / 2


def test_a_simulation_of_equal_arms_counts_every_switch_as_false() -> None:
    found = simulate(Traffic(rates=(0.04,) * 3, units_a_look=500, looks=40), POLICY, runs=100, seed=5)
    assert found["right_switches"] == 0.0
    assert found["median_units_per_arm"] is None
    assert float(str(found["false_switches"])) <= 0.05
    assert found["median_flips"] == 0.0


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(InputError, match="1 rates"):
        Traffic(rates=(0.04,), units_a_look=500, looks=40)
    with pytest.raises(InputError, match="between 0 and 1"):
        Traffic(rates=(0.04, 4.0), units_a_look=500, looks=40)
    with pytest.raises(InputError, match="one run"):
        simulate(Traffic(rates=(0.1, 0.1), units_a_look=5, looks=4), POLICY, runs=0, seed=1)
    with pytest.raises(InputError, match="cannot be alpha"):
        with_alpha(POLICY, 2.0)
    assert with_alpha(POLICY, 0.01).alpha == 0.01


def test_the_commands_print_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "arm,won", *(f"{'ab'[number % 2]},{number % 2}" for number in range(400)))
    asked = ["evaluate", "conversions", str(path), "--unit", "row", "--variant", "arm", "--outcome", "won"]
    assert main([*asked, "--json", "--alpha", "0.01"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["winner"], found["alpha"]) == ("b", 0.01)
    assert main(asked) == 0
    assert "b wins after" in capsys.readouterr().out
    simulated = ["simulate", "conversions", "--runs", "3", "--days", "1", "--rate", "0.1", "--rate", "0.2"]
    assert main([*simulated, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 3
    assert main(simulated) == 0
    assert "switched rightly" in capsys.readouterr().out
    equal = write(tmp_path, "arm,won", *(f"{'ab'[number % 2]},0" for number in range(400)))
    assert main([*asked[:2], str(equal), *asked[3:]]) == 0
    assert "No winner after 400 units." in capsys.readouterr().out


@pytest.mark.skipif(not HILLSTROM.exists(), reason="the real A/B test lies outside the project")
def test_a_real_test_is_won_by_its_winner_in_any_order() -> None:
    for seed in range(3):
        units = read_units(HILLSTROM, unit="row", variant="segment", outcome="visit", order_seed=seed)
        found = told(units)
        assert (found["winner"], found["srm"]["blocked"]) == ("Mens E-Mail", False)
