"""Whether it runs and whether messages arrive."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.post_audit.doctor.facts import WaitingMessages
from app.post_audit.doctor.finding import Level
from app.post_audit.doctor.runs import check_messages, check_runs
from tests.unit.doctor.examples import NOW, health


def run(**fields: Any) -> Any:  # noqa: ANN401 - any field of a run
    last = health().last_run
    assert last is not None
    return replace(last, **fields)


@pytest.mark.parametrize(
    ("facts", "level", "says"),
    [
        (
            health(),
            Level.WELL,
            "Run 41 of 12 Nov, 11:00 IST was the last: completed; the next is due 12 Nov, 13:00 IST.",
        ),
        (health(next_tick=None), Level.WELL, "was the last: completed."),
        (health(last_run=None), Level.NOTE, "Nothing has been run yet."),
        (
            health(last_run=run(started_at=NOW - timedelta(hours=26))),
            Level.PROBLEM,
            "was the last, 1 d 2 h ago; one is due every two hours.",
        ),
        (
            health(last_run=run(started_at=NOW - timedelta(days=400)), marketplace="demonstration"),
            Level.WELL,
            "was the last: completed",
        ),
        (
            health(last_run=run(state="running", lease_expires_at=NOW + timedelta(seconds=20))),
            Level.WELL,
            "is going on.",
        ),
        (
            health(last_run=run(state="running", lease_expires_at=NOW - timedelta(minutes=2))),
            Level.PROBLEM,
            "waits for a worker: its owner gave no sign of life for 2 min.",
        ),
    ],
)
def test_the_last_run_is_judged(facts: Any, level: Level, says: str) -> None:  # noqa: ANN401
    (found,) = check_runs(facts)
    assert (found.level, says in found.text.replace("\u00a0", " ")) == (level, True), found.text
    assert bool(found.cure) == (level is not Level.WELL)


def messages(state: Any, number: int, minutes: int) -> WaitingMessages:  # noqa: ANN401
    oldest_at = NOW - timedelta(minutes=minutes)
    return WaitingMessages(
        channel="n8n_scale", state=state, number=number, oldest_at=oldest_at, detail="Nobody answers."
    )


@pytest.mark.parametrize(
    ("waiting", "says"),
    [
        (messages("dead", 2, 2_000), "2 messages to n8n (quotas) were given up. Nobody answers."),
        (messages("refused", 1, 1), "1 message was refused by n8n (quotas). Nobody answers."),
        (
            messages("pending", 2, 90),
            "2 messages to n8n (quotas) wait, the oldest for 1 h 30 min. Nobody answers.",
        ),
    ],
)
def test_what_did_not_arrive_is_named(waiting: WaitingMessages, says: str) -> None:
    (found,) = check_messages(health(messages=(waiting,)))
    assert (found.level, found.text.replace("\u00a0", " ")) == (Level.PROBLEM, says)
    assert found.cure.startswith("post-audit outbox list --channel n8n_scale")


def test_what_is_on_its_way_is_well() -> None:
    (found,) = check_messages(health(messages=(messages("pending", 3, 5), messages("sent", 1, 5))))
    assert (found.level, found.text) == (Level.WELL, "4 messages on the way.")
    (none,) = check_messages(health())
    assert none.text == "No message waits."
