"""Whether the numbers can be trusted: what each check found. Pure; `trust` draws it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.post_audit.formats import count, ist, percent
from app.post_audit.web.pages import charts

__all__ = ["checks_of"]


def checks_of(one: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Each check as its state, a title that says how it went, and the numbers behind it."""
    sharing = one["sharing"]
    checks = [_sharing_check(sharing)]
    checks += [_guardrail_check(one, guardrail) for guardrail in one["guardrails"]]
    immature = sum(variant["immature"] for variant in one["variants"])
    checks.append(
        (
            "ok",
            "Only invites old enough count",
            f"{one['window_hours']} h to claim; {count(immature)} are too young.",
        )
    )
    share = sharing["exposed_share"]
    is_mixed = share is not None and share > sharing["exposed_limit"]
    checks.append(
        (
            "bad" if is_mixed else "ok",
            "Some suppliers saw several messages" if is_mixed else "One supplier, one message",
            f"{percent(share or 0.0, 2)} saw several; limit {percent(sharing['exposed_limit'])}.",
        )
    )
    checks.append(_freshness_check(one))
    fewest = min((variant["units"] for variant in one["variants"]), default=0)
    enough = fewest >= one["minimum_units"]
    checks.append(
        (
            "ok" if enough else "warn",
            "Enough of each" if enough else "Too few of one yet",
            f"At least {count(fewest)} of each message; {count(one['minimum_units'])} are needed.",
        )
    )
    return checks


def _sharing_check(sharing: Mapping[str, Any]) -> tuple[str, str, str]:
    if sharing["status"] == "unknown":
        return "warn", "The split is not known", "No share was recorded for the invites that count."
    total = max(sum(sharing["assigned"].values()), 1)
    due = max(sum(sharing["due"].values()), 1e-9)
    got = " to ".join(percent(number / total, 1) for number in sharing["assigned"].values())
    planned = " to ".join(percent(number / due) for number in sharing["due"].values())
    strayed = sharing["status"] == "strayed"
    return (
        "bad" if strayed else "ok",
        "The split is not as planned" if strayed else "The split is fair",
        f"{got}, planned {planned}; blocks a switch below {charts.odds(sharing['threshold'])}.",
    )


def _guardrail_check(one: Mapping[str, Any], guardrail: Mapping[str, Any]) -> tuple[str, str, str]:
    label = guardrail["label"][0].upper() + guardrail["label"][1:]
    if guardrail["status"] == "not_measured":
        return "warn", f"{label} are not measured", "Nobody records them; that is not the same as none."
    letters = {variant["id"]: variant["letter"] for variant in one["variants"]}
    rates = ", ".join(
        f"{percent(variant['rate'] or 0.0, 2)} for {letters.get(variant['id'], variant['id'])}"
        for variant in guardrail["variants"]
    )
    if guardrail["status"] == "breached":
        return "bad", f"{label} are too many", f"{rates}; that message is stopped."
    return "ok", f"{label} stay alike", f"{rates}; a message that does clearly more harm is stopped."


def _freshness_check(one: Mapping[str, Any]) -> tuple[str, str, str]:
    if one["last_invite_at"] is None:
        return "warn", "Nothing has come in", "No invite is known."
    age = datetime.fromisoformat(one["as_of"]) - datetime.fromisoformat(one["last_invite_at"])
    hours = age.total_seconds() / 3600
    fresh = hours <= 24  # noqa: PLR2004 - a day without an invite is worth a look
    return (
        "ok" if fresh else "warn",
        "Data is fresh" if fresh else "Data is old",
        f"Newest invite {ist(datetime.fromisoformat(one['last_invite_at']))}.",
    )
