"""How fast suppliers are read in columns: directly, over REST (the gateway of the tests), and by plain COPY."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backend"))

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migrate
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.db.rest_database import RestDatabase
from app.post_audit.ports import Database
from tests.support import supabase
from tests.support.gateway import Gateway

COLUMNS: Final = ("id", "name", "email", "phone", "city", "state", "created_at")
PAGE: Final = 20_000
_FILL: Final = """
INSERT INTO public.suppliers (name, email, phone, city, state)
SELECT 'Supplier ' || n, 'office' || n || '@firm.example', '+9198' || lpad(n::text, 8, '0'), 'Pune', 'Maharashtra'
FROM generate_series(1, %s) AS n
"""


def in_pages(database: Database) -> int:
    """Read every supplier by keyset pages; how many there were."""
    rows: int = 0
    after: str | None = None
    while True:
        page: Any = database.call(
            "post_audit_read_columns", role="suppliers", columns=COLUMNS, after=after, limit=PAGE
        )
        rows += page["rows"]
        after = page["next"]
        if after is None:
            return rows


def by_copy(conninfo: str) -> int:
    """Read every supplier with COPY; how many there were."""
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    statement = sql.SQL("COPY (SELECT {} FROM public.suppliers) TO STDOUT").format(names)
    with psycopg.connect(conninfo) as connection, connection.cursor().copy(statement) as copy:
        return sum(1 for _ in copy.rows())


def measure(read: Callable[[], int], expected: int) -> dict[str, float]:
    """Time one reading of everything."""
    started = time.perf_counter()
    rows = read()
    seconds = time.perf_counter() - started
    if rows != expected:
        message = f"{rows} of {expected} rows were read"
        raise RuntimeError(message)
    return {"rows": rows, "seconds": round(seconds, 2), "rows_per_second": round(rows / seconds)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        server = EmbeddedServer(Path(name) / ".post_audit")
        with server.acquire() as handle:
            admin = supabase.prepare_server(handle.conninfo)
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute("CREATE DATABASE project OWNER postgres")
            conninfo = make_conninfo(handle.conninfo, dbname="project")
            supabase.prepare_database(conninfo)
            migrate(conninfo)
            with psycopg.connect(conninfo, autocommit=True) as connection:
                connection.execute(_FILL, (options.rows,))
                connection.execute("ANALYZE public.suppliers")
            direct = PsycopgDatabase(conninfo)
            with Gateway(conninfo) as gateway:
                rest = RestDatabase(gateway.url, gateway.service_key)
                results = {
                    "direct": measure(lambda: in_pages(direct), options.rows),
                    "REST": measure(lambda: in_pages(rest), options.rows),
                    "COPY": measure(lambda: by_copy(conninfo), options.rows),
                }
                rest.close()
            direct.close()
        server.destroy()
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for place, result in results.items():
        print(
            f"{place:8}{result['rows']:>12,} rows {result['seconds']:>8.2f} s {result['rows_per_second']:>12,} rows/s"
        )


if __name__ == "__main__":
    main()
