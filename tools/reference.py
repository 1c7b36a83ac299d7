"""Writes docs/reference/*.md from the code that it describes, and checks that it is up to date.

python tools/reference.py           writes the files
python tools/reference.py --check   exits 1 naming those that differ from the code

Settings come from the fields of `Settings`, commands from the command line itself, SQL functions from
`supabase/schemas` with the comment above each, endpoints from the application's OpenAPI document and its routes,
pages from their registry, errors from their classes. Needs the project installed
(`make install`), or `backend` on the path.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from documents import api, audit_formats, cli, errors, pages, settings, sql_functions

__all__ = ["DOCUMENTS", "REFERENCE", "main"]

REFERENCE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"

DOCUMENTS: Final[dict[str, Callable[[], str]]] = {
    "settings.md": settings.document,
    "cli.md": cli.document,
    "sql-functions.md": sql_functions.document,
    "api.md": api.document,
    "pages.md": pages.document,
    "errors.md": errors.document,
    "audit-formats.md": audit_formats.document,
}
"""What makes the text of every file of the reference, by its name."""


def main(arguments: list[str] | None = None) -> int:
    """Write the reference, or check it; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 when they differ")
    options = parser.parse_args(arguments)
    differing = []
    for name, document in DOCUMENTS.items():
        path, text = REFERENCE / name, document()
        if options.check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                differing.append(name)
        else:
            REFERENCE.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if differing:
        sys.stderr.write(f"docs/reference is older than the code ({', '.join(differing)}); run: make docs\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
