"""A queue of tasks that audits are brought into, through runs of the step or at once; and audits made by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from app.post_audit.steps.enhancements import STEP
from app.post_audit.steps.enhancements.finding import Finding, make_finding, merge
from app.post_audit.steps.enhancements.importing import ImportReport, import_audit, store_audit
from app.post_audit.steps.enhancements.parsing import ParsedAudit
from tests.support import decisions

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from app.post_audit.ports import Database


def finding(number: int, *, severity: str = "medium", line: int = 10) -> Finding:
    return make_finding(
        title=f"Rule {number} is broken",
        severity=severity,
        rule=f"rule-{number}",
        location=f"src/file{number}.ts",
        line=line,
        category="quality",
    )


def audit(
    findings: Sequence[Finding],
    *,
    name: str = "report.sarif",
    complete: bool = True,
    unclear: Sequence[Finding] = (),
) -> ParsedAudit:
    text = repr([f.as_json() for f in (*findings, *unclear)])
    return ParsedAudit(
        name=name,
        content_hash=sha256(text.encode()).hexdigest(),
        format="sarif",
        source="Scanner",
        target="",
        is_complete=complete,
        findings=tuple(findings),
        different=tuple(merge(findings)),
        needs_review=tuple(unclear),
        errors=(),
        mapping={},
    )


@dataclass
class Queue:
    """The step over one database, and the tasks as they are."""

    database: Database
    connection: psycopg.Connection
    _ticks: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def bring(self, findings: Sequence[Finding], **options: Any) -> ImportReport:  # noqa: ANN401 - handed on
        return import_audit(self.database, audit(findings), **options)

    def store(self, findings: Sequence[Finding], **options: Any) -> int:  # noqa: ANN401 - handed on
        return store_audit(self.database, audit(findings, **options)).id

    def now(self) -> datetime:
        row = self.connection.execute("SELECT post_audit.clock()").fetchone()
        assert row is not None
        moment: datetime = row[0]
        return moment

    def run(self) -> dict[str, Any]:
        """One run of the step, as the runner does it."""
        decision = STEP.run(self.database, self.now())
        return decisions.decide(self.database, decision, step="enhancements", tick=str(next(self._ticks)))

    def undo(self, decision: dict[str, Any]) -> dict[str, Any]:
        answer: Any = self.database.call(
            "post_audit_apply_undo", decision_id=decision["id"], actor=decisions.ACTOR
        )
        return dict(answer["decision"])

    def rows(
        self, query: str = "SELECT * FROM public.enhancement_tasks ORDER BY id"
    ) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode()).fetchall()

    def states(self) -> dict[str, tuple[str, str | None]]:
        """Each task's status and disposition by its rule."""
        return {
            row[0]: (row[1], row[2])
            for row in self.rows("SELECT rule, status, disposition FROM public.enhancement_tasks")
        }

    def person(self, assignment: str, rule: str) -> None:
        """Somebody works on a task."""
        self.connection.execute(
            f"UPDATE public.enhancement_tasks SET {assignment} WHERE rule = '{rule}'".encode()  # noqa: S608 - a test
        )
