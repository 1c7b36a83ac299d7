"""Why a step does not do what it is for: the reason in one sentence, with its number and its cure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.post_audit.doctor.facts import DecisionMade, Health, StepState
from app.post_audit.doctor.finding import Area, Finding, Level
from app.post_audit.formats import count, ist, percent
from app.post_audit.steps import conversions

__all__ = ["check_steps"]

_DEEDS: Final = {
    "conversions": ("A/B test", "switches no message"),
    "infrastructure": ("Capacity", "raises no quota"),
    "fake_data": ("Fake data", "takes no supplier out"),
    "bugs": ("Bugs", "ranks none"),
    "live_fomo": ("Live counters", "repairs none"),
    "enhancements": ("Audit findings", "turns none into tasks"),
}
"""What a person calls the step, and what does not happen while it rests."""

_LESS_TELLING: Final = frozenset({"conversions.rates", "infrastructure.enough", "fake_data.none"})
"""Reasons that are told only where there is no other."""

_NO_FAULT: Final = frozenset(
    {
        "conversions.held",
        "conversions.no_experiment",
        "conversions.still_counting",
        "enhancements.never_seen",
        "enhancements.taken_back",
        "fake_data.held",
        "infrastructure.switched_off",
        "infrastructure.taken_back",
    }
)
"""Reasons not to act that stand for what a person wanted so, what has not begun, or what goes on."""

_EVIDENCE: Final = frozenset({"conversions.evidence", "conversions.no_evidence"})
_READ_TOGETHER: Final = frozenset({*_EVIDENCE, "conversions.rates", "conversions.days_left"})

_BINDING: Final = "BindingNeeded"
_COST: Final = "infrastructure.cost"
_CHANNELS: Final = {"sms": "SMS", "whatsapp": "WhatsApp"}


def check_steps(health: Health) -> Iterator[Finding]:
    """Say of every step what keeps it from acting, or what it did last."""
    for state in health.steps:
        yield _step(state)
        if state.decision is not None and state.step == "conversions":
            yield from _samples(state.decision)
        if state.decision is not None and state.step == "infrastructure":
            yield from _usage(state.decision)
            yield from _cost(state.decision)


def _step(state: StepState) -> Finding:
    title, nothing = _DEEDS.get(state.step, (state.step, "does nothing"))
    if state.mode == "paused":
        return _told(
            state,
            Level.NOTE,
            f"{title}: rests since {state.changed_by} chose so, and {nothing}.",
            f"post-audit arm {state.step}",
        )
    if state.last is None:
        return _told(state, Level.NOTE, f"{title}: has not looked yet.", "post-audit run")
    if state.last.state == "failed":
        return _failed(state, title, state.last.run_id, state.last.error or {})
    if state.waiting is not None and state.decision is not None:
        number = state.waiting.decision_id
        waits = (
            "1 change waits" if state.waiting.changes == 1 else f"{count(state.waiting.changes)} changes wait"
        )
        by_itself = (
            f"; to let it act by itself: post-audit arm {state.step}" if state.mode == "propose" else ""
        )
        return _told(
            state,
            Level.NOTE,
            f"{title}: {waits} for you in decision {number}. {state.decision.headline}",
            f"post-audit approve {number}   or: post-audit reject {number}{by_itself}",
        )
    if state.decision is None:
        return _told(state, Level.NOTE, f"{title}: has not decided anything yet.", "post-audit run")
    return _decided(state, title, state.decision)


def _failed(state: StepState, title: str, run_id: int, error: Mapping[str, Any]) -> Finding:
    level = Level.MISCONFIGURED if error.get("code") == _BINDING else Level.PROBLEM
    return _told(
        state,
        level,
        f"{title}: failed in run {count(run_id)}. {error.get('message', '')}".strip(),
        str(error.get("cure") or f"post-audit step {state.step}"),
    )


def _decided(state: StepState, title: str, decision: DecisionMade) -> Finding:
    code, told = _telling(decision)
    if decision.state == "undone":
        return _told(
            state,
            Level.NOTE,
            f"{title}: decision {decision.id} of {ist(decision.decided_at)} was taken back, and rests.",
            f"post-audit decisions {decision.id}",
        )
    text = f"{title}: {told}"
    match decision.outcome:
        case "act":
            return _told(
                state,
                Level.WELL,
                f"{title}: {decision.headline} (decision {decision.id}, {ist(decision.decided_at)})",
            )
        case "nothing":
            return _told(state, Level.WELL, text, "" if decision.next == "Nothing." else decision.next)
        case _:
            return _told(state, Level.NOTE if code in _NO_FAULT else Level.PROBLEM, text, decision.next)


def _telling(decision: DecisionMade) -> tuple[str, str]:
    """The code and the sentence that say most; what is well, or told elsewhere, is left out where there is more."""
    reasons = [reason for reason in decision.reasons if not reason["code"].startswith(_COST)]
    telling = [reason for reason in reasons if reason["code"] not in _LESS_TELLING] or reasons
    if not telling:
        return "", decision.headline
    code, text = telling[0]["code"], telling[0]["text"]
    if code in _EVIDENCE:
        # "a lead this strong" is read with the lead, and with the time that is left
        text = " ".join(reason["text"] for reason in reasons if reason["code"] in _READ_TOGETHER)
    return code, text


def _samples(decision: DecisionMade) -> Iterator[Finding]:
    """Tell how far each message is from the least number of suppliers that it is judged by."""
    needed = conversions.STEP.policy.minimum_units
    for experiment in decision.numbers.get("experiments", ()):
        variants = experiment["variants"]
        if not variants:
            continue
        fewest = min(variants, key=lambda variant: variant["units"])
        is_enough = fewest["units"] >= needed
        told = ", ".join(f"{variant['label']} {count(variant['units'])}" for variant in variants)
        yield Finding(
            area=Area.STEPS,
            name="steps.samples",
            level=Level.WELL if is_enough else Level.NOTE,
            text=f"Samples of {experiment['name']}: {told}; each needs {count(needed)}.",
            cure=""
            if is_enough
            else f"Invite more suppliers with {fewest['label']}, and let their time to claim pass.",
            numbers={"fewest": fewest["units"], "needed": needed},
        )


def _usage(decision: DecisionMade) -> Iterator[Finding]:
    """Tell how much of each quota is used, and from where on it grows."""
    channels = decision.numbers.get("channels", {})
    known = {name: facts for name, facts in channels.items() if facts["share"] is not None}
    if not known:
        return
    told = ", ".join(
        f"{_CHANNELS.get(name, name)} {percent(facts['share'])} of {count(facts['quota'])}"
        for name, facts in sorted(known.items())
    )
    yield Finding(
        area=Area.STEPS,
        name="steps.usage",
        level=Level.WELL,
        text=f"Used at the last look: {told}; a quota grows from {percent(decision.numbers['scale_at'])} on.",
        numbers={f"{name}_share": facts["share"] for name, facts in known.items()},
    )


def _cost(decision: DecisionMade) -> Iterator[Finding]:
    """Tell the cost figures of the last look at capacity."""
    told = [reason for reason in decision.reasons if reason["code"].startswith(_COST)]
    if told:
        is_over = len(told) > 1
        yield Finding(
            area=Area.STEPS,
            name="steps.cost",
            level=Level.NOTE if is_over else Level.WELL,
            text="Cost: " + " ".join(reason["text"] for reason in told),
            cure=f"See what makes it up: post-audit decisions {decision.id}" if is_over else "",
            numbers={key: value for reason in told for key, value in reason["numbers"].items()},
        )


def _told(state: StepState, level: Level, text: str, cure: str = "") -> Finding:
    return Finding(area=Area.STEPS, name=f"steps.{state.step}", level=level, text=text, cure=cure)
