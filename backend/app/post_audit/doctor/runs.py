"""Whether it runs, and whether what it decided arrives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from app.post_audit.doctor.facts import Health, WaitingMessages
from app.post_audit.doctor.finding import Area, Finding, Level
from app.post_audit.formats import count, counted, duration, ist

__all__ = ["check_messages", "check_runs"]

# two ticks of two hours, and half an hour for a run that is late
_LATE: Final = timedelta(hours=4, minutes=30)
# longer than any receiver's bad moment of the usual length
_OLD_MESSAGE: Final = timedelta(minutes=15)
_RECEIVERS: Final = {
    "n8n_ab_update": "n8n (active message)",
    "n8n_scale": "n8n (quotas)",
    "telegram": "Telegram",
}


def check_runs(health: Health) -> Iterator[Finding]:
    """Judge the last run of all steps."""
    last = health.last_run
    if last is None:
        yield _run(Level.NOTE, "Nothing has been run yet.", "post-audit run")
        return
    begun = f"Run {count(last.id)} of {ist(last.started_at)}"
    if last.state == "running":
        silent = health.now - last.lease_expires_at
        if silent > timedelta(0):
            yield _run(
                Level.PROBLEM,
                f"{begun} waits for a worker: its owner gave no sign of life for {duration(silent.total_seconds())}.",
                "Any run goes on with it: post-audit run",
            )
        else:
            yield _run(Level.WELL, f"{begun} is going on.")
        return
    age = health.now - last.started_at
    if age > _LATE and not health.is_demonstration:
        yield _run(
            Level.PROBLEM,
            f"{begun} was the last, {duration(age.total_seconds())} ago; one is due every two hours.",
            "Let it run by itself: post-audit schedule (docs/how-to/run-continuously.md)",
        )
        return
    following = f"; the next is due {ist(health.next_tick)}" if health.next_tick is not None else ""
    yield _run(Level.WELL, f"{begun} was the last: {last.state}{following}.")


def check_messages(health: Health) -> Iterator[Finding]:
    """Judge what the receivers have not confirmed."""
    found = [finding for waiting in health.messages for finding in _messages(waiting, health)]
    if found:
        yield from found
    else:
        waiting = sum(messages.number for messages in health.messages)
        yield Finding(
            area=Area.RUNS,
            name="runs.messages",
            level=Level.WELL,
            text=f"{counted(waiting, 'message')} on the way." if waiting else "No message waits.",
            numbers={"waiting": waiting},
        )


def _messages(waiting: WaitingMessages, health: Health) -> Iterator[Finding]:
    receiver = _RECEIVERS.get(waiting.channel, waiting.channel)
    number = "1 message" if waiting.number == 1 else f"{count(waiting.number)} messages"
    why = f" {waiting.detail}" if waiting.detail else ""
    see = f"post-audit outbox list --channel {waiting.channel}"
    again = f"{see}; then, once it is mended: post-audit outbox retry NUMBER"
    age = health.now - waiting.oldest_at
    if waiting.state == "dead":
        yield _message(waiting, f"{number} to {receiver} {_were(waiting)} given up.{why}", again)
    elif waiting.state == "refused":
        yield _message(waiting, f"{number} {_were(waiting)} refused by {receiver}.{why}", again)
    elif age > _OLD_MESSAGE:
        yield _message(
            waiting,
            f"{number} to {receiver} {_waits(waiting)}, the oldest for {duration(age.total_seconds())}.{why}",
            see,
        )


def _were(waiting: WaitingMessages) -> str:
    return "was" if waiting.number == 1 else "were"


def _waits(waiting: WaitingMessages) -> str:
    return "waits" if waiting.number == 1 else "wait"


def _run(level: Level, text: str, cure: str = "") -> Finding:
    return Finding(area=Area.RUNS, name="runs.last", level=level, text=text, cure=cure)


def _message(waiting: WaitingMessages, text: str, cure: str) -> Finding:
    return Finding(
        area=Area.RUNS,
        name=f"runs.messages.{waiting.channel}.{waiting.state}",
        level=Level.PROBLEM,
        text=text,
        cure=cure,
        numbers={"messages": waiting.number},
    )
