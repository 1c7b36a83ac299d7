"""How fast the API answers: the first page of each list, and the two fixed addresses under fifty readers at once.

python bench/web.py [--tasks N] [--invites N] [--readers N] [--seconds N] [--json]

A server of its own on a database of its own, asked over loopback with an API token by readers in another process.
"Alone" is one reader who asks for something nobody remembers; "at once" is what the readers get, most of it from the
memory of one second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, Final

import httpx2
import psycopg
import uvicorn
from psycopg.conninfo import make_conninfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backend"))

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migrate
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.web.server import create_app
from tests.support.decisions import decide, nothing
from tests.support.product import until
from tests.support.web import signed_token

FIXED: Final = ("/api/admin/ab-test/stats?hours=24", "/api/admin/tasks/pending")
# How many times each is asked alone; the median is told.
_TRIES: Final = 15
_DECISIONS: Final = 200
_TASKS: Final = """
INSERT INTO public.enhancement_tasks (title, description, priority, category, status, estimated_hours)
SELECT 'Task ' || n, 'What the audit says of place ' || n, (ARRAY['critical', 'high', 'medium', 'low'])[1 + n %% 4],
  'security', (ARRAY['pending', 'pending', 'pending', 'completed'])[1 + n %% 4], 1 + n %% 8
FROM generate_series(1, %s) AS n
"""
_SUPPLIERS: Final = (
    "INSERT INTO public.suppliers (name) SELECT 'Supplier ' || n FROM generate_series(1, %s) AS n"
)
# Invited evenly over a month that ended a week ago; every twentieth supplier claims a day later.
_INVITES: Final = """
INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at)
SELECT s.id, CASE WHEN s.id %% 2 = 0 THEN 'variant_a' ELSE 'variant_b' END,
  now() - interval '37 days' + interval '30 days' * (s.id::float8 / %s) FROM public.suppliers AS s
"""
_CLAIMS: Final = """
INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, claimed_at, verified_at)
SELECT i.supplier_id, 'user ' || i.supplier_id, 'verified', i.sent_at + interval '1 day', i.sent_at + interval '1 day'
FROM public.invites_ab_test AS i WHERE i.supplier_id % 20 = 0
"""


def fill(conninfo: str, *, tasks: int, invites: int) -> None:
    """Make a marketplace of that size, with what a month of runs leaves."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("UPDATE public.ab_test_config SET started_at = now() - interval '38 days'")
        connection.execute(_TASKS, (tasks,))
        connection.execute(_SUPPLIERS, (invites,))
        connection.execute(_INVITES, (invites,))
        connection.execute(_CLAIMS)
        connection.execute("VACUUM ANALYZE")
    database = PsycopgDatabase(conninfo)
    # As the first run does; counting ten million invites for the first time takes minutes.
    while not dict(_mapping(database.call("post_audit_maintain_conversions")))["complete"]:
        pass
    for number in range(_DECISIONS):
        decide(database, nothing(), tick=f"tick {number}")
    database.close()


def _mapping(answer: object) -> Mapping[str, object]:
    if not isinstance(answer, Mapping):
        raise TypeError(answer)
    return answer


def lists(openapi: dict[str, Any]) -> list[str]:
    """Every address that is read without naming one thing."""
    return [
        path
        for path, methods in openapi["paths"].items()
        if "get" in methods and "{" not in path and "export" not in path
    ]


def alone(client: httpx2.Client, path: str) -> float:
    """The median of several first pages, each asked anew; seconds."""
    taken = []
    for number in range(_TRIES):
        joint = "&" if "?" in path else "?"
        started = time.perf_counter()
        # An argument that nobody knows makes it another question for what is remembered.
        answer = client.get(f"{path}{joint}again={number}")
        taken.append(time.perf_counter() - started)
        if answer.status_code >= 400:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:300]}")
    return statistics.median(taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Readers who ask one address again and again, each as soon as it has its answer."""

    address: str
    token: str
    path: str
    readers: int
    seconds: float


async def all_of_them(load: Load) -> list[float]:
    """Read until the time is over; how long each answer took, in milliseconds."""
    taken: list[float] = []
    until_then = time.perf_counter() + load.seconds

    async def reader(client: httpx2.AsyncClient) -> None:
        while time.perf_counter() < until_then:
            started = time.perf_counter()
            answer = await client.get(load.path)
            answer.raise_for_status()
            taken.append(1000 * (time.perf_counter() - started))

    limits = httpx2.Limits(max_connections=load.readers)
    headers = {"Authorization": f"Bearer {load.token}"}
    async with httpx2.AsyncClient(
        base_url=load.address, headers=headers, limits=limits, timeout=60
    ) as client:
        await asyncio.gather(*(reader(client) for _ in range(load.readers)))
    return taken


def read_together(load: Load, told: SimpleQueue[list[float]]) -> None:
    """Be the process of the readers."""
    told.put(asyncio.run(all_of_them(load)))


def together(load: Load) -> dict[str, float]:
    """What readers in another process get."""
    context = multiprocessing.get_context("spawn")
    told: SimpleQueue[list[float]] = context.SimpleQueue()
    process = context.Process(target=read_together, args=(load, told))
    process.start()
    taken = sorted(told.get())
    process.join()
    return {
        "answers": len(taken),
        "per_second": len(taken) / load.seconds,
        "p50_ms": taken[len(taken) // 2],
        "p99_ms": taken[int(len(taken) * 0.99)],
    }


def main() -> int:
    """Measure, and print a table or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--invites", type=int, default=200_000)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="post-audit-bench-") as folder:
        embedded = EmbeddedServer(Path(folder) / ".post_audit")
        with embedded.acquire() as handle:
            document = measured(make_conninfo(handle.conninfo), options)
        embedded.destroy()
    if options.json:
        print(json.dumps(document))
        return 0
    print(f"{options.tasks:,} tasks, {options.invites:,} invites, {_DECISIONS} runs\n")
    print(f"{'first page, one reader':44} {'median ms':>9}")
    for path, milliseconds in document["first_page_ms"].items():
        print(f"{path:44} {milliseconds:9.1f}")
    print(f"\n{f'{options.readers} readers at once':44} {'p50 ms':>9} {'p99 ms':>9} {'a second':>9}")
    for path, found in document["together"].items():
        print(f"{path:44} {found['p50_ms']:9.1f} {found['p99_ms']:9.1f} {found['per_second']:9.0f}")
    return 0


def measured(conninfo: str, options: argparse.Namespace) -> dict[str, Any]:
    """Serve a filled database and ask it."""
    migrate(conninfo)
    fill(conninfo, tasks=options.tasks, invites=options.invites)
    database = PsycopgDatabase(conninfo)
    token = signed_token(database, "bench", "approver")
    app = create_app(database)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, proxy_headers=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the API is served")
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    with httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        first = {path: round(1000 * alone(client, path), 1) for path in lists(app.openapi())}
    at_once = {
        path: together(
            Load(address=address, token=token, path=path, readers=options.readers, seconds=options.seconds)
        )
        for path in FIXED
    }
    server.should_exit = True
    thread.join(30)
    database.close()
    return {
        "tasks": options.tasks,
        "invites": options.invites,
        "readers": options.readers,
        "first_page_ms": first,
        "together": at_once,
    }


if __name__ == "__main__":
    sys.exit(main())
