"""Judge every supplier by itself, then say together what is moved, what waits and what to look at.

Each supplier is one change that stands alone. What it was decided on goes along as a digest of the row and
the numbers of its claims and earnings, so that a row which changed since is left out and named. Three
things make a person agree first: the supplier is claimed or paid, more than a share of the table would go,
more than so many rows would go. The last two stop all of the decision: an unusual amount is itself a sign
that something is wrong with the rule or the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from app.post_audit.formats import count, counted, ist, percent
from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Number, Outcome, Reason, ReasonCode
from app.post_audit.steps.fake_data.evaluate import evidence_as_json
from app.post_audit.steps.fake_data.evidence import Judgement, Verdict, judge
from app.post_audit.steps.fake_data.facts import FakeDataFacts, Supplier
from app.post_audit.steps.fake_data.policy import FakeDataPolicy
from app.post_audit.steps.fake_data.signals import Weight

__all__ = ["decide"]

QUARANTINE: Final = ReasonCode(
    "fake_data.quarantine",
    "{found} of {suppliers} suppliers {found:shows|show} at least {families} independent signs of being"
    " invented.",
)
SIGNS: Final = ReasonCode("fake_data.signs", "Most often: {signs} ({found} {found:supplier|suppliers}).")
REVIEW: Final = ReasonCode(
    "fake_data.review",
    "{found} of {suppliers} suppliers {found:shows|show} fewer signs than {families}: for a person to look"
    " at.",
)
NONE: Final = ReasonCode(
    "fake_data.none",
    "None of {suppliers} suppliers newly shows {families} independent signs of being invented.",
)
HELD: Final = ReasonCode(
    "fake_data.held",
    "{found} {found:was|were} restored or declined and {found:has|have} not changed since; the first hold"
    " ends {until_at}.",
)
IN_USE: Final = ReasonCode(
    "fake_data.in_use",
    "{claims} {claims:claim|claims} and {earnings} {earnings:earning|earnings} hang on this supplier, or it"
    " is claimed:"
    " a person has to agree.",
)
MANY_IN_USE: Final = ReasonCode(
    "fake_data.many_in_use", "{found} of them {found:is|are} claimed or paid; those always wait for a person."
)
LARGE_SHARE: Final = ReasonCode(
    "fake_data.large_share",
    "{found} of {suppliers} suppliers {found:is|are} {share}; above {limit} a person has to agree.",
)
MANY_ROWS: Final = ReasonCode(
    "fake_data.many_rows", "{found} suppliers at once are more than {limit}; a person has to agree."
)
OBSTACLE: Final = ReasonCode(
    "fake_data.obstacle", "{obstacle}, so nothing could be brought back from quarantine."
)
NO_SUPPLIERS: Final = ReasonCode(
    "fake_data.no_suppliers", "No supplier could be read. That is unknown, not free of fakes."
)

_NEXT_WAITING: Final = "See them and agree: post-audit approve {decision}"
_NEXT_UNDO: Final = "To bring one back: post-audit undo {decision} --subject supplier:ID"
_NEXT_REVIEW: Final = (
    "Look at the suppliers listed for review; register your seed files to settle more of them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suspect:
    """One supplier with evidence, and what has to be true of it still when it is moved."""

    supplier: Supplier
    judgement: Judgement
    digest: str
    claims: int
    earnings: int
    is_claimed: bool
    held_until: datetime | None

    @property
    def subject(self) -> str:
        return f"supplier:{self.supplier.id}"

    @property
    def is_in_use(self) -> bool:
        return self.is_claimed or self.claims > 0 or self.earnings > 0

    @property
    def signs(self) -> str:
        """The strong signals by name: `gstin_shape + numbered_name`."""
        strong = {item.signal for item in self.judgement.evidence if item.weight > Weight.WEAK}
        return " + ".join(sorted(strong))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What all suppliers came to. `limit` is the reason for which all of `taken` waits, if there is one."""

    suppliers: int
    taken: tuple[_Suspect, ...]
    reviews: tuple[_Suspect, ...]
    held: tuple[_Suspect, ...]
    limit: Reason | None

    @property
    def waiting(self) -> tuple[_Suspect, ...]:
        if self.limit is not None:
            return self.taken
        return tuple(suspect for suspect in self.taken if suspect.is_in_use)

    @property
    def moved(self) -> int:
        return len(self.taken) - len(self.waiting)


