"""The shape of a step: what it is made of, and what a decision is.

A step is data, not a subclass. `gather` reads facts through the database port, `decide` turns facts and a
policy into a decision and does nothing else, and the runner applies the decision through one SQL function
(`post_audit_apply_decision`), in one transaction with its reasons and its messages.

A decision is a value: frozen, comparable, complete. Whatever its text says stands in its numbers too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from app.post_audit.errors import UnexpectedAnswer
from app.post_audit.ports import JSON, Database

__all__ = [
    "Change",
    "Channel",
    "Decision",
    "Message",
    "Number",
    "Outcome",
    "Reason",
    "ReasonCode",
    "Step",
    "parse_facts",
]

FactsT = TypeVar("FactsT")
PolicyT = TypeVar("PolicyT")

Number = int | float | str | bool | None

_ONE_OR_MANY: Final = re.compile(r"\{(\w+):([^{}|]*)\|([^{}|]*)\}")


class Outcome(StrEnum):
    """What a step came to."""

    ACT = "act"
    """Something is to be changed; the decision carries the changes."""
    NOTHING = "nothing"
    """Looked, and all is as it should be or not yet certain enough."""
    BLOCKED = "blocked"
    """There would be something to do, and a named obstacle forbids it."""
    UNKNOWN = "unknown"
    """The facts are missing or too old to decide on. Never the same as zero."""


class Channel(StrEnum):
    """Where a message goes."""

    N8N_AB_UPDATE = "n8n_ab_update"
    N8N_SCALE = "n8n_scale"
    TELEGRAM = "telegram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason: a stable code, a sentence for a person, and the numbers in that sentence."""

    code: str
    text: str
    numbers: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """A kind of reason, kept as a constant: `code` for machines and a sentence with named gaps.

    A gap with two words chooses one: the first where its number is 1, else the second.

    >>> ReasonCode("example.too_few", "{sent} of {needed} {sent:is|are} sent.")(sent=40, needed=100).text
    '40 of 100 are sent.'
    """

    code: str
    sentence: str

    def __call__(self, **numbers: Number) -> Reason:
        """Fill the gaps; every gap needs a number of its name (format specifications apply)."""
        return Reason(code=self.code, text=self.worded(numbers).format(**numbers), numbers=numbers)

    def worded(self, numbers: Mapping[str, Number]) -> str:
        """Choose the words that these numbers ask for; the other gaps are still open."""
        return _ONE_OR_MANY.sub(
            lambda choice: choice[2] if numbers[choice[1]] == 1 else choice[3], self.sentence
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing to be changed, as a compare-and-set: it is done only where `before` still holds.

    `subject` names the thing (`experiment:1`, `capacity:sms`, `supplier:42`). `needs_approval` says why a
    person has to agree first, even when the step is armed; None when nobody has to.
    """

    subject: str
    before: Mapping[str, JSON]
    after: Mapping[str, JSON]
    needs_approval: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to be sent when the decision takes effect.

    A message whose `subject` is that of a change leaves with that change; any other leaves when all changes have
    been carried out, and at once when there are none. An `alert` leaves as soon as the decision is stored,
    whatever becomes of its changes: it reports a fact and no deed.
    `payload` holds absolute values, never differences; the database adds the message's id, the decision's id
    and a version that grows per `subject` when the message enters the outbox.
    """

    channel: Channel
    subject: str
    payload: Mapping[str, JSON]
    alert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a step decided, and everything that is needed to carry it out, to explain it and to take it back.

    `headline` is one sentence of at most about twelve words; `reasons` the sentences behind it; `numbers` the
    evidence (JSON, free per step); `next` what the reader may do now. `messages` leave when the changes take
    effect (at once when there are none), `undo_messages` when they are taken back.

    With `independent`, each change stands alone: one whose subject has moved meanwhile is left out and named.
    Without it, one moved subject refuses them all (`StateMoved`), and there may be at most one batch of them.

    `{decision}` in `next` and in the text of messages stands for the decision's number, which only the database
    knows; it is filled in when the decision is stored.

    `final_because` says why the decision cannot be taken back (undoing a repair would restore a false number);
    empty when it can. `hold_days` is for how long the same is not done again after it was taken back.
    """

    outcome: Outcome
    headline: str
    reasons: tuple[Reason, ...]
    numbers: Mapping[str, JSON] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    messages: tuple[Message, ...] = ()
    undo_messages: tuple[Message, ...] = ()
    next: str = ""
    independent: bool = False
    final_because: str = ""
    hold_days: int = 7

    def __post_init__(self) -> None:
        """Refuse a decision that cannot be explained or that contradicts itself."""
        if not self.headline or not self.reasons:
            message = "a decision needs a headline and at least one reason"
            raise ValueError(message)
        if bool(self.changes) != (self.outcome is Outcome.ACT):
            message = "a decision has changes if, and only if, its outcome is to act"
            raise ValueError(message)


def _nothing_to_prepare(_database: Database, _policy: object) -> Iterable[str]:
    return ()


def _untold(_notice: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[FactsT, PolicyT]):
    """One of the protocol's steps.

    `gather(database, policy, as_of)` reads the facts as they stand at `as_of` (UTC); `decide(facts, policy)`
    is pure. `prepare(database, policy)` does beforehand what may take longer than a look, in short calls, and yields
    a notice for people after each; a page looks without it.
    `title` is what a person calls the step, `question` what it answers. Changes that are too many for
    one call of two seconds are carried out `batch_size` at a time, each batch one transaction.
    """

    name: str
    title: str
    question: str
    policy: PolicyT
    gather: Callable[[Database, PolicyT, datetime], FactsT]
    decide: Callable[[FactsT, PolicyT], Decision]
    prepare: Callable[[Database, PolicyT], Iterable[str]] = _nothing_to_prepare
    batch_size: int = 500

    def run(self, database: Database, as_of: datetime, tell: Callable[[str], None] = _untold) -> Decision:
        """Prepare, gather and decide; change nothing. `tell` hears how the preparation goes on."""
        for notice in self.prepare(database, self.policy):
            tell(notice)
        return self.decide(self.gather(database, self.policy, as_of), self.policy)


# Making one takes 2 ms, more than most calls of the database.
_adapters: Final[dict[type[object], TypeAdapter[Any]]] = {}


def _adapter(kind: type[FactsT]) -> TypeAdapter[FactsT]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def parse_facts(kind: type[FactsT], answer: JSON) -> FactsT:
    """Read the database's answer into a dataclass of facts; refuse an answer of another shape.

    Dates come as ISO 8601. Raises `UnexpectedAnswer` naming the first field that does not fit.
    """
    try:
        return _adapter(kind).validate_python(answer)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "(the whole)"
        raise UnexpectedAnswer(
            f"The database answered {kind.__name__} with an unusable {place}: {first['msg']}.",
            cure="Apply the migration that belongs to this program: post-audit migrate.",
        ) from error
