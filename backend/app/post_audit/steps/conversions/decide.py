"""From facts to a decision: which message wins, whether that is certain, and what changes then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.post_audit.ports import JSON
from app.post_audit.step import Decision, Outcome, Reason, ReasonCode
from app.post_audit.steps.conversions.assess import assess
from app.post_audit.steps.conversions.assessment import Status
from app.post_audit.steps.conversions.facts import Facts
from app.post_audit.steps.conversions.numbers import experiment_numbers
from app.post_audit.steps.conversions.policy import ConversionsPolicy
from app.post_audit.steps.conversions.switch import Switch, switch
from app.post_audit.steps.conversions.wording import explain

__all__ = ["decide"]

NO_EXPERIMENT: Final = ReasonCode(
    "conversions.no_experiment", "No experiment with invite messages is running."
)

_NEXT: Final[Mapping[Status, str]] = {
    Status.BREACHED: "Look at the message that was stopped; the others go on.",
    Status.DECAYED: "Think of a new message; the comparison starts anew.",
    Status.READY: "Nothing; the rest keeps its holdout, and a winner that wears out is noticed.",
    Status.BLOCKED: "Look at how suppliers are shared among the messages; then run again.",
    Status.HELD: "Nothing; it is judged anew when the rest ends or another message wins.",
    Status.COLLECTING: "Nothing; once the evidence is enough, the winner becomes active by itself.",
    Status.WIDENING: "Nothing; the next run counts with the wider window.",
    Status.NO_DIFFERENCE: "Try a bolder message; these are alike.",
    Status.DECIDED: "Nothing.",
    Status.COUNTING: "Nothing; counting goes on with the next run, and while a page shows it.",
    Status.UNKNOWN: "Check that invites are recorded: post-audit status names their table.",
}
"""What the reader may do, the most pressing first."""

_STILL: Final[Mapping[Status, tuple[Outcome, str]]] = {
    Status.COUNTING: (Outcome.UNKNOWN, "Nothing switched: invites are still being counted."),
    Status.BLOCKED: (Outcome.BLOCKED, "Nothing switched: {why}."),
    Status.HELD: (Outcome.BLOCKED, "Nothing switched: a person decided against this switch."),
    Status.COLLECTING: (Outcome.NOTHING, "Nothing switched."),
    Status.DECIDED: (Outcome.NOTHING, "Nothing switched: the winner is already active."),
    Status.NO_DIFFERENCE: (Outcome.NOTHING, "Nothing switched: no difference worth having."),
    Status.UNKNOWN: (Outcome.UNKNOWN, "Nothing switched: there is nothing to compare."),
}
"""What is said where nothing is switched, the most important first."""


def decide(facts: Facts, policy: ConversionsPolicy) -> Decision:
    """Judge every running experiment and switch those whose winner is certain; pure."""
    if not facts.experiments:
        return Decision(
            outcome=Outcome.UNKNOWN,
            headline="Nothing switched: no experiment is running.",
            reasons=(NO_EXPERIMENT(),),
            numbers={"experiments": []},
            next="Start an experiment with at least two messages.",
        )
    assessments = [
        assess(experiment, facts.as_of, facts.holds, policy)
        for experiment in sorted(facts.experiments, key=lambda experiment: str(experiment.id).rjust(20))
    ]
    reasons: list[Reason] = []
    switches: list[Switch] = []
    for assessment in assessments:
        because = explain(assessment, facts.as_of, policy)
        reasons.extend(because)
        if (wanted := switch(assessment, because, policy)) is not None:
            switches.append(wanted)
    numbers: dict[str, JSON] = {"experiments": [experiment_numbers(assessment) for assessment in assessments]}
    statuses = {assessment.status for assessment in assessments}
    following = next(text for status, text in _NEXT.items() if status in statuses)
    if not switches:
        outcome, headline = next(said for status, said in _STILL.items() if status in statuses)
        why = next((assessment.word for assessment in assessments if assessment.obstacle), "")
        headline = headline.format(why=why.removeprefix("blocked: "))
        return Decision(
            outcome=outcome, headline=headline, reasons=tuple(reasons), numbers=numbers, next=following
        )
    ready = all(
        assessment.status in {Status.READY, Status.DECIDED, Status.COLLECTING} for assessment in assessments
    )
    deed = "switch to their winners" if ready else "are changed"
    several = f"{len(switches)} experiments {deed}."
    return Decision(
        outcome=Outcome.ACT,
        headline=switches[0].headline if len(switches) == 1 else several,
        reasons=tuple(reasons),
        numbers=numbers,
        changes=tuple(one.change for one in switches),
        messages=tuple(message for one in switches for message in one.messages),
        undo_messages=tuple(message for one in switches for message in one.undo_messages),
        next=following,
        independent=True,
        hold_days=policy.hold_days,
    )
