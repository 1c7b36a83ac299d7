"""What an experiment's page says in its headlines: pure functions of what the API answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.post_audit.formats import percent

__all__ = ["STATUS", "Lead", "chart_headline", "evidence_headline", "headline", "lead", "lede"]

_ALL: Final = 10_000

STATUS: Final = {
    "counting": ("Counting", "cycle", "is-warn"),
    "unknown": ("Unknown", "question", "is-warn"),
    "collecting": ("Collecting", "cycle", "is-accent"),
    "ready": ("Ready to switch", "bolt", "is-accent"),
    "decided": ("Switched", "tick", "is-accent"),
    "held": ("Held by a person", "pause", "is-warn"),
    "blocked": ("Blocked", "alert", "is-bad"),
    "widening": ("Waiting longer for claims", "cycle", "is-warn"),
    "breached": ("Doing harm", "alert", "is-bad"),
    "decayed": ("The winner wears out", "alert", "is-warn"),
    "no_difference": ("No difference", "tick", ""),
}
"""Each status with its words, its icon and its colour."""

_VERDICTS: Final = {
    "counting": "Invites are still being counted; nothing is judged before.",
    "unknown": "Too few invites can be counted to say anything yet.",
    "no_difference": "No message is better by enough to matter.",
    "decayed": "The winner fell behind those who kept the holdout.",
    "breached": "A message does harm and is still sent.",
    "widening": "Claims come later than we waited; the window grows first.",
}
"""The verdict of a status that names no message."""

_QUARTERS: Final = (
    "has hardly begun",
    "is a quarter of the way",
    "is half way",
    "is three quarters of the way",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """How far the leader is ahead of its rival: letters, the lift, and the interval that holds it at every look."""

    leader: str
    rival: str
    lift: float
    low: float
    high: float | None

    @property
    def lift_words(self) -> str:
        """The lift with its sign: `+26 %`."""
        return _signed(self.lift)

    @property
    def low_words(self) -> str:
        """The lower end with its sign."""
        return _signed(self.low)

    @property
    def high_words(self) -> str:
        """The upper end with its sign; without a bound, that it has none."""
        return "no bound" if self.high is None else _signed(self.high)


def _signed(ratio: float) -> str:
    sign = "+" if ratio >= 0 else "\N{MINUS SIGN}"
    return sign + percent(abs(ratio))


def _letter(one: Mapping[str, Any], identifier: str | None) -> str:
    return next((str(variant["letter"]) for variant in one["variants"] if variant["id"] == identifier), "?")


def lead(one: Mapping[str, Any]) -> Lead | None:
    """Say how far the leader is ahead; None where nobody can be compared."""
    by_id = {variant["id"]: variant for variant in one["variants"]}
    leader, rival = by_id.get(one["leader"]), by_id.get(one["rival"])
    if leader is None or rival is None or not leader["rate"] or not rival["rate"]:
        return None
    for comparison in one["comparisons"]:
        low, high = comparison["ratio_interval"]
        if (comparison["first"], comparison["second"]) == (leader["id"], rival["id"]):
            bounds = (low - 1, None if high is None else high - 1)
        elif (comparison["first"], comparison["second"]) == (rival["id"], leader["id"]):
            bounds = (-1.0 if high is None else 1 / high - 1, 1 / low - 1 if low else None)
        else:
            continue
        return Lead(
            leader=leader["letter"],
            rival=rival["letter"],
            lift=leader["rate"] / rival["rate"] - 1,
            low=bounds[0],
            high=bounds[1],
        )
    return None


def headline(one: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one line a status
    """Say the verdict in at most twelve words."""
    if one["status"] in _VERDICTS:
        return _VERDICTS[one["status"]]
    leader, rival = _letter(one, one["leader"]), _letter(one, one["rival"])
    match one["status"]:
        case "collecting" if one["leader"] is not None and one["rival"] is not None:
            return f"{leader} brings more claims than {rival}, but it is not certain yet."
        case "collecting":
            return _VERDICTS["unknown"]
        case "ready":
            return f"{leader} brings more claims than {rival}; it is about to be switched."
        case "decided":
            return f"{leader} won, and it is the active message."
        case "held":
            return f"{leader} is ahead; a person took the switch back."
    return "These numbers cannot be believed until somebody looks."


def lede(one: Mapping[str, Any], mode: str) -> str:
    """Say what happens by itself."""
    if one["status"] in {"collecting", "ready"} and one["leader"] is not None:
        letter = _letter(one, one["leader"])
        if mode == "act":
            return (
                f"Nothing to do: when the evidence is enough, {letter} becomes the message for most invites "
                "by itself."
            )
        if mode == "propose":
            return f"When the evidence is enough, the switch to {letter} waits for your word."
        return "The step is paused: nothing is switched until it is armed again."
    if one["status"] == "decided":
        holdout = one["allocation"]["holdout_basis_points"]
        if holdout:
            share = percent(holdout / _ALL)
            return f"Nothing to do: {share} of invites keep the other message, so a winner that wears out is noticed."
    return str(one["reasons"][0]["text"]) if one["reasons"] else ""


def evidence_headline(one: Mapping[str, Any]) -> str:
    """Say how far the evidence has come, on the scale it is drawn on."""
    if one["e_value"] is None:
        return "There is no evidence yet"
    share = math.log(max(one["e_value"], 1.0)) / math.log(one["threshold"])
    if share >= 1:
        return "The evidence is enough"
    return f"The evidence {_QUARTERS[min(3, round(share * 4))]}"


def chart_headline(one: Mapping[str, Any]) -> str:
    """Say how far one is ahead, and how that may be wrong."""
    found = lead(one)
    if found is None:
        return "The rates over time"
    ahead = f"{found.leader} is {percent(found.lift)} ahead"
    if found.low < 0:
        return f"{ahead}; it could still be {percent(-found.low)} behind"
    return f"{ahead}, and at least {percent(found.low)}"