def decide(facts: FakeDataFacts, policy: FakeDataPolicy) -> Decision:
    """Decide on every supplier; what a person has taken back stays until its row changes or the hold ends."""
    if not len(facts.suppliers):
        return Decision(
            outcome=Outcome.UNKNOWN,
            headline="Suppliers cannot be judged.",
            reasons=(NO_SUPPLIERS(),),
            numbers={"suppliers": 0, "quarantined_before": facts.quarantined},
            next="See whether the role suppliers is bound to the right table: post-audit bind.",
            independent=True,
        )
    found = _find(facts, policy)
    reasons = _reasons(found, policy)
    numbers = _numbers(found, facts, policy)
    if found.taken and facts.obstacle:
        return Decision(
            outcome=Outcome.BLOCKED,
            headline=f"{counted(len(found.taken), 'supplier')} cannot be quarantined.",
            reasons=(_because(OBSTACLE, obstacle=facts.obstacle), *reasons),
            numbers=numbers,
            next="Bind the role suppliers to the table itself: post-audit bind suppliers SCHEMA.TABLE.",
            independent=True,
        )
    undo_messages = (_telegram("fake_data", ["Suppliers were brought back from quarantine."]),)
    return Decision(
        outcome=Outcome.ACT if found.taken else Outcome.NOTHING,
        headline=_headline(found),
        reasons=reasons,
        numbers=numbers,
        changes=tuple(_change(suspect, found.limit) for suspect in found.taken),
        messages=_messages(found, reasons, facts),
        undo_messages=undo_messages if found.taken else (),
        next=_next(found),
        independent=True,
    )


def _find(facts: FakeDataFacts, policy: FakeDataPolicy) -> _Found:
    """Judge all suppliers and sort those that something speaks against."""
    columns = facts.suppliers
    taken: list[_Suspect] = []
    reviews: list[_Suspect] = []
    held: list[_Suspect] = []
    for index, supplier in enumerate(columns.suppliers()):
        judgement = judge(supplier, policy)
        if judgement.verdict is Verdict.KEEP:
            continue
        held_until = columns.held_until[index]
        suspect = _Suspect(
            supplier=supplier,
            judgement=judgement,
            digest=columns.digest[index],
            claims=columns.claims[index],
            earnings=columns.earnings[index],
            is_claimed=columns.claimed[index],
            held_until=held_until,
        )
        if judgement.verdict is Verdict.REVIEW:
            reviews.append(suspect)
        elif held_until is not None and held_until > facts.as_of:
            held.append(suspect)
        else:
            taken.append(suspect)
    return _Found(
        suppliers=len(columns),
        taken=tuple(taken),
        reviews=tuple(reviews),
        held=tuple(held),
        limit=_limit(len(taken), len(columns), policy),
    )


def _limit(found: int, suppliers: int, policy: FakeDataPolicy) -> Reason | None:
    """Say which limit the whole of it is over; None when a person need not agree to the amount."""
    if found > policy.approval_rows:
        return _because(MANY_ROWS, found=found, limit=policy.approval_rows)
    if found > policy.approval_share * suppliers:
        share, limit = found / suppliers, float(policy.approval_share)
        return _because(LARGE_SHARE, found=found, suppliers=suppliers, share=share, limit=limit)
    return None


def _change(suspect: _Suspect, limit: Reason | None) -> Change:
    needs_approval = limit
    if suspect.is_in_use:
        needs_approval = _because(IN_USE, claims=suspect.claims, earnings=suspect.earnings)
    return Change(
        subject=suspect.subject,
        before={
            "state": "live",
            "digest": suspect.digest,
            "claims": suspect.claims,
            "earnings": suspect.earnings,
        },
        # The digest goes along, so that a hold on what was undone knows which row it holds.
        after={"state": "quarantined", "digest": suspect.digest, "evidence": _evidence(suspect)},
        needs_approval=needs_approval,
    )


def _evidence(suspect: _Suspect) -> Sequence[JSON]:
    return [evidence_as_json(item) for item in suspect.judgement.evidence]


def _reasons(found: _Found, policy: FakeDataPolicy) -> tuple[Reason, ...]:
    told: dict[str, Number] = {"suppliers": found.suppliers, "families": policy.families_to_quarantine}
    in_use = sum(suspect.is_in_use for suspect in found.taken)
    return (
        _because(QUARANTINE, found=len(found.taken), **told) if found.taken else _because(NONE, **told),
        *_most_frequent_signs(found.taken),
        *((found.limit,) if found.limit is not None else ()),
        *((_because(MANY_IN_USE, found=in_use),) if in_use else ()),
        *((_because(REVIEW, found=len(found.reviews), **told),) if found.reviews else ()),
        *_held_reason(found.held),
    )


