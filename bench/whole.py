"""What a stranger waits for: the first run, the second, and where the time goes; on an embedded server of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_DESTROY = (
    "import sys, pathlib; from app.post_audit.db.embedded import EmbeddedServer; "
    "EmbeddedServer(pathlib.Path(sys.argv[1])).destroy()"
)
BACKEND = Path(__file__).resolve().parents[1] / "backend"


def run(folder: Path) -> tuple[float, dict[str, Any]]:
    """One `post-audit run` in a process of its own: its seconds, and its report."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "PYTHONPATH": str(BACKEND),
        "POST_AUDIT_DATA_DIRECTORY": str(folder / ".post_audit"),
        "POST_AUDIT_LOG_FILE": str(folder / "log"),
        "POST_AUDIT_INBOX": str(folder / "inbox"),
    }
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "app.post_audit", "run", "--json"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, json.loads(ended.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        first, report = run(folder)
        second, again = run(folder)
        subprocess.run(
            [
                sys.executable,
                "-c",
                _DESTROY,
                str(folder / ".post_audit"),
            ],
            env={**os.environ, "PYTHONPATH": str(BACKEND)},
            check=True,
        )
    steps = {step["step"]: step["duration_ms"] for step in report["steps"]}
    steps_again = {step["step"]: step["duration_ms"] for step in again["steps"]}
    document = {
        "first_seconds": first,
        "second_seconds": second,
        "steps_ms": steps,
        "steps_again_ms": steps_again,
    }
    if options.json:
        print(json.dumps(document))
        return
    print(
        f"whole: first run {first:.1f} s (initdb, migration and demonstration included), second run {second:.1f} s"
    )
    print(f"{'step':<18}{'first, ms':>12}{'second, ms':>12}")
    for name, milliseconds in steps.items():
        print(f"{name:<18}{milliseconds:>12,}{steps_again[name]:>12,}")


if __name__ == "__main__":
    main()
