"""Judge each channel by itself, then say together what came of it.

A channel's need is what it has used today and what waits. From 80 % of its quota on the quota grows by half,
up to its maximum, and the n8n batch with it. Judged together, an uneven split would hide that one of the two
is full: the joint rule lost 25 % of all SMS in the backtest.

Use is only ever known to be at least what was recorded. So a recorded use of 80 % is evidence enough to
raise, whatever else is missing; less is "enough" only while records come in, and unknown otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
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
    "{channel}: {used} used and {queued} waiting are {share} of {quota}; "
    "from {scale_at} on it grows by {scale_by}.",
)
PACE: Final = ReasonCode(
    "infrastructure.pace",
    "{channel}: at today's pace {quota} last until {runs_dry_at}, {new_quota} until {new_runs_dry_at}.",
)
QUOTA_BINDS: Final = ReasonCode(
    "infrastructure.quota_binds", "{channel}: what binds is the quota; its maximum is {maximum} a day."
)
REACHES_MAXIMUM: Final = ReasonCode(
    "infrastructure.reaches_maximum",
    "{channel}: what binds is the maximum of {maximum} a day; it cannot grow again.",
)
AT_MAXIMUM: Final = ReasonCode(
    "infrastructure.at_maximum",
    "{channel}: {used} used and {queued} waiting are {share} of {quota}, and {maximum} a day is the maximum.",
)
TAKEN_BACK: Final = ReasonCode(
    "infrastructure.taken_back",
    "{channel}: {used} used and {queued} waiting are {share} of {quota}, but a raise to {undone} was taken "
    "back or declined; that holds until {until_at} unless more than {undone} are needed.",
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
    "infrastructure.cost_projected",
    "With the higher quota {projected_paise} is over the alert at {limit_paise}.",
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


_OUTCOMES: Final[Mapping[_State, Outcome]] = {
    _State.RAISE: Outcome.ACT,
    _State.AT_MAXIMUM: Outcome.BLOCKED,
    _State.TAKEN_BACK: Outcome.BLOCKED,
    _State.UNKNOWN: Outcome.UNKNOWN,
}
"""What a state of one channel makes of the whole decision, the strongest first."""

_NEXT: Final[Mapping[_State, str]] = {
    _State.RAISE: "To take it back: post-audit undo {decision}",
    _State.AT_MAXIMUM: "Raise maximum_daily_quota if the carrier allows more; the rest waits for tomorrow.",
    _State.TAKEN_BACK: "Nothing; the rule is free again after midnight.",
    _State.UNKNOWN: "See whether n8n still records what it sends.",
}
"""What the reader may do, the most pressing first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What one channel came to; `target` is its capacity after this decision, the present one if it stays."""

    facts: ChannelFacts
    state: _State
    reasons: tuple[Reason, ...]
    target: Capacity

    @property
    def is_seen(self) -> bool:
        return self.facts.last_sent_at is not None

    @property
    def spent_paise(self) -> int:
        return _paise(self.facts.used_today, self.facts)

    @property
    def projected_paise(self) -> int:
        return _paise(max(self.facts.used_today, self.target.daily_quota), self.facts)


def decide(facts: InfrastructureFacts, policy: InfrastructurePolicy) -> Decision:
    """Decide on every channel; one that cannot be judged stops none that can."""
    verdicts = [_judge(channel, facts, policy) for channel in facts.channels]
    missing = [channel for channel in policy.channels if all(v.facts.channel != channel for v in verdicts)]
    raised = [verdict for verdict in verdicts if verdict.state is _State.RAISE]
    states = {verdict.state for verdict in verdicts} | ({_State.UNKNOWN} if missing else set())
    return Decision(
        outcome=next((outcome for state, outcome in _OUTCOMES.items() if state in states), Outcome.NOTHING),
        headline=_headline(verdicts, missing),
        reasons=(
            *(reason for verdict in verdicts for reason in verdict.reasons),
            *(NOT_CONFIGURED(channel=_name(channel)) for channel in missing),
            *_cost_reasons(verdicts, policy),
        ),
        numbers=_numbers(verdicts, missing, facts, policy),
        changes=tuple(_change(verdict) for verdict in raised),
        messages=(
            *(
                message
                for verdict in raised
                for message in _messages_of_raise(verdict, verdicts, facts, policy)
            ),
            *_alerts(verdicts, facts, policy),
        ),
        undo_messages=tuple(_n8n_message(v.facts.channel, _present(v.facts), facts) for v in raised),
        next=next(
            (text for state, text in _NEXT.items() if state in states and state is not _State.RAISE), ""
        ),
        # the hold ends with the IST day at the latest: a new day is a new need
        hold_days=1,
        independent=True,
    )


def _judge(channel: ChannelFacts, facts: InfrastructureFacts, policy: InfrastructurePolicy) -> _Verdict:
    """Judge one channel, on what is certain about its use."""
    quota = channel.daily_quota
    use: dict[str, Number] = {
        "channel": _name(channel.channel),
        "used": channel.used_today,
        "queued": channel.queued,
        "quota": quota,
    }
    if quota == 0:
        return _stays(channel, _State.OFF, _because(SWITCHED_OFF, **use))
    if channel.last_sent_at is None:
        return _stays(channel, _State.UNKNOWN, _because(NEVER_SEEN, **use))

    # Rounded down to whole percent, so that a share under the limit never reads as the limit.
    use["share"] = (channel.used_today + channel.queued) * 100 // quota / 100
    use["scale_at"] = float(policy.scale_at)
    # What waits counts only while records come in: else it may have been sent already, or never will be.
    is_observed = _silence(channel.last_sent_at, facts, policy) <= policy.stale_after
    need = channel.used_today + (channel.queued if is_observed else 0)
    if need >= policy.scale_at * quota:
        return _judge_full(channel, need, use, facts, policy)
    if is_observed:
        return _stays(channel, _State.ENOUGH, _because(ENOUGH, **use))
    minutes = int(policy.stale_after / timedelta(minutes=1))
    last_sent_at = channel.last_sent_at.isoformat()
    return _stays(
        channel, _State.UNKNOWN, _because(SILENT, **use, last_sent_at=last_sent_at, minutes=minutes)
    )


def _judge_full(
    channel: ChannelFacts,
    need: int,
    use: Mapping[str, Number],
    facts: InfrastructureFacts,
    policy: InfrastructurePolicy,
) -> _Verdict:
    """Raise a channel that needs it, unless it is at its maximum or a person has said no today."""
    quota = channel.daily_quota
    maximum = min(channel.maximum_daily_quota, policy.maximum_daily_quota)
    if quota >= maximum:
        return _stays(channel, _State.AT_MAXIMUM, _because(AT_MAXIMUM, **use, maximum=maximum))
    hold = channel.hold
    if hold is not None and hold.until > facts.as_of and quota < hold.undone.daily_quota >= need:
        ends: Mapping[str, Number] = {"undone": hold.undone.daily_quota, "until_at": hold.until.isoformat()}
        return _stays(channel, _State.TAKEN_BACK, _because(TAKEN_BACK, **use, **ends))

    target = _raised(channel, maximum, policy)
    reasons = [_because(RUNS_OUT, **use, scale_by=float(policy.scale_by))]
    if _has_pace(channel, facts, policy):
        ends = {
            "runs_dry_at": _moment(_runs_dry_at(channel, quota, facts, policy)),
            "new_quota": target.daily_quota,
            "new_runs_dry_at": _moment(_runs_dry_at(channel, target.daily_quota, facts, policy)),
        }
        reasons.append(_because(PACE, **use, **ends))
    binding = REACHES_MAXIMUM if target.daily_quota == maximum else QUOTA_BINDS
    reasons.append(_because(binding, **use, new_quota=target.daily_quota, maximum=maximum))
    return _Verdict(facts=channel, state=_State.RAISE, reasons=tuple(reasons), target=target)


def _stays(channel: ChannelFacts, state: _State, reason: Reason) -> _Verdict:
    return _Verdict(facts=channel, state=state, reasons=(reason,), target=_present(channel))


def _silence(since: datetime, facts: InfrastructureFacts, policy: InfrastructurePolicy) -> timedelta:
    """Measure how long it has been silent, in sending hours only.

    Exact up to `stale_after`, and above it for sure where it is longer.
    So a quiet night is no silence, and a channel that fell silent in the afternoon still is at midnight.
    Former days are taken to have 24 hours, as India's have.
    """
    silence = timedelta(0)
    midnight = facts.day_started_at
    while silence <= policy.stale_after and midnight + policy.sending_until > since:
        begins = max(since, midnight + policy.sending_from)
        ends = min(facts.as_of, midnight + policy.sending_until)
        silence += max(timedelta(0), ends - begins)
        midnight -= timedelta(days=1)
    return silence


def _raised(channel: ChannelFacts, maximum: int, policy: InfrastructurePolicy) -> Capacity:
    """Grow the quota by one step and the batch in the same proportion, each up to its maximum, never down."""
    daily_quota = min(maximum, _round_up(channel.daily_quota * (1 + Fraction(policy.scale_by))))
    batch_size = _round_up(channel.batch_size * Fraction(daily_quota, channel.daily_quota))
    maximum_batch_size = min(channel.maximum_batch_size, policy.maximum_batch_size)
    return Capacity(
        daily_quota=daily_quota, batch_size=max(channel.batch_size, min(batch_size, maximum_batch_size))
    )


def _round_up(number: Fraction) -> int:
    """Round up to three digits that people can say: 1,688 becomes 1,690."""
    whole = math.ceil(number)
    step = int(10 ** max(0, len(str(whole)) - _SIGNIFICANT_DIGITS))
    return math.ceil(Fraction(whole, step)) * step


def _has_pace(channel: ChannelFacts, facts: InfrastructureFacts, policy: InfrastructurePolicy) -> bool:
    """Say whether sending has gone on for long enough today to read a pace from it."""
    return (
        channel.used_today > 0
        and channel.first_sent_at is not None
        and facts.as_of - channel.first_sent_at >= policy.pace_after
    )


def _runs_dry_at(
    channel: ChannelFacts, quota: int, facts: InfrastructureFacts, policy: InfrastructurePolicy
) -> datetime | None:
    """When a quota is used up at the pace since the day's first message; None if not today or not known."""
    remaining = quota - channel.used_today
    if remaining <= 0:
        return facts.as_of
    if channel.used_today == 0 or channel.first_sent_at is None or not _has_pace(channel, facts, policy):
        return None
    elapsed = (facts.as_of - channel.first_sent_at).total_seconds()
    seconds = round(elapsed * remaining / channel.used_today)
    if seconds >= (facts.day_ends_at - facts.as_of).total_seconds():
        return None
    return facts.as_of + timedelta(seconds=seconds)


