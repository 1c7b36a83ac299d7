"""What no committed file may hold: a path of somebody's machine, or the address of a download."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.clone import ROOT

MACHINE_PATH: Final = re.compile(r"(?<![\w./~}-])/(?:home|Users|work|root)/[\w.-]")
DOWNLOAD: Final = re.compile(r"--(?:extra-)?index-url|--find-links|https?://[^\s\"]+\.(?:whl|tar\.gz|tgz)\b")
# In halves, so that this file does not hold what it looks for.
REGISTRY: Final = re.compile(
    "|".join(re.escape(host) for host in ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org"))
)
RECIPES: Final = {".txt", ".toml", ".lock", ".json"}


def unwanted(name: str, text: str) -> list[str]:
    """The lines of a file that hold what none may hold."""
    rules = [MACHINE_PATH, REGISTRY, *([DOWNLOAD] if Path(name).suffix in RECIPES else [])]
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for number, line in enumerate(text.splitlines(), start=1)
        if any(rule.search(line) for rule in rules)
    ]


def test_no_file_holds_a_path_of_a_machine_or_the_address_of_a_download(project_files: list[Path]) -> None:
    found: list[str] = []
    for path in project_files:
        data = path.read_bytes()
        if b"\0" not in data:
            found += unwanted(str(path.relative_to(ROOT)), data.decode("utf-8", errors="replace"))
    assert found == []
    assert project_files, "the list of files is empty, so nothing was looked at"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("notes.md", "see /" + "home/someone/notes"),
        ("app.py", "DATA = '/" + "work/data/file.csv'"),
        ("run.sh", "source /" + "root/.profile"),
        ("lock.txt", "--" + "index-url https://example.org/simple"),
        ("lock.txt", "package @ https://example.org/package-1.0-py3-none-any." + "whl"),
        ("package.json", '"resolved": "https://example.org/package-1.0.' + 'tgz"'),
        ("README.md", "from https://py" + "pi.org/simple"),
    ],
)
def test_what_is_unwanted_is_found(name: str, line: str) -> None:
    assert unwanted(name, f"first line\n{line}\n") == [f"{name}:2: {line}"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("README.md", "https://example.org/home/index.html"),
        ("README.md", "download https://example.org/release.tar.gz"),
        ("app.py", "path = root / 'work' / 'home'"),
        ("lock.txt", "numpy==2.4.6 --hash=sha256:0a30ef8f"),
    ],
)
def test_what_only_looks_like_it_is_left_alone(name: str, line: str) -> None:
    assert unwanted(name, line) == []
