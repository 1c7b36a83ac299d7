"""The roll-up over 1 and 10 million invites: refresh after two hours of rows, evaluation, equality with a recount."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from app.post_audit.db.embedded import EmbeddedServer
from app.post_audit.db.migrate import migrate
from app.post_audit.db.psycopg_database import PsycopgDatabase
from app.post_audit.steps.conversions import STEP, gather
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.stats import stats

Row = tuple[str, str, bool | None]

UNITS_A_DAY = 40_000
START = datetime(2025, 1, 1, tzinfo=UTC)

# Suppliers are not loaded, so the references to them go; nothing else is different from a fresh database.
PREPARE = """
ALTER TABLE public.invites_ab_test DROP CONSTRAINT invites_ab_test_supplier_id_fkey;
ALTER TABLE public.claim_airdrop_log DROP CONSTRAINT claim_airdrop_log_supplier_id_fkey;
ALTER TABLE post_audit.opt_out_log DROP CONSTRAINT opt_out_log_supplier_id_fkey;
UPDATE public.ab_test_config SET started_at = '2025-01-01';
"""
# 40,000 a day, evenly; each 25th converts after 1 to 40 hours, each 300th opts out
INVITES = """
INSERT INTO public.invites_ab_test (supplier_id, variant, sent_at)
SELECT n, CASE WHEN hashint8(n) % 2 = 0 THEN 'variant_a' ELSE 'variant_b' END,
  timestamptz '2025-01-01 00:00+00' + n * interval '2.16 seconds'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