def _change(verdict: _Verdict) -> Change:
    return Change(
        subject=_subject(verdict.facts.channel),
        before=asdict(_present(verdict.facts)),
        after=asdict(verdict.target),
    )


def _messages_of_raise(
    verdict: _Verdict, verdicts: Sequence[_Verdict], facts: InfrastructureFacts, policy: InfrastructurePolicy
) -> tuple[Message, Message]:
    """Tell n8n what holds from now on, and people what was done, what it costs and how to take it back."""
    channel, target = verdict.facts, verdict.target
    lines = [
        f"{_name(channel.channel)} quota: {count(channel.daily_quota)} → {count(target.daily_quota)} a day.",
        f"n8n batch: {count(channel.batch_size)} → {count(target.batch_size)} messages.",
        *(reason.text for reason in (*verdict.reasons, *_cost_reasons(verdicts, policy))),
        _NEXT[_State.RAISE],
    ]
    return _n8n_message(channel.channel, target, facts), _telegram(_subject(channel.channel), lines)


def _alerts(
    verdicts: Sequence[_Verdict], facts: InfrastructureFacts, policy: InfrastructurePolicy
) -> tuple[Message, ...]:
    """Tell people, once a day each, of a channel full at its maximum and of a cost over the limit."""
    alerts = [
        _telegram(
            f"{_subject(verdict.facts.channel)}:maximum",
            [*(reason.text for reason in verdict.reasons), _NEXT[_State.AT_MAXIMUM]],
            alert=True,
        )
        for verdict in verdicts
        if verdict.state is _State.AT_MAXIMUM
    ]
    costs = _cost_reasons(verdicts, policy)
    over = next((reason for reason in costs if reason.code in {COST_SPENT.code, COST_PROJECTED.code}), None)
    if over is not None:
        lines = [over.text, *(reason.text for reason in costs if reason is not over)]
        lines += [
            f"{_name(v.facts.channel)}: {count(v.facts.used_today)} used, {rupees(v.spent_paise)}."
            for v in verdicts
            if v.is_seen
        ]
        topic = "spent" if over.code == COST_SPENT.code else "projected"
        alerts.append(_telegram(f"capacity:cost:{topic}", lines, alert=True))
    return tuple(alert for alert in alerts if alert.subject not in facts.alerted)


