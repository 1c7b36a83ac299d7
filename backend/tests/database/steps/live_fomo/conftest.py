"""A marketplace with ledgers and public counters, in which the step runs as the runner runs it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from app.post_audit.steps.live_fomo import STEP, LiveFomoPolicy, decide, gather

if TYPE_CHECKING:
    import psycopg

    from app.post_audit.ports import Database
    from app.post_audit.step import Decision


@dataclass
class Market:
    """Ten users with earnings, a leaderboard and counters that tell the truth."""

    database: Database
    connection: psycopg.Connection
    has_amounts: bool = True
    """Whether claims name amounts; in Prisma's shape they do not, and the airdrop's money is never shown."""
    policy: LiveFomoPolicy = field(default_factory=LiveFomoPolicy)
    _ticks: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, function: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON of any shape
        return self.database.call(function, **arguments)

    def execute(self, statement: str) -> None:
        self.connection.execute(statement.encode())

    def value(self, query: str) -> Any:  # noqa: ANN401 - whatever the query asks for
        row = self.connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]

    def fill(self) -> None:
        self.execute("""
            INSERT INTO public.suppliers (id, name) SELECT n, 'Supplier ' || n FROM generate_series(1, 10) AS n;
            INSERT INTO post_audit.earnings_ledger (user_id, benefit_type, amount_paise, tracked_at)
            SELECT 'user_' || n, 'credit', n * 10000, now() - interval '3 days' + n * interval '1 minute'
            FROM generate_series(1, 10) AS n, generate_series(1, 3);
            INSERT INTO public.earnings_leaderboard (user_id, display_name, total_paise, reached_at, rank)
            SELECT t.user_id, 'Name of ' || t.user_id, t.total_paise, t.reached_at,
              row_number() OVER (ORDER BY t.total_paise DESC, t.reached_at, t.user_id COLLATE "C")
            FROM post_audit.recompute_leaderboard(now()) AS t;
            INSERT INTO public.claim_airdrop_log
              (supplier_id, claimed_by, status, amount_paise, claimed_at, verified_at)
            SELECT n, 'user_' || n, CASE WHEN n > 8 THEN 'pending' ELSE 'verified' END, 500000,
              now() - interval '2 days', CASE WHEN n <= 8 THEN now() - interval '1 day' + n * interval '1 minute' END
            FROM generate_series(1, 10) AS n;
            UPDATE public.leaderboard_tickertape_views SET state = 'verified', shown_at = now() - interval '1 hour',
              shown_value = CASE counter WHEN 'airdrop_claims' THEN 8 ELSE 4000000 END WHERE true
        """)

    def total(self, user: str) -> int | None:
        row = self.connection.execute(
            "SELECT max(l.total_paise) FROM public.earnings_leaderboard AS l WHERE l.user_id = %s", (user,)
        ).fetchone()
        assert row is not None
        total: int | None = row[0]
        return total

    def counter(self, name: str) -> tuple[int | None, str]:
        row = self.connection.execute(
            "SELECT a.shown_value, a.state FROM public.leaderboard_tickertape_views AS a WHERE a.counter = %s",
            (name,),
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    def decide(self) -> Decision:
        as_of = datetime.fromisoformat(self.call("post_audit_read_status")["as_of"])
        return decide(gather(self.database, self.policy, as_of), self.policy)

    def apply(self, decision: Decision) -> Any:  # noqa: ANN401 - the stored decision as JSON
        begun = self.call(
            "post_audit_apply_begin_run", tick=f"tick {next(self._ticks)}", owner="test", lease_seconds=60
        )
        run, token = begun["run"]["id"], begun["run"]["token"]
        answer = self.call(
            "post_audit_apply_decision", run_id=run, token=token, step="live_fomo", decision=decision
        )
        while answer["remaining"]:
            answer = self.call("post_audit_apply_batch", decision_id=answer["decision"]["id"])
        self.call("post_audit_apply_finish_run", run_id=run, token=token)
        return self.call("post_audit_read_decision", decision_id=answer["decision"]["id"])

    def run(self) -> Any:  # noqa: ANN401 - the stored decision as JSON
        return self.apply(self.decide())

    def arm(self) -> None:
        self.call("post_audit_apply_mode", step=STEP.name, mode="act", actor="test")

    def verdicts(self) -> dict[str, str]:
        rows = self.call("post_audit_read_live_evidence", at="2999-01-01T00:00:00+00:00")
        return {row["counter"]: row["verdict"] for row in rows}


@pytest.fixture
def bare_market(database: Database, connection: psycopg.Connection, binding: str) -> Market:
    """An armed step over empty tables."""
    market = Market(database, connection, has_amounts=binding == "reference")
    market.arm()
    return market


@pytest.fixture
def market(bare_market: Market) -> Market:
    """All counters true, and proved once."""
    bare_market.fill()
    bare_market.run()
    return bare_market
