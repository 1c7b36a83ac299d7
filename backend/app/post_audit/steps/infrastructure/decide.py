"""Judge each channel by itself, then say together what came of it.

A channel's need is what it has used today and what waits. From 80 % of its quota on the quota grows by half, up
to its maximum, and the n8n batch with it. Judged together, an uneven split would hide that one of the two is full:
the joint rule lost 25 % of all SMS in the backtest.

Use is only ever known to be at least what was recorded. So a recorded use of 80 % is evidence enough to raise,
whatever else is missing; less than that is "enough" only while records still come in, and unknown otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from app.post_audit.formats import count, ist, ist_time, percent, rupees
from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Number, Outcome, Reason, ReasonCode
from app.post_audit.steps.infrastructure.facts import Capacity, ChannelFacts, InfrastructureFacts
from app.post_audit.steps.infrastructure.policy import InfrastructurePolicy

__all__ = ["decide"]

RUNS_OUT: Final = ReasonCode(
    "infrastructure.runs_out",
    "{channel}: {used} used and {queued} waiting are {share} of {quota}; from {scale_at} on it grows by {scale_by}.",
)
RUNS_DRY: Final = ReasonCode(
    "infrastructure.runs_dry", "{channel}: at today's pace {quota} last until {runs_dry_at}."
)
REACHES_MAXIMUM: Final = ReasonCode(
    "infrastructure.reaches_maximum", "{channel}: {maximum} a day is the maximum; it cannot grow again."
)
AT_MAXIMUM: Final = ReasonCode(
    "infrastructure.at_maximum",
    "{channel}: {used} used and {queued} waiting are {share} of {quota}, and {maximum} a day is the maximum.",
)
TAKEN_BACK: Final = ReasonCode(
    "infrastructure.taken_back",
    "{channel}: {used} used and {queued} waiting are {share} of {quota}, but a raise to {undone} was taken back or "
    "declined; that holds until {until_at} unless more than {undone} are needed.",
)
ENOUGH: Final = ReasonCode(
    "infrastructure.enough",
    "{channel}: {used} used and {queued} waiting are {share} of {quota}, under {scale_at}.",
)
SWITCHED_OFF: Final = ReasonCode(
    "infrastructure.switched_off", "{channel} is switched off: its quota is {quota}, and {queued} wait."
)
NEVER_SEEN: Final = ReasonCode(
    "infrastructure.never_seen", "{channel}: no sent message was ever recorded. That is unknown, not zero."
)
SILENT: Final = ReasonCode(
    "infrastructure.silent",
    "{channel}: nothing was recorded since {last_sent_at}, over {minutes} minutes of sending hours ago; "
    "whether {used} of {quota} is all that was used cannot be told.",
)
NOT_CONFIGURED: Final = ReasonCode("infrastructure.not_configured", "{channel}: no capacity is configured.")
COST: Final = ReasonCode(
    "infrastructure.cost",
    "Today has cost {spent_paise} so far, and costs {projected_paise} if every quota is used up.",
)
COST_SPENT: Final = ReasonCode(
    "infrastructure.cost_spent", "{spent_paise} spent today is over the alert at {limit_paise}."
)
COST_PROJECTED: Final = ReasonCode(
    "infrastructure.cost_projected", "With the higher quota {projected_paise} is over the alert at {limit_paise}."
)

_NAMES: Final[Mapping[str, str]] = {"sms": "SMS", "whatsapp": "WhatsApp"}
_SIGNIFICANT_DIGITS: Final = 3


class _State(StrEnum):
    RAISE = "raise"
    AT_MAXIMUM = "at_maximum"
    TAKEN_BACK = "taken_back"
    UNKNOWN = "unknown"
    ENOUGH = "enough"
    OFF = "off"


_NEXT: Final[Mapping[_State, str]] = {
    _State.RAISE: "To take it back: post-audit undo with this decision's number.",
    _State.AT_MAXIMUM: "Where the carrier allows more, raise maximum_daily_quota; else let the rest wait for tomorrow.",
    _State.TAKEN_BACK: "Nothing; the rule is free again after midnight.",
    _State.UNKNOWN: "See whether n8n still records what it sends.",
}
"""What the reader may do, the most pressing first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What one channel came to. `facts` is None where it has no capacity, `target` where it stays as it is."""

    channel: str
    state: _State
    reasons: tuple[Reason, ...]
    facts: ChannelFacts | None = None
    target: Capacity | None = None

    @property
    def name(self) -> str:
        return _NAMES.get(self.channel, self.channel)


def decide(facts: InfrastructureFacts, policy: InfrastructurePolicy) -> Decision:
    """Decide on every channel; one that cannot be judged stops none that can."""
    configured = {channel.channel for channel in facts.channels}
    verdicts = [_judge(channel, facts, policy) for channel in facts.channels]
    verdicts += [_not_configured(channel) for channel in policy.channels if channel not in configured]

    costs = _Costs.of(verdicts)
    raised = [verdict for verdict in verdicts if verdict.target]
    reasons = tuple(reason for verdict in verdicts for reason in verdict.reasons)
    return Decision(
        outcome=_outcome(verdicts),
        headline=_headline(verdicts),
        reasons=reasons + _cost_reasons(costs, policy, is_raise=bool(raised)),
        numbers=_numbers(verdicts, costs, facts, policy),
        changes=tuple(_change(verdict.facts, verdict.target) for verdict in raised if verdict.facts and verdict.target),
        messages=_messages(verdicts, costs, facts, policy),
        undo_messages=tuple(
            _n8n_message(verdict.facts.channel, _capacity(verdict.facts), facts) for verdict in raised if verdict.facts
        ),
        next=next((text for state, text in _NEXT.items() if any(v.state is state for v in verdicts)), ""),
        independent=True,
    )