def _cost_reasons(verdicts: Sequence[_Verdict], policy: InfrastructurePolicy) -> tuple[Reason, ...]:
    """Tell what the day costs, and whether that is over the limit.

    What all quotas together would cost is told, but is no alarm by itself: with a WhatsApp message at Rs 0.86
    it is over the default limit on every single day. It becomes one when a raise leads there.
    """
    spent_paise = _spent_paise(verdicts)
    if spent_paise is None:
        return ()
    projected_paise = sum(verdict.projected_paise for verdict in verdicts)
    cost = _because(COST, spent_paise=spent_paise, projected_paise=projected_paise)
    limit_paise = policy.cost_alert_paise
    if spent_paise > limit_paise:
        return cost, _because(COST_SPENT, spent_paise=spent_paise, limit_paise=limit_paise)
    if projected_paise > limit_paise and any(verdict.state is _State.RAISE for verdict in verdicts):
        return cost, _because(COST_PROJECTED, projected_paise=projected_paise, limit_paise=limit_paise)
    return (cost,)


def _spent_paise(verdicts: Sequence[_Verdict]) -> int | None:
    """Add up what was recorded; None where nothing ever was."""
    seen = [verdict.spent_paise for verdict in verdicts if verdict.is_seen]
    return sum(seen) if seen else None


