"""From what each channel was judged to be to one decision: what is raised, who is told, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from app.post_audit.ports import JSON
from app.post_audit.step import Change, Channel, Decision, Message, Outcome, Reason
from app.post_audit.steps.infrastructure.facts import Capacity, InfrastructureFacts
from app.post_audit.steps.infrastructure.judge import Cost, State, Verdict, judge, judge_cost
from app.post_audit.steps.infrastructure.policy import InfrastructurePolicy
from app.post_audit.steps.infrastructure.wording import (
    channel_reasons,
    cost_reasons,
    headline,
    missing_reason,
    next_step,
    text_at_maximum,
    text_of_cost,
    text_of_raise,
)

__all__ = ["decide"]

_OUTCOMES: Final[Mapping[State, Outcome]] = {
    State.RAISE: Outcome.ACT,
    State.AT_MAXIMUM: Outcome.BLOCKED,
    State.TAKEN_BACK: Outcome.BLOCKED,
    State.UNKNOWN: Outcome.UNKNOWN,
}
"""What a state of one channel makes of the whole decision, the strongest first."""


def decide(facts: InfrastructureFacts, policy: InfrastructurePolicy) -> Decision:
    """Decide on every channel; one that cannot be judged stops none that can."""
    verdicts = [judge(channel, facts, policy) for channel in facts.channels]
    missing = [channel for channel in policy.channels if all(v.facts.channel != channel for v in verdicts)]
    states = {verdict.state for verdict in verdicts} | ({State.UNKNOWN} if missing else set())
    raised = [verdict for verdict in verdicts if verdict.state is State.RAISE]
    cost = judge_cost(verdicts, policy)
    costs = cost_reasons(cost, policy)
    return Decision(
        outcome=next((outcome for state, outcome in _OUTCOMES.items() if state in states), Outcome.NOTHING),
        headline=headline(verdicts, missing),
        reasons=(
            *(reason for verdict in verdicts for reason in channel_reasons(verdict, policy)),
            *(missing_reason(channel) for channel in missing),
            *costs,
        ),
        numbers=_numbers(verdicts, missing, cost, facts, policy),
        changes=tuple(_change(verdict) for verdict in raised),
        messages=(
            *(
                message
                for verdict in raised
                for message in _messages_of_raise(verdict, (*channel_reasons(verdict, policy), *costs), facts)
            ),
            *_alerts(verdicts, cost, facts, policy),
        ),
        undo_messages=tuple(_n8n_message(v.facts.channel, v.present, facts) for v in raised),
        next=next_step(states),
        # the hold ends with the IST day at the latest: a new day is a new need
        hold_days=1,
        independent=True,
    )


def _change(verdict: Verdict) -> Change:
    return Change(
        subject=_subject(verdict.facts.channel),
        before=asdict(verdict.present),
        after=asdict(verdict.target),
    )


def _messages_of_raise(
    verdict: Verdict, reasons: Sequence[Reason], facts: InfrastructureFacts
) -> tuple[Message, Message]:
    """Tell n8n what holds from now on, and people what was done, what it costs and how to take it back."""
    channel = verdict.facts.channel
    return (
        _n8n_message(channel, verdict.target, facts),
        _telegram(_subject(channel), text_of_raise(verdict, reasons)),
    )


def _alerts(
    verdicts: Sequence[Verdict], cost: Cost, facts: InfrastructureFacts, policy: InfrastructurePolicy
) -> tuple[Message, ...]:
    """Tell people, once a day each, of a channel full at its maximum and of a cost over the limit."""
    alerts = [
        _telegram(
            f"{_subject(verdict.facts.channel)}:maximum",
            text_at_maximum(channel_reasons(verdict, policy)),
            alert=True,
        )
        for verdict in verdicts
        if verdict.state is State.AT_MAXIMUM
    ]
    if cost.alert is not None:
        text = text_of_cost(cost_reasons(cost, policy), verdicts)
        alerts.append(_telegram(f"capacity:cost:{cost.alert.value}", text, alert=True))
    return tuple(alert for alert in alerts if alert.subject not in facts.alerted)


def _numbers(
    verdicts: Sequence[Verdict],
    missing: Sequence[str],
    cost: Cost,
    facts: InfrastructureFacts,
    policy: InfrastructurePolicy,
) -> Mapping[str, JSON]:
    return {
        "day": facts.day.isoformat(),
        "day_ends_at": facts.day_ends_at.isoformat(),
        "scale_at": float(policy.scale_at),
        "spent_paise": cost.spent_paise,
        "projected_paise": cost.projected_paise,
        "cost_alert_paise": policy.cost_alert_paise,
        "not_configured": list(missing),
        "channels": {verdict.facts.channel: _channel_numbers(verdict) for verdict in verdicts},
    }


def _channel_numbers(verdict: Verdict) -> Mapping[str, JSON]:
    """List a channel's numbers; what was never recorded is null, what is unknown is at least what it says."""
    channel, target, is_seen = verdict.facts, verdict.target, verdict.is_seen
    quota = channel.daily_quota
    return {
        "state": verdict.state.value,
        "used": channel.used_today if is_seen else None,
        "queued": channel.queued,
        "quota": quota,
        "new_quota": target.daily_quota,
        "maximum": verdict.maximum,
        "batch_size": channel.batch_size,
        "new_batch_size": target.batch_size,
        "share": round(channel.used_today / quota, 4) if is_seen and quota else None,
        "rate_millipaise": channel.rate_millipaise,
        "spent_paise": verdict.spent_paise if is_seen else None,
        "projected_paise": verdict.projected_paise,
        "runs_dry_at": _moment(verdict.runs_dry_at),
        "new_runs_dry_at": _moment(verdict.new_runs_dry_at),
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


def _telegram(subject: str, text: str, *, alert: bool = False) -> Message:
    return Message(channel=Channel.TELEGRAM, subject=subject, payload={"text": text}, alert=alert)


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _subject(channel: str) -> str:
    return f"capacity:{channel}"
