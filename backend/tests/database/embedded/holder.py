"""A user of the embedded server in a process of its own.

Each line of standard input is one statement, each answer one line of JSON; the first says how it went.
It lets go when its input ends.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psycopg

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.errors import PostAuditError


def main() -> None:
    begin = time.perf_counter()
    try:
        handle = EmbeddedServer(Path(sys.argv[1])).acquire()
    except PostAuditError as error:
        answer({"error": type(error).__name__, "message": error.message, "cure": error.cure})
        return
    with handle, psycopg.connect(handle.conninfo, autocommit=True) as connection:
        row = connection.execute("SELECT pg_postmaster_start_time()::text, inet_server_port()").fetchone()
        seconds = time.perf_counter() - begin
        answer({"row": row, "seconds": seconds, "repr": repr(handle), "describe": handle.describe()})
        for line in sys.stdin:
            cursor = connection.execute(line.encode())
            answer({"row": cursor.fetchone() if cursor.description else None})


def answer(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
