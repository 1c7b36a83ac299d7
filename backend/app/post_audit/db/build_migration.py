"""Builds the one file that users apply from `supabase/schemas/*.sql`, and checks that it is up to date.

python -m app.post_audit.db.build_migration           writes it
python -m app.post_audit.db.build_migration --check   exits 1 when it differs from its parts
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

__all__ = ["build", "main"]

_HEAD = """\
-- Post-Audit Protocol: tables, views, functions, grants.
-- Apply it with: psql -U postgres -d bell24h -f supabase/migrations/20251109_post_audit_protocol.sql
-- It can be applied again and again, adds, and touches nothing that it did not create.
-- Built from supabase/schemas/*.sql by `make migration`; edit those.

BEGIN;
"""

_TAIL = """
-- Which migration this is: SHA-256 of all above, so that it is known however it was applied.
UPDATE post_audit.schema_version AS v SET digest = '{digest}' WHERE v.id = 1;

COMMIT;
"""


def build(schemas: Path) -> str:
    """Put the parts together, in the order of their names, inside one transaction."""
    parts = (
        f"\n-- ---- {path.name} ----\n\n{path.read_text(encoding='utf-8').rstrip()}\n"
        for path in sorted(schemas.glob("*.sql"))
    )
    text = "".join((_HEAD, *parts))
    return text + _TAIL.format(digest=hashlib.sha256(text.encode()).hexdigest())


def main(arguments: list[str] | None = None) -> int:
    """Write or check the migration of the project that this file lies in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 when they differ")
    options = parser.parse_args(arguments)
    project = Path(__file__).resolve().parents[4]
    target = project / "supabase" / "migrations" / "20251109_post_audit_protocol.sql"
    built = build(project / "supabase" / "schemas")
    if not options.check:
        target.write_text(built, encoding="utf-8")
        return 0
    if target.is_file() and target.read_text(encoding="utf-8") == built:
        return 0
    sys.stderr.write(f"{target.name} differs from supabase/schemas; run: make migration\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