def _headline(verdicts: Sequence[_Verdict], missing: Sequence[str]) -> str:
    """One sentence with a part for every channel that needs a word; enough goes without saying."""
    parts: list[str] = []
    unknown = [_name(channel) for channel in missing]
    for verdict in verdicts:
        name = _name(verdict.facts.channel)
        if verdict.state is _State.RAISE:
            parts.append(f"{name} gets {count(verdict.target.daily_quota)} a day")
        elif verdict.state is _State.AT_MAXIMUM:
            parts.append(f"{name} is full at its maximum")
        elif verdict.state is _State.TAKEN_BACK:
            parts.append(f"{name} stays at {count(verdict.target.daily_quota)}")
        elif verdict.state is _State.UNKNOWN:
            unknown.append(name)
    if unknown:
        parts.append(f"{' and '.join(sorted(unknown))} cannot be judged")
    return "; ".join(parts or ["Today's capacity is enough"]) + "."


def _numbers(
    verdicts: Sequence[_Verdict],
    missing: Sequence[str],
    facts: InfrastructureFacts,
    policy: InfrastructurePolicy,
) -> Mapping[str, JSON]:
    return {
        "day": facts.day.isoformat(),
        "day_ends_at": facts.day_ends_at.isoformat(),
        "scale_at": float(policy.scale_at),
        "spent_paise": _spent_paise(verdicts),
        "projected_paise": sum(v.projected_paise for v in verdicts),
        "cost_alert_paise": policy.cost_alert_paise,
        "not_configured": list(missing),
        "channels": {verdict.facts.channel: _channel_numbers(verdict, facts, policy) for verdict in verdicts},
    }


