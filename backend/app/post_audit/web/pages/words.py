"""What the pages say in their headlines: pure functions of what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from app.post_audit.formats import count, duration, percent, rupees

__all__ = [
    "STATES",
    "TITLES",
    "UNTOUCHED",
    "asked_because",
    "change_words",
    "duration_words",
    "house_headline",
    "how_many",
    "number_word",
    "parsed",
    "question",
    "standing",
    "value_words",
]

TITLES: Final = {
    "conversions": "Messages",
    "infrastructure": "Capacity",
    "fake_data": "Fake data",
    "bugs": "Bugs",
    "live_fomo": "Live counters",
    "enhancements": "Audit tasks",
}
"""What people call the steps; a step that is not named here is called by its name."""

# A standing: its words, its icon, its colour.
STATES: Final = {
    "acted": ("acted", "bolt", "is-accent"),
    "acting": ("acting", "cycle", "is-accent"),
    "waits": ("needs you", "hand", "is-warn"),
    "no change": ("no change", "tick", ""),
    "blocked": ("blocked", "pause", "is-warn"),
    "unknown": ("unknown", "question", "is-warn"),
    "failed": ("failed", "alert", "is-bad"),
    "paused": ("paused", "pause", ""),
    "undone": ("undone", "back", ""),
    "replaced": ("replaced", "past", ""),
    "rejected": ("declined", "close", ""),
    "moved": ("had moved", "alert", "is-warn"),
}

_SMALL: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def number_word(number: int) -> str:
    """Write small numbers as words, as a headline does."""
    return _SMALL[number] if 0 <= number < len(_SMALL) else count(number)


def how_many(number: int, one: str, many: str) -> str:
    """Write a number with its noun: `1 task`, `1,204 tasks`."""
    return f"{count(number)} {one if number == 1 else many}"


def duration_words(milliseconds: int) -> str:
    """Write how long a step took."""
    return duration(milliseconds / 1000)


UNTOUCHED: Final = (
    "This database is empty.",
    "See the steps at work on an invented marketplace, or let DATABASE_URL lead to your own.",
)
"""What stands over the embedded database that nothing has ever been in: a headline and a sentence."""


def house_headline(waiting: int, broken: Sequence[str], *, has_run: bool) -> tuple[str, str]:
    """Say what waits and what is broken, and what stands beside it: a headline and a sentence."""
    if not has_run:
        return "Nothing has run yet.", "The first run looks at all six things and says what it finds."
    waits = (
        ""
        if waiting == 0
        else f"{number_word(waiting)} decision{'s wait' if waiting > 1 else ' waits'} for you"
    )
    problem = (
        broken[0] if len(broken) == 1 else f"{number_word(len(broken))} things are broken" if broken else ""
    )
    if waits and problem:
        headline = f"{waits}, and {problem}."
    elif waits or problem:
        headline = f"{waits or problem}."
    else:
        return "Everything is in order.", "Nothing waits for you, and nothing is broken."
    return headline[0].upper() + headline[1:], "Everything else is in order."


def standing(state: str, decision: Mapping[str, Any] | None) -> str:  # noqa: PLR0911 - one line a standing
    """What a step came to, as one of `STATES`; `state` is that of the step in its run."""
    if decision is None:
        return state
    waits = int(decision["counts"].get("proposed", 0)) > 0
    match decision["state"]:
        case _ if waits:
            return "waits"
        case "applied":
            return "acted"
        case "applying":
            return "acting"
        case "superseded":
            return "replaced"
        case "undone" | "rejected" | "moved" as found:
            return str(found)
    return "no change" if decision["outcome"] == "nothing" else str(decision["outcome"])


def value_words(name: str, value: object) -> str:  # noqa: C901, PLR0911 - one line a kind
    """Write one value of a change or of the numbers as people read it; its name tells the unit."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_paise"):
            return rupees(value)
        case int() if name.endswith("basis_points"):
            return percent(value / 10_000, 0)
        case int():
            return count(value)
        case float():
            return f"{value:,.4g}"
        case dict() if name.endswith("basis_points"):
            return ", ".join(f"{key} {value_words(name, item)}" for key, item in value.items())
        case dict():
            return ", ".join(f"{key} {value_words(str(key), item)}" for key, item in value.items())
        case list() if all(isinstance(item, dict) and "detail" in item for item in value):
            return " ".join(str(item["detail"]) for item in value) or "none"
        case list():
            return ", ".join(value_words(name, item) for item in value) or "none"
    return str(value)


def change_words(change: Mapping[str, Any]) -> str:
    """Say one change in a line: `daily quota 20,000 → 30,000`."""
    before, after = change["before"], change["after"]
    parts = [
        f"{name.removesuffix('_basis_points').replace('_', ' ')} "
        + (f"{value_words(name, before[name])} → " if name in before else "")
        + value_words(name, value)
        for name, value in after.items()
        if before.get(name) != value
    ]
    return "; ".join(parts) or "nothing that is shown"


_CHANNELS: Final = {"sms": "SMS", "whatsapp": "WhatsApp"}


def question(decision: Mapping[str, Any]) -> str:
    """Ask what a person is to decide; a decision of several kinds of changes is asked by its headline."""
    number = int(decision["counts"].get("proposed", 0))
    change = next(iter(decision["changes"]), None)
    if change is None:
        return str(decision["headline"])
    kind, _, name = str(change["subject"]).partition(":")
    after, before = change["after"], change["before"]
    match kind:
        case "capacity" if "daily_quota" in after and number == 1:
            verb = "Raise" if after["daily_quota"] > before.get("daily_quota", 0) else "Lower"
            return f"{verb} {_CHANNELS.get(name, name)} to {count(after['daily_quota'])} a day?"
        case "supplier" if after.get("state") == "quarantined":
            return (
                "Is this supplier invented?"
                if number == 1
                else f"Are these {count(number)} suppliers invented?"
            )
        case "bug":
            return "Merge this bug?" if number == 1 else f"Merge these {count(number)} bugs?"
        case "audit":
            return "Take in this audit?" if number == 1 else f"Take in these {count(number)} audits?"
    return str(decision["headline"])


def asked_because(decision: Mapping[str, Any]) -> list[str]:
    """Why a person is asked: what the waiting changes say themselves, each once, then the decision's own reasons."""
    asked = [change["needs_approval"]["text"] for change in decision["changes"] if change["needs_approval"]]
    # what is said of one thing is not said of several
    asked = asked if len(asked) == 1 else []
    own = [reason["text"] for reason in decision["reasons"] if "wait for a person" in reason["text"]]
    reasons = [reason["text"] for reason in decision["reasons"]]
    return list(dict.fromkeys([*own, *asked, *reasons]))


def parsed(at: str | None) -> datetime | None:
    """Read a moment of the database's JSON."""
    return None if at is None else datetime.fromisoformat(at)
