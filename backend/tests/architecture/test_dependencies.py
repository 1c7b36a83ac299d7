"""Every package that is imported is asked for, and what is asked for is locked by version and hash."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.clone import ROOT

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME: Final = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"]]
DEVELOPMENT: Final = PROJECT["dependency-groups"]["dev"]


def _locked(name: str) -> dict[str, str]:
    """Name: version, of every entry; each entry is on one version for all systems and has a hash."""
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    versions: dict[str, str] = {}
    for entry in entries:
        found = re.match(r"([a-z0-9-]+)==(\S+)", entry)
        assert found, f"no exact version: {entry.splitlines()[0]}"
        assert "--hash=sha256:" in entry, f"no hash: {found[0]}"
        assert found[1] not in versions, f"locked twice: {found[1]}"
        versions[found[1]] = found[2]
    return versions


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [("runtime", RUNTIME), ("dev", [*RUNTIME, *DEVELOPMENT])],
    ids=["runtime", "development"],
)
def test_a_lock_fulfils_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    locked = _locked(lock)
    for text in wanted:
        requirement = Requirement(text)
        version = locked.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not locked; run make lock"
        assert requirement.specifier.contains(version), f"{text} is locked at {version}; run make lock"


def test_development_runs_on_what_users_get() -> None:
    assert _locked("runtime").items() <= _locked("dev").items()


def test_the_code_imports_only_what_the_project_asks_for() -> None:
    asked_for = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]}
    brought_by = packages_distributions()
    found: list[str] = []
    for path in sorted((ROOT / "backend/app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for package in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"app"}:
                distributions = {canonicalize_name(name) for name in brought_by.get(package, [])}
                if asked_for.isdisjoint(distributions):
                    found.append(f"{path.relative_to(ROOT)} imports {package}")
    assert found == []