def _channel_numbers(
    verdict: _Verdict, facts: InfrastructureFacts, policy: InfrastructurePolicy
) -> Mapping[str, JSON]:
    """List a channel's numbers; what was never recorded is null, what is unknown is at least what it says."""
    channel, target, is_seen = verdict.facts, verdict.target, verdict.is_seen
    quota = channel.daily_quota
    return {
        "state": verdict.state.value,
        "used": channel.used_today if is_seen else None,
        "queued": channel.queued,
        "quota": quota,
        "new_quota": target.daily_quota,
        "maximum": min(channel.maximum_daily_quota, policy.maximum_daily_quota),
        "batch_size": channel.batch_size,
        "new_batch_size": target.batch_size,
        "share": round(channel.used_today / quota, 4) if is_seen and quota else None,
        "rate_millipaise": channel.rate_millipaise,
        "spent_paise": verdict.spent_paise if is_seen else None,
        "projected_paise": verdict.projected_paise,
        "runs_dry_at": _moment(_runs_dry_at(channel, quota, facts, policy)) if is_seen else None,
        "new_runs_dry_at": _moment(_runs_dry_at(channel, target.daily_quota, facts, policy))
        if is_seen
        else None,
        "last_sent_at": _moment(channel.last_sent_at),
        "former_days": [
            {"day": day.day.isoformat(), "used": day.used, "used_by_this_time": day.used_by_this_time}
            for day in channel.former_days
        ],
    }


def _n8n_message(channel: str, capacity: Capacity, facts: InfrastructureFacts) -> Message:
    """Absolute values that hold from `day` on, until a message of a higher version says otherwise."""
    return Message(
        channel=Channel.N8N_SCALE,
        subject=_subject(channel),
        payload={"channel": channel, **asdict(capacity), "day": facts.day.isoformat()},
    )


def _telegram(subject: str, lines: Iterable[str], *, alert: bool = False) -> Message:
    return Message(channel=Channel.TELEGRAM, subject=subject, payload={"text": "\n".join(lines)}, alert=alert)


def _because(code: ReasonCode, **numbers: Number) -> Reason:
    """Fill a sentence with numbers as people read them, and keep the numbers as they are."""
    told = {name: _as_read(name, value) for name, value in numbers.items()}
    return Reason(code=code.code, text=code.sentence.format(**told), numbers=numbers)


def _as_read(name: str, value: Number) -> str:
    """Write a number by what its name and type say that it is."""
    if name.endswith("runs_dry_at"):
        return ist_time(datetime.fromisoformat(str(value))) if value else "midnight"
    if name.endswith("_at") and isinstance(value, str):
        return ist(datetime.fromisoformat(value))
    if isinstance(value, float):
        return percent(value)
    if isinstance(value, int):
        return rupees(value) if name.endswith("_paise") else count(value)
    return str(value)


def _present(channel: ChannelFacts) -> Capacity:
    return Capacity(daily_quota=channel.daily_quota, batch_size=channel.batch_size)


def _paise(units: int, channel: ChannelFacts) -> int:
    return round(Fraction(units * channel.rate_millipaise, 1000))


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _subject(channel: str) -> str:
    return f"capacity:{channel}"


def _name(channel: str) -> str:
    return _NAMES.get(channel, channel)
