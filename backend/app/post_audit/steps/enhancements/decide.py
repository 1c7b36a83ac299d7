"""Bring every audit that arrived into the queue of tasks, each by itself, and say what is open when none did.

An import that would close more than half of the open tasks of its scope waits for a person: that much is seldom
fixed at once, and often the report looked at something else. So does one that a person took back before.

That no audit was ever seen, or none for long, is unknown: an empty queue is no evidence that all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from app.post_audit.formats import count, counted, ist
from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Outcome, Reason, ReasonCode
from app.post_audit.steps.enhancements.facts import EnhancementsFacts, Preview, ReceivedAudit
from app.post_audit.steps.enhancements.policy import EnhancementsPolicy

__all__ = ["decide"]

IMPORTS: Final = ReasonCode(
    "enhancements.imports",
    "{name} ({source}): {findings} {findings:finding|findings}; {new} new, {reopened} reopened, {closed}"
    " closed, {changed} changed, "
    "{unchanged} unchanged.",
)
FOLLOWS: Final = ReasonCode(
    "enhancements.follows",
    "{name} ({source}): {findings} {findings:finding|findings}; what is new in it shows once the audit"
    " before it is in.",
)
KEPT: Final = ReasonCode(
    "enhancements.kept",
    "{name}: {kept} {kept:finding is|findings are} reported again although a person closed"
    " {kept:it; it stays|them; they stay}"
    " closed.",
)
PARTIAL: Final = ReasonCode(
    "enhancements.partial",
    "{name}: {errors} {errors:error|errors} and {needs_review} unclear {needs_review:entry|entries}. Not"
    " all was read,"
    " so nothing is closed as gone.",
)
CLOSES_MOST: Final = ReasonCode(
    "enhancements.closes_most",
    "{name}: {gone} of {open_before} open {open_before:task|tasks} {gone:is|are} no longer reported; over"
    " half needs a person.",
)
TAKEN_BACK: Final = ReasonCode(
    "enhancements.taken_back", "{name}: this import was taken back or declined; that holds until {until_at}."
)
ASKS_AGAIN: Final = ReasonCode(
    "enhancements.asks_again",
    "{name}: this import was taken back or declined before; a person decides on it.",
)
REFUSED: Final = ReasonCode("enhancements.refused", "{name} could not be read: {message}")
MORE_WAIT: Final = ReasonCode(
    "enhancements.more_wait", "{more} more {more:audit waits|audits wait} for the next run."
)
OPEN: Final = ReasonCode(
    "enhancements.open",
    "{open} {open:task is|tasks are} open, {critical} critical and {high} high; {late} {late:is|are} late.",
)
NEVER_SEEN: Final = ReasonCode(
    "enhancements.never_seen", "No audit was ever imported. What one would find is unknown, not nothing."
)
STALE: Final = ReasonCode(
    "enhancements.stale",
    "The newest audit ({name}) is {days} days old; after {limit} days what is open is unknown.",
)
OPEN_BEFORE: Final = ReasonCode(
    "enhancements.open_before",
    "Before, {open} {open:task was|tasks were} open, {critical} critical and {high} high; {late}"
    " {late:was|were} late.",
)
LAST: Final = ReasonCode("enhancements.last", "The newest audit is {name} of {at}.")


def decide(facts: EnhancementsFacts, policy: EnhancementsPolicy) -> Decision:
    """Decide on every audit that arrived."""
    held = [audit for audit in facts.received if audit.hold is not None and audit.hold.until > facts.as_of]
    taken = [audit for audit in facts.received if audit not in held]
    changes = tuple(_change(audit) for audit in taken)
    about_others = (
        *(TAKEN_BACK(name=a.name, until_at=ist(a.hold.until)) for a in held if a.hold is not None),
        *(REFUSED(name=refused.name, message=refused.message) for refused in facts.refused),
    )
    if taken:
        more = facts.waiting - len(facts.received)
        return Decision(
            outcome=Outcome.ACT,
            headline=_headline(taken, changes),
            reasons=(
                *(reason for audit in taken for reason in _reasons(audit)),
                *(change.needs_approval for change in changes if change.needs_approval is not None),
                *about_others,
                *((MORE_WAIT(more=more),) if more else ()),
                _queue_reason(facts, OPEN_BEFORE),
            ),
            numbers=_numbers(facts, taken),
            changes=changes,
            messages=tuple(_message(audit) for audit in taken if _is_news(audit)),
            next="To take one back: post-audit undo {decision} --subject audit:ID",
            # Of several, one that has moved is left out; the only one refuses, and who undoes or approves it sees why.
            independent=len(taken) > 1,
        )
    outcome, headline, reason, advice = _without_audits(facts, policy, is_held=bool(held))
    return Decision(
        outcome=outcome,
        headline=headline,
        reasons=(*((reason,) if reason else ()), *about_others, _queue_reason(facts, OPEN)),
        numbers=_numbers(facts, taken),
        next=advice,
    )


def _change(audit: ReceivedAudit) -> Change:
    return Change(
        subject=f"audit:{audit.id}",
        before={"state": "received"},
        after={"state": "migrated"},
        needs_approval=_needs_approval(audit),
    )


def _needs_approval(audit: ReceivedAudit) -> Reason | None:
    """Why a person has to agree: over half of a scope would close, or it was taken back before.

    The numbers hold `gone`: the approval is good for closing so many and no more.
    """
    preview = audit.preview
    if preview is not None and preview.gone * 2 > preview.open_before:
        return CLOSES_MOST(name=audit.name, gone=preview.gone, open_before=preview.open_before)
    if audit.hold is not None:
        return ASKS_AGAIN(name=audit.name, gone=None if preview is None else preview.gone)
    return None


def _reasons(audit: ReceivedAudit) -> tuple[Reason, ...]:
    preview = audit.preview
    partial = (
        ()
        if audit.complete
        else (PARTIAL(name=audit.name, errors=audit.errors, needs_review=audit.needs_review),)
    )
    if preview is None:
        return (FOLLOWS(name=audit.name, source=audit.source, findings=audit.findings), *partial)
    return (
        IMPORTS(
            name=audit.name,
            source=audit.source,
            findings=audit.findings,
            new=preview.new,
            reopened=preview.reopened,
            closed=preview.closed,
            changed=preview.changed,
            unchanged=preview.unchanged,
        ),
        *((KEPT(name=audit.name, kept=preview.kept),) if preview.kept else ()),
        *partial,
    )


def _headline(taken: Sequence[ReceivedAudit], changes: Sequence[Change]) -> str:
    """Subject, verb, object; the counts of the only audit, or how many audits there are."""
    if all(change.needs_approval is not None for change in changes):
        return f"{_audits(len(taken))} {'waits' if len(taken) == 1 else 'wait'} for approval."
    if len(taken) == 1 and taken[0].preview is not None:
        preview = taken[0].preview
        new, reopened, closed = (
            counted(preview.new, "new task"),
            count(preview.reopened),
            count(preview.closed),
        )
        return f"One audit brought {new}, reopened {reopened} and closed {closed}."
    if len(taken) == 1:
        return "One audit brings its findings into the queue."
    return f"{_audits(len(taken))} bring their findings into the queue."


def _without_audits(
    facts: EnhancementsFacts, policy: EnhancementsPolicy, *, is_held: bool
) -> tuple[Outcome, str, Reason | None, str]:
    """Say what to make of it that there is nothing to import: outcome, headline, reason, advice."""
    if is_held:
        return (
            Outcome.BLOCKED,
            "The audits that arrived were taken back or declined.",
            None,
            "Nothing; a newer audit of the same scope is imported as usual.",
        )
    last = facts.last_migrated
    if last is None:
        return (
            Outcome.UNKNOWN,
            "No audit was ever seen.",
            NEVER_SEEN(),
            "Import one: post-audit import FILE, or put it into audit-inbox/.",
        )
    age = facts.as_of - last.received_at
    if age > policy.stale_after:
        days, limit = age // timedelta(days=1), policy.stale_after // timedelta(days=1)
        return (
            Outcome.UNKNOWN,
            f"No audit arrived for {days} days.",
            STALE(name=last.name, days=days, limit=limit),
            "Run the audit again and import its report: post-audit import FILE.",
        )
    open_tasks, late = _total(facts)
    return (
        Outcome.NOTHING,
        f"No new audit; {counted(open_tasks, 'open task')}, {count(late)} late.",
        LAST(name=last.name, at=ist(last.received_at)),
        "Begin with the late ones: /admin/pending." if late else "",
    )


def _queue_reason(facts: EnhancementsFacts, kind: ReasonCode) -> Reason:
    of = {row.priority: row.open for row in facts.queue}
    open_tasks, late = _total(facts)
    return kind(open=open_tasks, critical=of.get("critical", 0), high=of.get("high", 0), late=late)


def _total(facts: EnhancementsFacts) -> tuple[int, int]:
    return sum(row.open for row in facts.queue), sum(row.late for row in facts.queue)


def _numbers(facts: EnhancementsFacts, taken: Sequence[ReceivedAudit]) -> dict[str, JSON]:
    open_tasks, late = _total(facts)
    return {
        "open": open_tasks,
        "late": late,
        "queue": [{"priority": row.priority, "open": row.open, "late": row.late} for row in facts.queue],
        "waiting": facts.waiting,
        "refused": len(facts.refused),
        "audits": [
            {
                "id": audit.id,
                "name": audit.name,
                "source": audit.source,
                "target": audit.target,
                "format": audit.format,
                "findings": audit.findings,
                "reported": audit.reported,
                "needs_review": audit.needs_review,
                "errors": audit.errors,
                "preview": None if audit.preview is None else _counts(audit.preview),
            }
            for audit in taken
        ],
    }


def _counts(preview: Preview) -> dict[str, JSON]:
    return {
        "new": preview.new,
        "new_critical": preview.new_critical,
        "new_high": preview.new_high,
        "recorded": preview.recorded,
        "unchanged": preview.unchanged,
        "changed": preview.changed,
        "reopened": preview.reopened,
        "closed": preview.closed,
        "gone": preview.gone,
        "kept": preview.kept,
        "open_before": preview.open_before,
    }


def _is_news(audit: ReceivedAudit) -> bool:
    """Whether people want to hear of it: something critical or high is new, or something came back."""
    return (
        audit.preview is not None
        and (audit.preview.new_critical + audit.preview.new_high + audit.preview.reopened) > 0
    )


def _message(audit: ReceivedAudit) -> Message:
    lines = [*(reason.text for reason in _reasons(audit)), "Tasks: /admin/pending."]
    if audit.preview is not None and audit.preview.worst_new:
        lines.insert(1, "New: " + "; ".join(audit.preview.worst_new) + ".")
    return Message(channel=Channel.TELEGRAM, subject=f"audit:{audit.id}", payload={"text": "\n".join(lines)})


def _audits(number: int) -> str:
    return "One audit" if number == 1 else f"{count(number)} audits"
