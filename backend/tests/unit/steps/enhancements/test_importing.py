"""What is sent to the database, in which parts and order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from app.post_audit.codec import to_json
from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.steps.enhancements.importing import import_audit, store_audit
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.post_audit.ports import JSON
    from app.post_audit.steps.enhancements.parsing import ParsedAudit

COUNTS = dict.fromkeys(
    (
        "new",
        "recorded",
        "unchanged",
        "changed",
        "reopened",
        "closed",
        "kept",
        "gone",
        "open_before",
        "open_and_reported",
        "new_critical",
        "new_high",
    ),
    0,
)


class Recorder:
    """A database that takes everything and remembers the calls."""

    def __init__(self, *, known: bool = False) -> None:
        self.known = known
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, function: str, **arguments: object) -> JSON:
        self.calls.append((function, {name: to_json(value) for name, value in arguments.items()}))
        if function == "post_audit_apply_audit":
            return {
                "id": 5,
                "state": "received",
                "known": self.known,
                "received_at": "2025-11-09T00:00:00+00:00",
            }
        return COUNTS | {"repeated": False, "audit_id": 5}

    def describe(self) -> str:
        return "a recorder"

    def close(self) -> None:
        """Nothing is open."""


def test_a_large_audit_is_stored_in_parts(audit: ParsedAudit) -> None:
    database = Recorder()
    stored = store_audit(database, audit, target="shop", policy=EnhancementsPolicy(findings_per_call=2))
    assert (stored.id, stored.is_known) == (5, False)
    sent = [(c["position"], len(c["findings"]), c["total"], c["target"]) for _, c in database.calls]
    assert sent == [(0, 2, 3, "shop"), (2, 1, 3, "shop")]


def test_a_known_audit_is_sent_no_further(audit: ParsedAudit) -> None:
    database = Recorder(known=True)
    assert store_audit(database, audit, policy=EnhancementsPolicy(findings_per_call=1)).is_known
    assert len(database.calls) == 1
    import_audit(database, audit, policy=EnhancementsPolicy(findings_per_call=1))
    assert [name for name, _ in database.calls[1:]] == ["post_audit_apply_audit", "post_audit_apply_import"]


def test_a_dry_run_reads_only(audit: ParsedAudit) -> None:
    database = Recorder()
    assert import_audit(database, audit, dry_run=True, source="S").new == 0
    ((function, arguments),) = database.calls
    assert function == "post_audit_read_import_preview"
    assert (arguments["source"], arguments["complete"], len(arguments["findings"])) == ("S", False, 3)


def test_an_import_sends_the_last_part_with_its_confirmation(audit: ParsedAudit) -> None:
    database = Recorder()
    import_audit(database, audit, confirm=True, policy=EnhancementsPolicy(findings_per_call=2))
    assert [(name, c["position"], c.get("confirm")) for name, c in database.calls] == [
        ("post_audit_apply_audit", 0, None),
        ("post_audit_apply_import", 2, True),
    ]


def test_an_audit_without_findings_is_sent_too(read: Callable[..., ParsedAudit]) -> None:
    database = Recorder()
    store_audit(database, read({"findings": []}))
    assert database.calls[0][1]["findings"] == []


def test_an_answer_of_another_shape_is_refused(audit: ParsedAudit) -> None:
    class Broken(Recorder):
        def call(self, function: str, **arguments: object) -> JSON:
            super().call(function, **arguments)
            return ["nothing"]

    with pytest.raises(UnexpectedAnswer):
        store_audit(Broken(), audit)
