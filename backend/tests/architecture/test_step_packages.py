"""Who knows one step knows all: every step package has the same files, and its tests mirror them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.clone import PROTOCOL, ROOT

REQUIRED: Final = {"__init__", "decide", "facts", "policy"}
NEED_NO_TEST: Final = {"__init__", "facts", "policy", "tasks"}
"""Shapes without branches of their own; they are tested where they are used."""

PACKAGES: Final = sorted(path for path in (ROOT / PROTOCOL / "steps").glob("[!_]*") if path.is_dir())
TESTS: Final = ROOT / "backend/tests/unit/steps"


def missing_files(package: Path, tests: Path) -> list[str]:
    """What a step package and the folder of its tests lack."""
    modules = {path.stem for path in package.glob("*.py")}
    return [
        *(f"{package.name}/{name}.py" for name in sorted(REQUIRED - modules)),
        *(
            f"tests of {package.name}/{name}.py: {tests.name}/test_{name}.py"
            for name in sorted((modules | {"decide"}) - NEED_NO_TEST)
            if not (tests / f"test_{name}.py").is_file()
        ),
    ]


def missing_parts(init: ast.Module) -> list[str]:
    """What the `__init__` of a step package lacks: its promises in words, `gather`, `STEP`, `__all__`."""
    names = {node.name for node in init.body if isinstance(node, ast.FunctionDef)} | {
        target.id
        for node in init.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    says_never = "never" in (ast.get_docstring(init) or "").lower()
    return sorted({"gather", "STEP", "__all__"} - names) + ([] if says_never else ["what it never does"])


def _step(package: Path) -> str:
    return package.name


@pytest.mark.parametrize("package", PACKAGES, ids=_step)
def test_a_step_has_the_files_of_a_step(package: Path) -> None:
    assert missing_files(package, TESTS / package.name) == []


@pytest.mark.parametrize("package", [path for path in PACKAGES if (path / "__init__.py").exists()], ids=_step)
def test_a_step_says_what_it_never_does_and_has_the_parts_of_a_step(package: Path) -> None:
    assert missing_parts(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) == []


def test_no_test_folder_is_a_package() -> None:
    assert list((ROOT / "backend/tests").rglob("__init__.py")) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    package, tests = tmp_path / "planted", tmp_path / "tests/planted"
    package.mkdir()
    tests.mkdir(parents=True)
    for name in ("__init__", "decide", "policy", "evidence"):
        (package / f"{name}.py").touch()
    (tests / "test_decide.py").touch()
    assert missing_files(package, tests) == [
        "planted/facts.py",
        "tests of planted/evidence.py: planted/test_evidence.py",
    ]


def test_a_missing_part_is_named() -> None:
    planted = ast.parse('"""Counts."""\n\nSTEP: int = 1\n__all__ = ["STEP"]')
    assert missing_parts(planted) == ["gather", "what it never does"]
