"""A marketplace in which step `fake_data` can run, be undone, and be looked at row by row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from psycopg import sql

from app.post_audit.steps.fake_data import FakeDataPolicy, decide, gather

if TYPE_CHECKING:
    import psycopg

    from app.post_audit.ports import Database
    from app.post_audit.step import Decision


def details(decision: Mapping[str, Any]) -> list[str]:
    """What is said of the changes that were left out."""
    return [change["detail"] for change in decision["changes"] if change["state"] == "moved"]


@dataclass
class Market:
    """Runs the step as the runner does. Rows are compared as the text of their records."""

    database: Database
    connection: psycopg.Connection
    policy: FakeDataPolicy = field(default_factory=FakeDataPolicy)
    _ticks: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, function: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON of any shape
        return self.database.call(function, **arguments)

    def execute(self, statement: str) -> None:
        self.connection.execute(statement.encode())

    def value(self, query: str) -> Any:  # noqa: ANN401 - whatever the query asks for
        row = self.connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]

    def texts(self, *relations: str) -> Mapping[str, list[str]]:
        """Every row of these tables as text, in an order of its own."""
        return {
            relation: [
                row[0]
                for row in self.connection.execute(
                    sql.SQL("SELECT (t.*)::text FROM {} AS t ORDER BY 1").format(
                        sql.Identifier(*relation.split("."))
                    )
                )
            ]
            for relation in relations
        }

    def add(self, number: int, start: int = 1, **columns: str) -> None:
        """Insert so many suppliers; `%s` and `%n` (six digits) in a value are the number. Real by default."""
        values = {
            "name": "Sharma Steel Works %s",
            "email": "sales%s@sharmasteel%s.in",
            "phone": "+91 9820%n",
            "city": "Pune",
            "state": "Maharashtra",
        } | columns
        with self.connection.cursor() as cursor:
            cursor.executemany(
                sql.SQL("INSERT INTO public.suppliers (id, {}) VALUES (%s, {})").format(
                    sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(sql.Placeholder() * len(values)),
                ),
                [
                    (
                        key,
                        *(
                            text.replace("%s", str(key)).replace("%n", f"{key:06}")
                            for text in values.values()
                        ),
                    )
                    for key in range(start, start + number)
                ],
            )

    def add_fakes(self, number: int, start: int = 900_001) -> None:
        self.add(number, start, name="Mock Supplier %s", email="mock%s@example.com")

    def decide(self) -> tuple[Decision, Mapping[str, Any]]:
        """Begin a run, gather and decide."""
        run = self.call(
            "post_audit_apply_begin_run",
            tick=f"test:{next(self._ticks)}",
            owner="test",
            lease_seconds=60,
        )["run"]
        as_of = datetime.fromisoformat(run["as_of"])
        return decide(gather(self.database, self.policy, as_of), self.policy), run

    def apply(self, decision: Decision, run: Mapping[str, Any], batch: int = 500) -> Mapping[str, Any]:
        """Apply a decision to its end, finish the run, and give the decision as it then stands."""
        answer = self.call(
            "post_audit_apply_decision",
            run_id=run["id"],
            token=run["token"],
            step="fake_data",
            decision=decision,
            batch=batch,
        )
        answer = self.drain(answer, batch)
        self.call("post_audit_apply_finish_run", run_id=run["id"], token=run["token"])
        return answer

    def run(self) -> Mapping[str, Any]:
        decision, run = self.decide()
        return self.apply(decision, run)

    def undo(self, decision: Mapping[str, Any], batch: int = 500) -> Mapping[str, Any]:
        answer = self.call("post_audit_apply_undo", decision_id=decision["id"], actor="priya", batch=batch)
        return self.drain(answer, batch)

    def approve(self, decision: Mapping[str, Any], batch: int = 500) -> Mapping[str, Any]:
        answer = self.call(
            "post_audit_apply_approval", decision_id=decision["id"], actor="priya", batch=batch
        )
        return self.drain(answer, batch)

    def drain(self, answer: Mapping[str, Any], batch: int) -> Mapping[str, Any]:
        while answer["remaining"]:
            answer = self.call("post_audit_apply_batch", decision_id=answer["decision"]["id"], batch=batch)
        return cast("Mapping[str, Any]", answer["decision"])


@pytest.fixture
def market(database: Database, connection: psycopg.Connection) -> Market:
    """A marketplace whose fake_data step acts."""
    database.call("post_audit_apply_mode", step="fake_data", mode="act", actor="test")
    return Market(database=database, connection=connection)
