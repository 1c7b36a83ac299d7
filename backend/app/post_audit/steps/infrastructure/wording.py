"""Word what was judged: the reasons, the headline, the texts of Telegram. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from app.post_audit.formats import count, ist, ist_time, percent, rupees
from app.post_audit.step import Number, Reason, ReasonCode
from app.post_audit.steps.infrastructure.judge import Cost, CostAlert, State, Verdict
from app.post_audit.steps.infrastructure.policy import InfrastructurePolicy

__all__ = [
    "channel_reasons",
    "cost_reasons",
    "headline",
    "missing_reason",
    "next_step",
    "text_at_maximum",
    "text_of_cost",
    "text_of_raise",
]

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
    "infrastructure.switched_off",
    "{channel} is switched off: its quota is {quota}, and {queued} {queued:waits|wait}.",
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
_UNDO: Final = "To take it back: post-audit undo {decision}"
_NEXT: Final[Mapping[State, str]] = {
    State.AT_MAXIMUM: "Raise maximum_daily_quota if the carrier allows more; the rest waits for tomorrow.",
    State.TAKEN_BACK: "Nothing; the rule is free again after midnight.",
    State.UNKNOWN: "See whether n8n still records what it sends.",
}
"""What the reader may do, the most pressing first."""


def channel_reasons(verdict: Verdict, policy: InfrastructurePolicy) -> tuple[Reason, ...]:
    """Say of one channel what it has used and what comes of it."""
    channel = verdict.facts
    use: dict[str, Number] = {
        "channel": _name(channel.channel),
        "used": channel.used_today,
        "queued": channel.queued,
        "quota": channel.daily_quota,
    }
    if verdict.state is State.OFF:
        return (_because(SWITCHED_OFF, **use),)
    if channel.last_sent_at is None:
        return (_because(NEVER_SEEN, **use),)

    # Rounded down to whole percent, so that a share under the limit never reads as the limit.
    use["share"] = (channel.used_today + channel.queued) * 100 // channel.daily_quota / 100
    use["scale_at"] = float(policy.scale_at)
    if verdict.state is State.RAISE:
        return _raise_reasons(verdict, use, policy)
    return (_stay_reason(verdict, use, channel.last_sent_at, policy),)


def _raise_reasons(
    verdict: Verdict, use: Mapping[str, Number], policy: InfrastructurePolicy
) -> tuple[Reason, ...]:
    """Say why a channel is raised, for how long that lasts at today's pace, and what stops it from growing on."""
    new_quota = verdict.target.daily_quota
    reasons = [_because(RUNS_OUT, **use, scale_by=float(policy.scale_by))]
    if verdict.has_pace:
        ends: dict[str, Number] = {
            "runs_dry_at": _moment(verdict.runs_dry_at),
            "new_quota": new_quota,
            "new_runs_dry_at": _moment(verdict.new_runs_dry_at),
        }
        reasons.append(_because(PACE, **use, **ends))
    binding = REACHES_MAXIMUM if new_quota == verdict.maximum else QUOTA_BINDS
    reasons.append(_because(binding, **use, new_quota=new_quota, maximum=verdict.maximum))
    return tuple(reasons)


def _stay_reason(
    verdict: Verdict, use: Mapping[str, Number], last_sent_at: datetime, policy: InfrastructurePolicy
) -> Reason:
    """Say why a channel that has sent is not raised."""
    if verdict.state is State.AT_MAXIMUM:
        return _because(AT_MAXIMUM, **use, maximum=verdict.maximum)
    if verdict.hold is not None:
        undone, until_at = verdict.hold.undone.daily_quota, verdict.hold.until.isoformat()
        return _because(TAKEN_BACK, **use, undone=undone, until_at=until_at)
    if verdict.state is State.ENOUGH:
        return _because(ENOUGH, **use)
    minutes = int(policy.stale_after / timedelta(minutes=1))
    return _because(SILENT, **use, last_sent_at=last_sent_at.isoformat(), minutes=minutes)


def missing_reason(channel: str) -> Reason:
    """Say of a channel that it has no capacity to be judged by."""
    return NOT_CONFIGURED(channel=_name(channel))


def cost_reasons(cost: Cost, policy: InfrastructurePolicy) -> tuple[Reason, ...]:
    """Tell what the day costs, then whether that is over the limit; nothing where no cost was recorded."""
    if cost.spent_paise is None:
        return ()
    limit_paise = policy.cost_alert_paise
    told = _because(COST, spent_paise=cost.spent_paise, projected_paise=cost.projected_paise)
    if cost.alert is CostAlert.SPENT:
        return told, _because(COST_SPENT, spent_paise=cost.spent_paise, limit_paise=limit_paise)
    if cost.alert is CostAlert.PROJECTED:
        return told, _because(COST_PROJECTED, projected_paise=cost.projected_paise, limit_paise=limit_paise)
    return (told,)


def headline(verdicts: Sequence[Verdict], missing: Sequence[str]) -> str:
    """One sentence with a part for every channel that needs a word; enough goes without saying."""
    parts: list[str] = []
    unknown = [_name(channel) for channel in missing]
    for verdict in verdicts:
        name = _name(verdict.facts.channel)
        if verdict.state is State.RAISE:
            parts.append(f"{name} gets {count(verdict.target.daily_quota)} a day")
        elif verdict.state is State.AT_MAXIMUM:
            parts.append(f"{name} is full at its maximum")
        elif verdict.state is State.TAKEN_BACK:
            parts.append(f"{name} stays at {count(verdict.target.daily_quota)}")
        elif verdict.state is State.UNKNOWN:
            unknown.append(name)
    if unknown:
        parts.append(f"{' and '.join(sorted(unknown))} cannot be judged")
    return "; ".join(parts or ["Today's capacity is enough"]) + "."


def next_step(states: Collection[State]) -> str:
    """Say what the reader may do now; nothing where all is well."""
    return next((text for state, text in _NEXT.items() if state in states), "")


def text_of_raise(verdict: Verdict, reasons: Sequence[Reason]) -> str:
    """Tell people what was done, why, what it costs and how to take it back."""
    channel, target = verdict.facts, verdict.target
    lines = [
        f"{_name(channel.channel)} quota: {count(channel.daily_quota)} → {count(target.daily_quota)} a day.",
        f"n8n batch: {count(channel.batch_size)} → {count(target.batch_size)} messages.",
        *(reason.text for reason in reasons),
        _UNDO,
    ]
    return "\n".join(lines)


def text_at_maximum(reasons: Sequence[Reason]) -> str:
    """Tell people of a channel that is full at its maximum, and what they may do."""
    return "\n".join([*(reason.text for reason in reasons), _NEXT[State.AT_MAXIMUM]])


def text_of_cost(reasons: Sequence[Reason], verdicts: Sequence[Verdict]) -> str:
    """Tell people of a cost over the limit: that first, then what makes it up."""
    lines = [reason.text for reason in reversed(reasons)]
    lines += [
        f"{_name(v.facts.channel)}: {count(v.facts.used_today)} used, {rupees(v.spent_paise)}."
        for v in verdicts
        if v.is_seen
    ]
    return "\n".join(lines)


def _because(code: ReasonCode, **numbers: Number) -> Reason:
    """Fill a sentence with numbers as people read them, and keep the numbers as they are."""
    told = {name: _as_read(name, value) for name, value in numbers.items()}
    return Reason(code=code.code, text=code.worded(numbers).format(**told), numbers=numbers)


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


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _name(channel: str) -> str:
    return _NAMES.get(channel, channel)
