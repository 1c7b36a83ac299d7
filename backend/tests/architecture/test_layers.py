"""The layers hold, and every way to break them is reported by `lint-imports`, run as a person runs it."""

from __future__ import annotations

import tomllib
from itertools import pairwise, permutations
from typing import Final

import pytest

from tests.architecture.clone import PROTOCOL, ROOT, Clone

LAYERS: Final[list[list[str]]] = [
    [name.strip("() ") for name in line.split("|")]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for line in contract.get("layers", [])
]
"""The names on each line, top line first, from the contract itself."""

DESIGNED: Final = [
    ["__main__"],
    ["cli"],
    ["web"],
    ["doctor"],
    ["protocol"],
    ["compose"],
    ["engine"],
    ["replay", "demonstration"],
    ["runner"],
    ["steps", "outbox", "db"],
    ["step", "codec", "stopping"],
    ["ports", "logs", "settings"],
    ["errors", "formats", "secrecy"],
]

UPWARD: Final = [
    (lower, upper)
    for upper_line, lower_line in pairwise(LAYERS)
    for lower in lower_line
    for upper in upper_line
]
SIDEWAYS: Final = [pair for line in LAYERS for pair in permutations(line, 2)]

STEPS: Final = sorted(path.name for path in (ROOT / PROTOCOL / "steps").glob("[!_]*/"))
PURE: Final = ["decide", "facts", "policy"]
IMPURE: Final = ["os", "time", "random", "logging", "socket", "httpx", "psycopg", "pathlib", "subprocess"]
OURS_AND_IMPURE: Final = ["db", "settings", "logs", "outbox"]


def _imported(name: str) -> str:
    return f"import app.post_audit.{name}"


def test_the_contract_has_the_layers_of_the_design() -> None:
    assert LAYERS == DESIGNED


def test_the_code_keeps_the_contracts(clone: Clone) -> None:
    checked = clone.run("lint-imports")
    assert checked.returncode == 0, checked.stdout
    assert "0 broken" in checked.stdout


@pytest.fixture(scope="module")
def broken_layers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a copy in which each layer imports the one above it and its neighbours."""
    clone = Clone.make(tmp_path_factory.mktemp("layers"))
    for importer, imported in UPWARD + SIDEWAYS:
        clone.plant_in_module(imported, "")
        clone.plant_in_module(importer, _imported(imported))
    checked = clone.run("lint-imports")
    assert checked.returncode == 1, checked.stdout
    return checked.stdout


@pytest.mark.parametrize(("importer", "imported"), UPWARD + SIDEWAYS)
def test_an_import_of_a_layer_above_or_beside_is_reported(
    broken_layers: str, importer: str, imported: str
) -> None:
    assert f"app.post_audit.{importer} -> app.post_audit.{imported} (l." in broken_layers


def test_one_upward_import_alone_is_enough(clone: Clone) -> None:
    clone.plant("errors.py", "from app.post_audit.ports import JSON")
    checked = clone.run("lint-imports")
    assert checked.returncode == 1
    assert "app.post_audit.errors is not allowed to import app.post_audit.ports" in checked.stdout


def test_a_module_that_has_no_layer_is_reported(clone: Clone) -> None:
    clone.plant("helpers.py", '"""Everything that found no place."""')
    checked = clone.run("lint-imports")
    assert checked.returncode == 1
    assert "helpers" in checked.stdout


def test_a_step_that_imports_another_step_is_reported(clone: Clone) -> None:
    clone.plant("steps/planted/policy.py", "LIMIT = 1")
    clone.plant("steps/curious/decide.py", "from app.post_audit.steps.planted.policy import LIMIT")
    checked = clone.run("lint-imports")
    assert checked.returncode == 1
    assert "app.post_audit.steps.curious.decide -> app.post_audit.steps.planted.policy (l." in checked.stdout


@pytest.fixture(scope="module")
def broken_purity(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a copy in which all that decides reaches for the world."""
    clone = Clone.make(tmp_path_factory.mktemp("purity"))
    for name in OURS_AND_IMPURE:
        clone.plant_in_module(name, "")
    reaching = [*(f"import {name}" for name in IMPURE), *map(_imported, OURS_AND_IMPURE)]
    for step in (*STEPS, "planted"):
        for module in (*PURE, "evidence"):
            clone.plant(f"steps/{step}/{module}.py", "\n".join(reaching))
    clone.plant("formats.py", "import time")
    checked = clone.run("lint-imports")
    assert checked.returncode == 1, checked.stdout
    return checked.stdout


@pytest.mark.parametrize("step", [*STEPS, "planted"])
@pytest.mark.parametrize("module", [*PURE, "evidence"])
@pytest.mark.parametrize("imported", [*IMPURE, *(f"app.post_audit.{name}" for name in OURS_AND_IMPURE)])
def test_a_deciding_module_that_reaches_for_the_world_is_reported(
    broken_purity: str, step: str, module: str, imported: str
) -> None:
    assert f"app.post_audit.steps.{step}.{module} -> {imported} (l." in broken_purity


def test_formats_that_read_the_clock_are_reported(broken_purity: str) -> None:
    assert "app.post_audit.formats -> time (l." in broken_purity


def test_reaching_for_the_world_through_a_helper_is_reported(clone: Clone) -> None:
    clone.plant("logs.py", "import time")
    clone.plant("step.py", _imported("logs"))
    clone.plant("steps/planted/decide.py", _imported("step"))
    checked = clone.run("lint-imports")
    assert checked.returncode == 1
    assert "app.post_audit.steps.planted.decide is not allowed to import time" in checked.stdout


def test_a_gathering_module_may_do_what_a_deciding_one_may_not(clone: Clone) -> None:
    clone.plant("steps/planted/__init__.py", "import time")
    checked = clone.run("lint-imports")
    assert "steps.planted -> time" not in checked.stdout
