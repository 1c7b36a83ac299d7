"""/admin/doctor: everything that can be wrong, looked at; and the cure of what is."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

from app.post_audit.doctor import Area, Examination, Finding, Level
from app.post_audit.web.access import Person, Role
from app.post_audit.web.pages.elements import badge, box, button, link, moment, text, word
from app.post_audit.web.pages.page import House, Page, Part, Query
from app.post_audit.web.pages.view import View
from app.post_audit.web.pages.words import how_many, number_word, parsed

__all__ = ["PAGES", "as_data", "draw_wrong", "wrong_beside"]

_LEVELS: Final = {
    "well": ("well", "tick", ""),
    "note": ("to know", "question", ""),
    "problem": ("wrong", "alert", "is-bad"),
    "misconfigured": ("set up wrongly", "alert", "is-bad"),
}
_AREAS: Final = {
    "settings": "Settings",
    "database": "Database",
    "access": "Who else may come in",
    "tables": "Tables",
    "receivers": "n8n and Telegram",
    "runs": "Runs and messages",
    "steps": "What each step does, or why not",
    "machine": "This machine",
}


def _load(house: House, _query: Query) -> dict[str, Any]:
    found = house.checkup.look()
    at = house.checkup.asked_at
    return {
        "findings": [as_data(finding) for finding in found.ordered()],
        "wrong": len(found.wrong()),
        "notes": found.counts[Level.NOTE],
        "asked_at": None if at is None else at.isoformat(),
    }


def as_data(finding: Finding) -> dict[str, str]:
    """A finding as pages show it; its numbers stand in its text."""
    return {
        "area": finding.area.value,
        "name": finding.name,
        "level": finding.level.value,
        "text": finding.text,
        "cure": finding.cure,
    }


def wrong_beside(found: Examination) -> list[dict[str, str]]:
    """What is wrong beside what the house shows by itself: failed steps, messages, and roles without a table."""
    return [
        as_data(finding)
        for finding in found.wrong()
        if finding.area is not Area.TABLES
        and not finding.name.startswith("runs.messages")
        and not (finding.area is Area.STEPS and " failed in run " in finding.text)
    ]


def draw_wrong(wrong: list[dict[str, str]]) -> None:
    """Draw what is wrong as panels, each with its cure."""
    for finding in wrong:
        with box("div", "panel row-panel", data_key=f"wrong-{finding['name']}"):
            badge(_LEVELS[finding["level"]][0].capitalize(), "alert", "is-bad")
            with box("div", "grow"):
                text(finding["text"], "b")
                text(f" {finding['cure']}", classes="small")
            link("See all", "/admin/doctor")


def _draw_head(view: View, data: Mapping[str, Any]) -> None:
    wrong, notes = data["wrong"], data["notes"]
    with box("div", "head"):
        with box("div", "head-text"):
            if wrong:
                number = number_word(wrong)
                text(f"{number.capitalize()} thing{'s are' if wrong > 1 else ' is'} wrong.", "h1")
            else:
                text("Nothing is wrong.", "h1")
            looked = how_many(len(data["findings"]), "thing was", "things were")
            text(
                f"{looked} looked at; {number_word(notes)} to know of. On the command line: post-audit doctor",
                "p",
                "lede",
            )
            asked_at = parsed(data["asked_at"])
            with box("p", "meta"):
                if asked_at is None:
                    text("n8n and Telegram have not been asked since the server started.")
                else:
                    moment(asked_at, before="n8n and Telegram were asked ")
        if view.visit.allows(Role.OPERATOR):
            with box("div", "actions"):
                button("Ask n8n and Telegram", lambda: _ask(view), icon_name="cycle", key="ask-receivers")


async def _ask(view: View) -> None:
    """Ask n8n and Telegram now, by a ping that changes nothing, and show what they answered."""

    def deed(_person: Person) -> str:
        found = view.house.checkup.ask()
        asked = [finding for finding in found.findings if finding.area is Area.RECEIVERS]
        bad = sum(finding.level.exit_code > 0 for finding in asked)
        return (
            "n8n and Telegram have been asked."
            if not bad
            else f"{how_many(bad, 'receiver is', 'receivers are')} not well."
        )

    await view.act(Role.OPERATOR, deed)


def _draw_findings(_view: View, findings: list[dict[str, Any]]) -> None:
    for area, found in groupby(findings, key=lambda finding: finding["area"]):
        text(_AREAS[area], "h2").style("margin: 24px 0 8px")
        with box("table", "table stack").style("table-layout: fixed"):
            with box("thead"), box("tr"):
                # as wide in every table, so that the eye finds them
                for name, width in (("State", "8.5rem"), ("What was found", "auto"), ("What to do", "34%")):
                    text(name, "th", scope="col").style(f"width: {width}")
            with box("tbody"):
                for finding in found:
                    _draw_finding(finding)


def _draw_finding(finding: Mapping[str, Any]) -> None:
    with box("tr", data_key=f"finding-{finding['name']}"):
        with box("td").style("white-space: nowrap"):
            word(*_LEVELS[finding["level"]])
        text(finding["text"], "td").style("overflow-wrap: anywhere")
        text(finding["cure"], "td", "small").style("overflow-wrap: anywhere")


PAGES = (
    Page(
        path="/admin/doctor",
        title="Doctor",
        below="/admin",
        load=_load,
        parts=(
            Part(draw=_draw_head, place="head"),
            Part(draw=_draw_findings, shows=lambda data, _: data["findings"]),
        ),
    ),
)
