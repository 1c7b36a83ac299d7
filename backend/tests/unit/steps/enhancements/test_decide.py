from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.post_audit.step import Decision, Outcome
from app.post_audit.steps.enhancements.decide import decide
from app.post_audit.steps.enhancements.facts import (
    EnhancementsFacts,
    Hold,
    MigratedAudit,
    Preview,
    QueueRow,
    ReceivedAudit,
    RefusedAudit,
)
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

NOW = datetime(2025, 11, 9, 6, 30, tzinfo=UTC)
POLICY = EnhancementsPolicy()
PREVIEW = Preview(
    new=3,
    recorded=0,
    unchanged=7,
    changed=1,
    reopened=0,
    closed=2,
    kept=0,
    gone=2,
    open_before=10,
    new_critical=0,
    new_high=0,
)
AUDIT = ReceivedAudit(
    id=7,
    name="report.sarif",
    source="Scanner",
    target="shop",
    format="sarif",
    complete=True,
    findings=11,
    reported=14,
    needs_review=0,
    errors=0,
    received_at=NOW,
    preview=PREVIEW,
    hold=None,
)
LAST = MigratedAudit(id=1, name="old.sarif", source="Scanner", received_at=NOW - timedelta(days=3))
QUEUE = (
    QueueRow(priority="critical", open=1, late=1),
    QueueRow(priority="high", open=4, late=2),
    QueueRow(priority="low", open=5, late=0),
)
FACTS = EnhancementsFacts(as_of=NOW, received=(), waiting=0, refused=(), last_migrated=LAST, queue=QUEUE)


def facts(*received: ReceivedAudit, **changes: object) -> EnhancementsFacts:
    return replace(FACTS, received=received, **{"waiting": len(received), **changes})  # type: ignore[arg-type]  # by name


def codes(decision: Decision) -> list[str]:
    return [reason.code.removeprefix("enhancements.") for reason in decision.reasons]


def test_an_audit_is_imported_with_its_counts() -> None:
    decision = decide(facts(AUDIT), POLICY)
    assert (decision.outcome, decision.independent) == (Outcome.ACT, False)
    assert decision.headline == "One audit brought 3 new tasks, reopened 0 and closed 2."
    assert decision.reasons[0].text == (
        "report.sarif (Scanner): 11 findings; 3 new, 0 reopened, 2 closed, 1 changed, 7 unchanged."
    )
    (change,) = decision.changes
    assert (change.subject, change.before, change.after) == (
        "audit:7",
        {"state": "received"},
        {"state": "migrated"},
    )
    assert change.needs_approval is None
    assert decision.messages == (), "nothing critical or high is new"


def test_reasons_speak_of_one_in_the_singular() -> None:
    one = replace(
        AUDIT,
        findings=1,
        errors=1,
        needs_review=1,
        complete=False,
        preview=replace(PREVIEW, kept=1, gone=1, open_before=1),
    )
    queue = (QueueRow(priority="critical", open=1, late=1),)
    decision = decide(facts(one, waiting=2, queue=queue), POLICY)
    assert [reason.text for reason in decision.reasons] == [
        "report.sarif (Scanner): 1 finding; 3 new, 0 reopened, 2 closed, 1 changed, 7 unchanged.",
        "report.sarif: 1 finding is reported again although a person closed it; it stays closed.",
        "report.sarif: 1 error and 1 unclear entry. Not all was read, so nothing is closed as gone.",
        "report.sarif: 1 of 1 open task is no longer reported; over half needs a person.",
        "1 more audit waits for the next run.",
        "Before, 1 task was open, 1 critical and 0 high; 1 was late.",
    ]


@pytest.mark.parametrize(
    "grave",
    [
        replace(PREVIEW, new_critical=1, worst_new=("Open port", "Old library")),
        replace(PREVIEW, new_high=1, worst_new=("Open port", "Old library")),
        replace(PREVIEW, reopened=1, worst_new=("Open port", "Old library")),
        replace(PREVIEW, new=0, reopened=1),
    ],
    ids=["critical", "high", "reopened", "only-reopened"],
)
def test_people_hear_of_what_is_grave_or_back(grave: Preview) -> None:
    (message,) = decide(facts(replace(AUDIT, preview=grave)), POLICY).messages
    assert message.subject == "audit:7"
    named = "New: Open port; Old library." in str(message.payload["text"])
    assert named is bool(grave.worst_new)


@pytest.mark.parametrize(
    ("gone", "open_before", "asks"),
    [(5, 10, False), (6, 10, True), (1, 1, True), (0, 0, False), (1, 2, False)],
)
def test_closing_over_half_of_a_scope_needs_a_person(gone: int, open_before: int, *, asks: bool) -> None:
    preview = replace(PREVIEW, gone=gone, open_before=open_before)
    decision = decide(facts(replace(AUDIT, preview=preview)), POLICY)
    (change,) = decision.changes
    assert (change.needs_approval is not None) is asks
    if change.needs_approval is not None:
        assert change.needs_approval.numbers["gone"] == gone, "the approval is good for this number"
        assert decision.headline == "One audit waits for approval."
        assert "closes_most" in codes(decision)