def _most_frequent_signs(taken: Sequence[_Suspect]) -> tuple[Reason, ...]:
    """Name the signs that most suppliers show together; of equally frequent ones the first by name."""
    signs = Counter(suspect.signs for suspect in taken)
    if not signs:
        return ()
    most, found = min(signs.items(), key=lambda item: (-item[1], item[0]))
    return (_because(SIGNS, signs=most.replace("_", " "), found=found),)


def _held_reason(held: Sequence[_Suspect]) -> tuple[Reason, ...]:
    ends = [suspect.held_until for suspect in held if suspect.held_until is not None]
    return (_because(HELD, found=len(held), until_at=min(ends).isoformat()),) if ends else ()


def _headline(found: _Found) -> str:
    moved, waiting = found.moved, len(found.waiting)
    if moved and waiting:
        return f"{counted(moved, 'supplier')} moved to quarantine; {count(waiting)} {_wait(waiting)} for you."
    if moved:
        return f"{counted(moved, 'supplier')} moved to quarantine."
    if waiting:
        return f"{counted(waiting, 'supplier')} {_wait(waiting)} for you before quarantine."
    if found.reviews:
        return f"Nothing quarantined; {count(len(found.reviews))} to look at."
    return "Nothing quarantined."


def _next(found: _Found) -> str:
    if found.waiting:
        return _NEXT_WAITING
    if found.taken:
        return _NEXT_UNDO
    return _NEXT_REVIEW if found.reviews else ""


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _messages(found: _Found, reasons: Sequence[Reason], facts: FakeDataFacts) -> tuple[Message, ...]:
    """Tell people what was moved when it has been, and who waits for them at once, but the same only once."""
    texts = [reason.text for reason in reasons]
    messages: list[Message] = []
    if found.moved:
        headline = f"{counted(found.moved, 'supplier')} moved to quarantine."
        messages.append(_telegram("fake_data", [headline, *texts, _NEXT_UNDO]))
    waiting = found.waiting
    if waiting:
        # The same suppliers have the same hash, so a list that nobody has answered is told of once, not at
        # every run.
        listed = sha256("\n".join(sorted(suspect.subject for suspect in waiting)).encode()).hexdigest()
        subject = f"fake_data:waiting:{listed[:16]}"
        headline = f"{counted(len(waiting), 'supplier')} {_wait(len(waiting))} for you before quarantine."
        if subject not in facts.alerted:
            messages.append(_telegram(subject, [headline, *texts, _NEXT_WAITING], alert=True))
    return tuple(messages)


def _telegram(subject: str, lines: Sequence[str], *, alert: bool = False) -> Message:
    return Message(channel=Channel.TELEGRAM, subject=subject, payload={"text": "\n".join(lines)}, alert=alert)


def _numbers(found: _Found, facts: FakeDataFacts, policy: FakeDataPolicy) -> Mapping[str, JSON]:
    families = Counter(
        family
        for suspect in found.taken
        for family in {item.family.value for item in suspect.judgement.evidence if item.weight > Weight.WEAK}
    )
    listed = len(found.taken) + len(found.held) + len(found.reviews)
    return {
        "suppliers": found.suppliers,
        "quarantine": len(found.taken),
        "waiting": len(found.waiting),
        "held": len(found.held),
        "review": len(found.reviews),
        "keep": found.suppliers - listed,
        "quarantined_before": facts.quarantined,
        "seeds": facts.seeds,
        "share": round(len(found.taken) / found.suppliers, 6),
        "approval_share": float(policy.approval_share),
        "approval_rows": policy.approval_rows,
        "families": {family: families[family] for family in sorted(families)},
        "reviews": [
            {"supplier": suspect.supplier.id, "name": suspect.supplier.name, "evidence": _evidence(suspect)}
            for suspect in found.reviews[: policy.reviews_listed]
        ],
    }


def _because(code: ReasonCode, **numbers: Number) -> Reason:
    """Fill a sentence with numbers as people read them, and keep the numbers as they are."""
    told = {name: _as_read(name, value) for name, value in numbers.items()}
    return Reason(code=code.code, text=code.worded(numbers).format(**told), numbers=numbers)


def _as_read(name: str, value: Number) -> str:
    if isinstance(value, float):
        return percent(value, 1)
    if isinstance(value, int):
        return count(value)
    return ist(datetime.fromisoformat(str(value))) if name.endswith("_at") else str(value)