CLAIMS = """
INSERT INTO public.claim_airdrop_log (supplier_id, claimed_by, status, claimed_at, verified_at)
SELECT n, 'u', 'verified', moment.at, moment.at
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
CROSS JOIN LATERAL (SELECT timestamptz '2025-01-01 00:00+00' + n * interval '2.16 seconds'
  + (1 + abs(hashint8(n * 7)) %% 40) * interval '1 hour' AS at) AS moment
WHERE hashint8(n * 3) %% 25 = 0 AND moment.at > %(after)s AND moment.at <= %(until)s
"""
OPT_OUTS = """
INSERT INTO post_audit.opt_out_log (supplier_id, opted_out_at)
SELECT n, timestamptz '2025-01-01 00:00+00' + n * interval '2.16 seconds' + interval '3 hours'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n WHERE hashint8(n * 5) %% 300 = 0
"""
RECOUNT = """
SELECT date_trunc('hour', u.sent_at), u.epoch, u.variant, count(*), count(*) FILTER (WHERE u.failed),
  count(*) FILTER (WHERE u.verified_at <= u.sent_at + interval '72 hours'),
  count(*) FILTER (WHERE u.opted_out_at <= u.sent_at + interval '72 hours')
FROM ({query}) AS u GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
ROLLUP = """
SELECT b.hour, b.epoch, b.variant, b.units, b.failed, coalesce(o.converted, 0), coalesce(o.opt_outs, 0)
FROM post_audit.conversion_blocks AS b
LEFT JOIN (
  SELECT hour, epoch, variant, sum(converted)::bigint AS converted, sum(opt_outs)::bigint AS opt_outs
  FROM post_audit.conversion_outcomes WHERE experiment = '1' AND delay_hours <= 72 GROUP BY 1, 2, 3
) AS o USING (hour, epoch, variant)
WHERE b.experiment = '1' AND b.units > 0 ORDER BY 1, 2, 3
"""


@contextmanager
def _fresh_database() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / ".post_audit")
        with server.acquire() as handle:
            migrate(handle.conninfo)
            yield handle.conninfo
        server.destroy()


def _now(number: int) -> datetime:
    return START + timedelta(seconds=2.16 * number)


def _load(connection: psycopg.Connection, first: int, last: int, after: datetime, reach: int) -> None:
    """Invites `first` to `last`, and the claims of the `reach` before them that come until then."""
    numbers = {"first": first, "last": last}
    connection.execute(INVITES.replace(" % 2 ", " %% 2 "), numbers)
    connection.execute(
        CLAIMS, {"first": max(1, first - reach), "last": last, "after": after, "until": _now(last)}
    )
    connection.execute(OPT_OUTS, numbers)


def _drain(database: PsycopgDatabase) -> tuple[float, float]:
    """Seconds in all, and of the longest call."""
    begin, longest = time.perf_counter(), 0.0
    while True:
        one = time.perf_counter()
        answer: Any = database.call("post_audit_maintain_conversions")
        longest = max(longest, time.perf_counter() - one)
        if answer["complete"]:
            return time.perf_counter() - begin, longest


def _measure(number: int, repetitions: int) -> dict[str, float]:
    with _fresh_database() as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        database = PsycopgDatabase(conninfo)
        connection.execute(PREPARE)
        begin = time.perf_counter()
        _load(connection, 1, number, START, 0)
        loaded = time.perf_counter() - begin
        connection.execute("VACUUM ANALYZE")
        begin = time.perf_counter()
        stats(gather(database, STEP.policy, _now(number)), STEP.policy)
        first = time.perf_counter() - begin
        built, longest = _drain(database)
        connection.execute("VACUUM ANALYZE")
        gather(database, STEP.policy, _now(number))
        refreshes, reads, evaluations, answers = [], [], [], []
        last, two_hours = number, UNITS_A_DAY // 12
        for _ in range(repetitions):
            _load(connection, last + 1, last + two_hours, _now(last), UNITS_A_DAY * 2)
            last += two_hours
            refreshes.append(_drain(database)[0])
            begin = time.perf_counter()
            facts = gather(database, STEP.policy, _now(last))
            reads.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            assess(facts.experiments[0], facts.as_of, facts.holds, STEP.policy)
            evaluations.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            stats(gather(database, STEP.policy, _now(last)), STEP.policy)
            answers.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        ((query,),) = connection.execute("SELECT post_audit.units_query(true)").fetchall()
        with psycopg.RawCursor(connection) as cursor:
            counted = cursor.execute(RECOUNT.format(query=query), ("1",)).fetchall()
        recounted = time.perf_counter() - begin
        rolled = connection.execute(ROLLUP).fetchall()
        database.close()
        return {
            "load": loaded,
            "build": built,
            "longest": longest,
            "first": first,
            "refresh": 1000 * median(refreshes),
            "read": 1000 * median(reads),
            "evaluation": 1000 * median(evaluations),
            "stats": 1000 * median(answers),
            "recount": recounted,
            "blocks": len(rolled),
            "equal": float(counted == rolled),
        }


def rollup(sizes: tuple[int, int] = (1_000_000, 10_000_000), repetitions: int = 9) -> list[Row]:
    """Both sizes at the same traffic, so that the greater one has ten times the history."""
    small, great = (_measure(size, repetitions) for size in sizes)
    rows: list[Row] = []
    for size, found in zip(sizes, (small, great), strict=True):
        name = f"9 {size / 1_000_000:g}M invites"
        rows += [
            (
                f"{name}, build",
                f"{found['build']:.0f} s in calls of at most {found['longest']:.2f} s (load {found['load']:.0f} s)",
                found["longest"] <= 2,
            ),
            (f"{name}, /stats before the build", f"{1000 * found['first']:.0f} ms", found["first"] <= 1.5),
            (f"{name}, refresh of 2 h", f"{found['refresh']:.0f} ms", found["refresh"] <= 200),
            (
                f"{name}, evaluation",
                f"{found['evaluation']:.1f} ms; with refresh and reading {found['read'] + found['evaluation']:.0f} ms",
                found["evaluation"] <= 10,
            ),
            (f"{name}, /stats", f"{found['stats']:.0f} ms", found["stats"] <= 100),
            (
                f"{name}, equal to a recount",
                f"{found['blocks']:.0f} blocks, recounted in {found['recount']:.0f} s",
                bool(found["equal"]),
            ),
        ]
    for what in ("refresh", "evaluation", "stats"):
        ratio = great[what] / small[what]
        rows.append((f"9 ten times the history, {what}", f"{ratio:.2f} times the time", ratio <= 1.2))
    return rows