def test_several_audits_stand_alone() -> None:
    second = replace(AUDIT, id=8, preview=None)
    decision = decide(facts(AUDIT, second), POLICY)
    assert decision.independent
    assert decision.headline == "2 audits bring their findings into the queue."
    assert codes(decision) == ["imports", "follows", "open_before"]
    assert decision.numbers["audits"][1]["preview"] is None  # type: ignore[index, call-overload]  # JSON


def test_only_one_that_follows_has_no_counts_yet() -> None:
    decision = decide(facts(replace(AUDIT, preview=None)), POLICY)
    assert decision.headline == "One audit brings its findings into the queue."


def test_all_waiting_for_approval() -> None:
    preview = replace(PREVIEW, gone=9)
    both = [replace(AUDIT, id=number, target=str(number), preview=preview) for number in (7, 8)]
    assert decide(facts(*both), POLICY).headline == "2 audits wait for approval."


def test_what_was_not_read_and_what_stays_closed_is_said() -> None:
    audit = replace(AUDIT, complete=False, errors=2, needs_review=1, preview=replace(PREVIEW, kept=4))
    assert codes(decide(facts(audit), POLICY)) == ["imports", "kept", "partial", "open_before"]
    assert codes(decide(facts(replace(audit, preview=None)), POLICY)) == ["follows", "partial", "open_before"]


def test_what_was_taken_back_is_respected_while_it_is_held() -> None:
    held = replace(AUDIT, hold=Hold(until=NOW + timedelta(days=2), decision_id=4))
    decision = decide(facts(held), POLICY)
    assert (decision.outcome, decision.changes) == (Outcome.BLOCKED, ())
    assert codes(decision) == ["taken_back", "open"]


@pytest.mark.parametrize("preview", [PREVIEW, None], ids=["first of its scope", "follows another"])
def test_what_was_taken_back_is_asked_for_afterwards(preview: Preview | None) -> None:
    held = replace(AUDIT, preview=preview, hold=Hold(until=NOW, decision_id=4))
    (change,) = decide(facts(held), POLICY).changes
    assert change.needs_approval is not None
    assert change.needs_approval.code == "enhancements.asks_again"


def test_a_held_audit_stands_in_no_other_ones_way() -> None:
    held = replace(AUDIT, hold=Hold(until=NOW + timedelta(days=2), decision_id=4))
    decision = decide(facts(held, replace(AUDIT, id=8)), POLICY)
    assert [change.subject for change in decision.changes] == ["audit:8"]
    assert "taken_back" in codes(decision)


def test_what_does_not_fit_into_one_decision_is_said() -> None:
    decision = decide(replace(facts(AUDIT), waiting=4), POLICY)
    assert "3 more audits wait for the next run." in [reason.text for reason in decision.reasons]


def test_no_audit_ever_is_unknown() -> None:
    decision = decide(facts(last_migrated=None), POLICY)
    assert (decision.outcome, decision.headline) == (Outcome.UNKNOWN, "No audit was ever seen.")
    assert codes(decision) == ["never_seen", "open"]


@pytest.mark.parametrize(("days", "outcome"), [(45, Outcome.NOTHING), (46, Outcome.UNKNOWN)])
def test_an_old_audit_says_nothing_of_today(days: int, outcome: Outcome) -> None:
    last = replace(LAST, received_at=NOW - timedelta(days=days))
    assert decide(facts(last_migrated=last), POLICY).outcome is outcome


def test_nothing_new_tells_what_is_open_and_late() -> None:
    decision = decide(FACTS, POLICY)
    assert (decision.outcome, decision.headline) == (Outcome.NOTHING, "No new audit; 10 open tasks, 3 late.")
    assert codes(decision) == ["last", "open"]
    assert decision.reasons[-1].text == "10 tasks are open, 1 critical and 4 high; 3 are late."
    assert decision.next == "Begin with the late ones: /admin/pending."
    quiet = decide(facts(queue=(QueueRow(priority="low", open=1, late=0),)), POLICY)
    assert (quiet.headline, quiet.next) == ("No new audit; 1 open task, 0 late.", "")


def test_a_refused_file_is_named_beside_whatever_is_decided() -> None:
    refused = (RefusedAudit(id=3, name="cut.json", message="It was cut off.", received_at=NOW),)
    for decision in (decide(facts(refused=refused), POLICY), decide(facts(AUDIT, refused=refused), POLICY)):
        assert "cut.json could not be read: It was cut off." in [reason.text for reason in decision.reasons]


previews = st.builds(
    Preview,
    **dict.fromkeys(
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
            "new_critical",
            "new_high",
        ),
        st.integers(0, 50),
    ),
)
holds = st.none() | st.builds(
    Hold, until=st.datetimes().map(lambda d: d.replace(tzinfo=UTC)), decision_id=st.just(1)
)


@given(st.lists(st.tuples(st.none() | previews, holds), max_size=5))
def test_no_import_over_half_or_held_goes_by_itself(cases: list[tuple[Preview | None, Hold | None]]) -> None:
    received = [replace(AUDIT, id=n, preview=preview, hold=hold) for n, (preview, hold) in enumerate(cases)]
    decision = decide(facts(*received), POLICY)
    by_itself = {change.subject for change in decision.changes if change.needs_approval is None}
    for audit in received:
        closes_most = audit.preview is not None and audit.preview.gone * 2 > audit.preview.open_before
        if audit.hold is not None or closes_most:
            assert f"audit:{audit.id}" not in by_itself
    assert len(decision.headline.split()) <= 12
