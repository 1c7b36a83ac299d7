"""What `make lint` promises to refuse, it refuses: each fault is planted in a copy and reported by name."""

from __future__ import annotations

from typing import Final

import pytest

from tests.architecture.clone import ROOT, Clone

UNTYPED: Final = '''"""Three faults in what is known of types."""


def untyped(value):
    return value


def escaping(value: int) -> str:
    return value  # type: ignore


def needless(value: int) -> int:
    return value  # type: ignore[return-value]
'''

UNTIDY: Final = {
    "BLE001": "try:\n    pass\nexcept Exception:\n    print()",
    "D103": "def undocumented() -> None:\n    pass",
    "DTZ005": "import datetime\nNOW = datetime.datetime.now()",
    "E722": "try:\n    pass\nexcept:\n    SEEN = False",
    "E501": f"# {'long ' * 30}",
    "F401": "import json",
    "FIX002": "# TODO: later",
    "RUF100": "NUMBER = 1  # noqa: F401",
    "T201": "print()",
    "TID251": "from unittest import mock",
    "TID252": "from . import errors",
}
"""Code of ruff's rule: a text that breaks it."""

DANGEROUS: Final = {
    "ban-drop-table": "DROP TABLE public.suppliers;",
    "ban-drop-column": "ALTER TABLE public.suppliers DROP COLUMN email;",
    "adding-required-field": "ALTER TABLE public.suppliers ADD COLUMN trust integer NOT NULL;",
    "require-lock-timeout": "ALTER TABLE public.suppliers ADD COLUMN trust bigint;",
    "require-table-schema": "CREATE TABLE IF NOT EXISTS suppliers (id bigint PRIMARY KEY);",
}
"""Name of squawk's rule: a statement that breaks it."""


@pytest.fixture(scope="module")
def ruff_says(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ruff finds in a copy with one untidy file for each rule."""
    clone = Clone.make(tmp_path_factory.mktemp("ruff"))
    for code, text in UNTIDY.items():
        clone.plant(f"planted/{code.lower()}.py", text)
    checked = clone.run("ruff", "check", "--no-cache", "--output-format=concise")
    assert checked.returncode == 1, checked.stdout
    return checked.stdout


@pytest.mark.parametrize("code", UNTIDY)
def test_untidy_code_is_reported(ruff_says: str, code: str) -> None:
    assert any(f"/{code.lower()}.py:" in line and f" {code} " in line for line in ruff_says.splitlines()), (
        ruff_says
    )


def test_a_mock_in_a_test_is_reported(clone: Clone) -> None:
    planted = clone.root / "backend/tests/unit/test_planted.py"
    planted.parent.mkdir(parents=True)
    planted.write_text("from unittest.mock import patch\n\n__all__ = ['patch']\n")
    checked = clone.run("ruff", "check", "--no-cache", "--output-format=concise", "backend/tests")
    assert checked.returncode == 1
    assert "TID251" in checked.stdout


def test_another_layout_is_reported(clone: Clone) -> None:
    clone.plant("planted.py", "WORDS = [ 'one',\n 'two' ]")
    checked = clone.run("ruff", "format", "--check", "--no-cache")
    assert checked.returncode == 1
    assert "planted.py" in checked.stdout


def test_missing_types_and_loose_suppressions_are_reported(clone: Clone) -> None:
    planted = clone.root / "planted.py"
    planted.write_text(UNTYPED)
    # The cache of the project: what Python's own modules look like is read once.
    checked = clone.run("mypy", "--cache-dir", str(ROOT / ".mypy_cache"), str(planted))
    assert checked.returncode == 1
    for code in ("no-untyped-def", "ignore-without-code", "unused-ignore"):
        assert f"[{code}]" in checked.stdout, checked.stdout


@pytest.mark.parametrize("rule", DANGEROUS)
def test_a_dangerous_migration_is_reported(clone: Clone, rule: str) -> None:
    (clone.root / "planted.sql").write_text(f"BEGIN;\n{DANGEROUS[rule]}\nCOMMIT;\n")
    checked = clone.run("squawk", "--reporter=gcc", "planted.sql")
    assert checked.returncode == 1
    assert rule in checked.stdout
