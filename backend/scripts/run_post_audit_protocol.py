"""Runs the protocol: `cd backend && python scripts/run_post_audit_protocol.py`.

Takes the same options as `post-audit run` (`--dry-run`, `--json`), and `--continuous` to stay and run every two
hours. Any Python will do: without the project's packages it goes on with the project's own environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

BACKEND = Path(__file__).resolve().parents[1]
ENVIRONMENT = BACKEND.parent / ".venv" / "bin" / "python"


def run() -> int:
    """Run the command line, in the project's environment when this one lacks its packages."""
    sys.path.insert(0, str(BACKEND))
    arguments = sys.argv[1:]
    if "--continuous" in arguments:
        arguments.remove("--continuous")
        command = ["schedule", *arguments]
    else:
        command = ["run", *arguments]
    try:
        from app.post_audit.cli import main  # noqa: PLC0415 - may be missing a package, see below
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("app"):
            raise
        if ENVIRONMENT.is_file() and Path(sys.prefix) != ENVIRONMENT.parents[1]:
            os.execv(ENVIRONMENT, [str(ENVIRONMENT), str(Path(__file__).resolve()), *sys.argv[1:]])  # noqa: S606 - our own interpreter
        print(f"The package {error.name} is missing. Run: make install", file=sys.stderr)
        return 2
    return main(command)


if __name__ == "__main__":
    sys.exit(run())
