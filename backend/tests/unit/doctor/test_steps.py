"""Why nothing is switched, scaled or cleaned: what each step decided, in a sentence with its number and its cure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import pytest

from app.post_audit.doctor.facts import LastLook, StepState, Waiting
from app.post_audit.doctor.finding import Finding, Level
from app.post_audit.doctor.steps import check_steps
from app.post_audit.steps import conversions, fake_data, infrastructure
from app.post_audit.steps.conversions.facts import Hold
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from app.post_audit.steps.fake_data.policy import FakeDataPolicy
from tests.unit.doctor.examples import decided, health, state
from tests.unit.steps.conversions.examples import AS_OF, experiment_of, facts_of
from tests.unit.steps.fake_data.test_decide import facts as supplier_facts
from tests.unit.steps.infrastructure.examples import POLICY, at, channel
from tests.unit.steps.infrastructure.examples import facts as capacity_facts


def finding(step: StepState, name: str | None = None) -> Finding:
    """The finding about a step, or another that comes of it."""
    wanted = f"steps.{name or step.step}"
    (one,) = (found for found in check_steps(health(step)) if found.name == wanted)
    return replace(one, text=one.text.replace("\u00a0", " "))


def ab_test(totals: dict[str, tuple[int, int]], *, holds: tuple[Hold, ...] = (), **fields: Any) -> StepState:  # noqa: ANN401
    decision = conversions.STEP.decide(
        facts_of(experiment_of(totals, **fields), holds=holds), ConversionsPolicy()
    )
    return state("conversions", decided(decision))


def capacity(*channels: Any) -> StepState:  # noqa: ANN401
    return state("infrastructure", decided(infrastructure.STEP.decide(capacity_facts(*channels), POLICY)))


def suppliers(**fields: Any) -> StepState:  # noqa: ANN401
    return state("fake_data", decided(fake_data.STEP.decide(supplier_facts(**fields), FakeDataPolicy())))


CLEAR: Final = {"variant_a": (6_000, 240), "variant_b": (6_000, 420)}
EVEN: Final = {"variant_a": (5_000, 200), "variant_b": (5_000, 205)}
HELD: Final = Hold(
    subject="experiment:1",
    undone={"winner": "variant_b", "active_variant": "variant_b"},
    until=AS_OF + timedelta(days=3),
    decision_id=4,
)


@pytest.mark.parametrize(
    ("step", "level", "says", "cure"),
    [
        (
            ab_test({"variant_a": (300, 12), "variant_b": (40, 2)}, immature={"variant_b": 9}),
            Level.WELL,
            "A/B test: Invite message: 50 Inquiries Focus has 40 of the 100 suppliers it needs whose 72 h to claim",
            "Nothing; once the evidence is enough, the winner becomes active by itself.",
        ),
        (
            ab_test(EVEN),
            Level.WELL,
            (
                "A/B test: Invite message: 50 Inquiries Focus brings 4.10 % (205 of 5,000), Rs 5,000 Credit Airdrop"
                " 4.00 % (200 of 5,000). That is no evidence either way yet; the rule asks for 1 time in 20."
            ),
            "Nothing; once the evidence is enough",
        ),
        (
            ab_test(CLEAR, holds=(HELD,)),
            Level.NOTE,
            "A/B test: Invite message: the switch to 50 Inquiries Focus was taken back or declined and rests until",
            "Nothing; it is judged anew when the rest ends",
        ),
        (
            ab_test(CLEAR, last_invite_at=AS_OF - timedelta(days=4)),
            Level.PROBLEM,
            "A/B test: Invite message: nobody new was invited since",
            "Look at how suppliers are shared",
        ),
        (
            ab_test({"variant_a": (0, 0), "variant_b": (0, 0)}, last_invite_at=None),
            Level.PROBLEM,
            "A/B test: Invite message: nobody was invited up to",
            "Check that invites are recorded",
        ),
        (
            ab_test(CLEAR),
            Level.WELL,
            "A/B test: 50 Inquiries Focus becomes the active message. (decision 7, 12 Nov, 12:00 IST)",
            "",
        ),
        (
            capacity(channel(used_today=15_999), channel("whatsapp")),
            Level.WELL,
            "Capacity: SMS: 15,999 used and 0 waiting are 79 % of 20,000, under 80 %.",
            "",
        ),
        (
            capacity(channel("whatsapp", last_sent_at=None, first_sent_at=None, used_today=0)),
            Level.PROBLEM,
            "Capacity: WhatsApp: no sent message was ever recorded. That is unknown, not zero.",
            "See whether n8n still records what it sends.",
        ),
        (
            capacity(channel(last_sent_at=at(11), used_today=900)),
            Level.PROBLEM,
            "Capacity: SMS: nothing was recorded since 12 Nov, 11:00 IST",
            "See whether n8n still records what it sends.",
        ),
        (
            capacity(channel(used_today=99_000, daily_quota=100_000)),
            Level.PROBLEM,
            "Capacity: SMS: 99,000 used and 0 waiting are 99 % of 1,00,000, and 1,00,000 a day is the maximum.",
            "Raise maximum_daily_quota",
        ),
        (
            suppliers(real=50),
            Level.WELL,
            "Fake data: None of 50 suppliers newly shows 2 independent signs of being invented.",
            "",
        ),
        (
            suppliers(),
            Level.PROBLEM,
            "Fake data: No supplier could be read. That is unknown, not free of fakes.",
            "post-audit bind",
        ),
        (
            suppliers(real=500, fakes=3, held=3),
            Level.WELL,
            "Fake data: 3 were restored or declined and have not changed since; the first hold ends",
            "",
        ),
        (
            suppliers(real=500, fakes=3, obstacle="The role suppliers is bound to a view"),
            Level.PROBLEM,
            "Fake data: The role suppliers is bound to a view, so nothing could be brought back from quarantine.",
            "post-audit bind suppliers SCHEMA.TABLE",
        ),
    ],
)
def test_why_nothing_happens_is_told_with_its_number(
    step: StepState, level: Level, says: str, cure: str
) -> None:
    found = finding(step)
    assert found.text.startswith(says)
    assert (found.level, cure in found.cure) == (level, True)


@pytest.mark.parametrize(
    "name", ["conversions", "infrastructure", "fake_data", "bugs", "live_fomo", "enhancements"]
)
def test_a_step_that_rests_failed_waits_or_never_looked_says_so_before_anything_else(name: str) -> None:
    never = finding(state(name, last=None))
    assert (never.level, never.text.endswith(": has not looked yet."), never.cure) == (
        Level.NOTE,
        True,
        "post-audit run",
    )
    paused = finding(state(name, mode="paused"))
    assert paused.level is Level.NOTE
    assert "rests since asha chose so, and " in paused.text
    assert paused.cure == f"post-audit arm {name}"
    failed = finding(failing(name, "TookTooLong"))
    assert (failed.level, failed.cure) == (Level.PROBLEM, "Try again.")
    assert failed.text.endswith(": failed in run 41. The call took too long.")
    assert finding(failing(name, "BindingNeeded")).level is Level.MISCONFIGURED
    nothing = finding(state(name))
    assert nothing.text.endswith(": has not decided anything yet.")


def failing(name: str, code: str) -> StepState:
    error = {"code": code, "message": "The call took too long.", "cure": "Try again."}
    last = LastLook(run_id=41, state="failed", error=error, finished_at=datetime(2025, 11, 12, tzinfo=UTC))
    return state(name, last=last)


@pytest.mark.parametrize(
    ("mode", "cure"),
    [
        ("act", "post-audit approve 9   or: post-audit reject 9"),
        (
            "propose",
            "post-audit approve 9   or: post-audit reject 9; to let it act by itself: post-audit arm fake_data",
        ),
    ],
)
def test_what_waits_for_a_person_is_told_with_the_command(mode: Literal["act", "propose"], cure: str) -> None:
    waits = replace(suppliers(real=500, fakes=3), mode=mode, waiting=Waiting(decision_id=9, changes=3))
    found = finding(waits)
    assert (found.level, found.cure) == (Level.NOTE, cure)
    assert found.text == "Fake data: 3 changes wait for you in decision 9. 3 suppliers moved to quarantine."
    one = finding(replace(waits, waiting=Waiting(decision_id=9, changes=1)))
    assert one.text.startswith("Fake data: 1 change waits for you in decision 9.")


def test_what_was_taken_back_rests() -> None:
    undone = ab_test(CLEAR)
    assert undone.decision is not None
    found = finding(replace(undone, decision=replace(undone.decision, state="undone")))
    assert (found.level, found.text) == (
        Level.NOTE,
        "A/B test: decision 7 of 12 Nov, 12:00 IST was taken back, and rests.",
    )


def test_how_far_the_samples_are() -> None:
    few = finding(ab_test({"variant_a": (300, 12), "variant_b": (40, 2)}), "samples")
    assert (few.level, few.numbers) == (Level.NOTE, {"fewest": 40, "needed": 100})
    assert (
        few.text
        == "Samples of Invite message: Rs 5,000 Credit Airdrop 300, 50 Inquiries Focus 40; each needs 100."
    )
    assert few.cure == "Invite more suppliers with 50 Inquiries Focus, and let their time to claim pass."
    enough = finding(ab_test(EVEN), "samples")
    assert (enough.level, enough.cure) == (Level.WELL, "")


def test_usage_and_cost_are_told() -> None:
    used = capacity(channel(used_today=15_000), channel("whatsapp", used_today=14_000))
    assert finding(used, "usage").text == (
        "Used at the last look: SMS 75 % of 20,000, WhatsApp 70 % of 20,000; a quota grows from 80 % on."
    )
    assert finding(used, "cost").level is Level.NOTE
    cheap = capacity(channel(rate_millipaise=10), channel("whatsapp", rate_millipaise=10))
    assert (finding(cheap, "cost").level, finding(cheap, "cost").cure) == (Level.WELL, "")


def test_usage_that_is_unknown_is_not_told_as_zero() -> None:
    silent = capacity(
        *(channel(name, last_sent_at=None, first_sent_at=None, used_today=0) for name in ("sms", "whatsapp"))
    )
    assert [found.name for found in check_steps(health(silent))] == ["steps.infrastructure"]
