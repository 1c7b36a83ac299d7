"""Tests of `app.post_audit.replay.conversions` and of the commands: files, real and made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.post_audit.cli import main
from app.post_audit.errors import InputError
from app.post_audit.replay.conversions import evaluate
from app.post_audit.replay.units import Units, read_units
from app.post_audit.steps.conversions.policy import ConversionsPolicy

POLICY = ConversionsPolicy()
HILLSTROM = Path(__file__).resolve().parents[5] / "shared/data/ab/hillstrom.csv"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "units.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


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
